#!/usr/bin/env python3
"""Where a worker's time goes while it answers 10 kB hits: shares by middleware and by module.

    python tests/bench/profile.py [--seconds 8] [--json FILE]

Needs py-spy, which may look into another process: as root, or where kernel.yama.ptrace_scope is 0.
"""
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, load, sides
from bench.common import BenchError, Sample, Table

SIZE, CLIENTS = 10_000, 8
SAMPLES_PER_SECOND = 500
FRAME = re.compile(r'^(?P<function>.+) \((?P<file>[^()]+?)(?::\d+)?\)$')
PACKAGES = ('swift/common/middleware/', 'swift/common/', 'swift/proxy/', 'eventlet/', 'greenlet/')
ROOMS = re.compile(r'(?:^|/)(middleware|cache|queues|conf)/(?:sqlite/)?\w+\.py$')
# code of these is everybody's: its time belongs to whoever called it
SHARED = {'swift/common/memcached.py': 'memcached', 'swift/common/swob.py': 'swob',
          'swift/proxy/controllers/base.py': 'container info'}
NOTES = (
    'Own: the innermost code of a known package. For: the same time, with what a stage asks of shared code (swob, '
    'memcached, eventlet, logging) counted as its own; what no stage asked for is the server itself: reading '
    'requests and writing answers. Samples in which the worker waits are left out.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, seconds=8)
    parser.add_argument('--side', choices=('filter', 'plain'), default='filter',
                        help='plain: the same reads through Swift alone (%(default)s)')
    return parser.parse_args(argv)


def find_py_spy() -> str:
    beside = Path(sys.executable).with_name('py-spy')
    found = str(beside) if beside.exists() else shutil.which('py-spy')
    if not found:
        raise BenchError(f'py-spy not found; install with: {sys.executable} -m pip install py-spy')
    return found


# -- stacks ------------------------------------------------------------------------------------------------

def parse_stacks(text: str) -> Iterator[tuple[list[str], int]]:
    """Files of each stack, outermost first, and its number of samples; of py-spy's raw format."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(' ')
        if not stack:
            continue
        found = (FRAME.match(frame) for frame in stack.split(';'))
        yield [match['file'] for match in found if match], int(count)


def group_of(file: str) -> str | None:
    """The package or module that a file's time is counted for; None for Python's own library."""
    file = file.rpartition('site-packages/')[2]
    package = next((one for one in PACKAGES if file.startswith(one)), '')
    if package:
        return SHARED.get(file) or _group_in(package, file[len(package):])
    if 'xxhash' in file:
        return 'xxhash'
    room = ROOMS.search(file)
    return f'filter: {room[1]}' if room else None


def _group_in(package, rest):
    if package == 'swift/common/middleware/':
        return f'middleware: {rest.partition("/")[0].removesuffix(".py").replace("_", "-")}'
    return {'swift/proxy/': 'proxy-server', 'swift/common/': 'swift, other'}.get(package, 'eventlet')


def is_stage(group: str) -> bool:
    """Whether it is of the pipeline, rather than something that its parts share."""
    return group.startswith(('middleware: ', 'filter: ')) or group == 'proxy-server'


def shares(stacks: Iterable[tuple[list[str], int]]) -> tuple[Counter, Counter]:
    """Samples by innermost group, and by the innermost stage of the pipeline."""
    own, charged = Counter(), Counter()
    for files, count in stacks:
        groups = [group for group in map(group_of, files) if group]
        own[groups[-1] if groups else 'other'] += count
        charged[next((one for one in reversed(groups) if is_stage(one)), 'server')] += count
    return own, charged


def tables(own: Counter, charged: Counter) -> list[Table]:
    total = sum(own.values()) or 1
    names = sorted({*own, *charged}, key=lambda name: (-charged[name], -own[name]))
    rows = [(name, f'{own[name] / total:.1%}', f'{charged[name] / total:.1%}' if charged[name] else '')
            for name in names]
    return [Table(f'{total:,} samples', ('code', 'own', 'for'), rows)]


# -- measuring ---------------------------------------------------------------------------------------------

def record(pid: int, seconds: float, output: Path) -> subprocess.Popen:
    command = [find_py_spy(), 'record', '--pid', str(pid), '--duration', str(round(seconds)), '--format', 'raw',
               '--rate', str(SAMPLES_PER_SECOND), '--output', str(output), '--nonblocking']
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def profile(bench, side, path: str, seconds: float) -> str:
    """Stacks of the side's worker under load."""
    worker = load.process_tree(side.pid)[-1]
    output = bench.lab.folder / 'stacks'
    program = record(worker, seconds, output)
    try:
        # a little longer, so that no sample is of an idle worker
        run = load.wrk(load.Load(side.url + path, CLIENTS, seconds + 2, bench.headers))
        said = program.communicate(timeout=seconds + 60)[1]
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
    if program.returncode or not output.exists():
        raise BenchError(f'py-spy failed: {said.strip()}')
    if run.failures:
        raise BenchError(f'requests failed: {run.failures}')
    return output.read_text()


def main(argv=None) -> None:
    args = arguments(argv)
    common.need_programs('wrk')
    find_py_spy()
    facts = common.machine()
    with sides.running(args) as bench:
        side = bench.add(args.side, 'prefetch' if args.side == 'filter' else '')
        path = bench.put(side, 'object', Random(1).randbytes(SIZE))
        if args.side == 'filter':
            bench.until_hit(side, path)
        load.wrk(load.Load(side.url + path, CLIENTS, 1, bench.headers))
        own, charged = shares(parse_stacks(profile(bench, side, path, args.seconds)))
    samples = [Sample('samples', name, 0, {'own': own[name], 'for': charged[name]}) for name in {*own, *charged}]
    common.show(args, facts, tables(own, charged), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
