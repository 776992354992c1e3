#!/usr/bin/env python3
"""Upstream's container-reconciler and the mover, one after the other on one lab, each with the same set to move.

    python tests/bench/mover.py [--rounds 3] [--small 60] [--large 6] [--latency-ms 20] [--only upstream]
"""
import re
import resource
import sys
import time
from configparser import RawConfigParser
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from helpers.lab.hands import Hands
from helpers.mover.splits import QUEUE_ONLY, enqueue, queued
from swift.common.utils import Timestamp

from bench import common, load
from bench.common import Table
from demo.main import folders_with_xattrs
from swiftahead.lab import Lab
from swiftahead.lab.brain import Brain

POLICIES = ('gold', 'silver', 'ec')
SILVER = 1
# the policy of the container; what is misplaced lies in silver
HOMES = {'replication': 'gold', 'EC': 'ec'}
SIZES = {'10 kB': 10_000, '10 MB': 10_000_000}
CASES = [f'{size} to {home}' for size, home in product(SIZES, HOMES)]
PASS_SECONDS = 1200.0
ACCESS = re.compile(rb'"(GET|HEAD|PUT|POST|DELETE|UPDATE) /')
FASTER, FEWER, WITH_LATENCY = 1.5, 0.7, 5.0


@dataclass(frozen=True)
class Side:
    """:param program: of the lab, run once. :param concurrency: 0: the program's own default"""
    program: str
    section: str
    concurrency: int


SIDES = {
    'upstream, 1': Side('container-reconciler', 'container-reconciler', 1),
    'upstream, 8': Side('container-reconciler', 'container-reconciler', 8),
    'mover, 1': Side('sidecar', 'mover', 1),
    'mover, 8': Side('sidecar', 'mover', 8),
    'mover, default': Side('sidecar', 'mover', 0),
}
UPSTREAM_DEFAULT, MOVER_DEFAULT = 'upstream, 1', 'mover, default'
NOTES = (
    'Each run has a container of its own with the same bodies in the policy silver, and a row in '
    '.misplaced_objects for each object; then the program makes one pass. Its seconds are those of the pass, less '
    'those of a pass over the empty queue just before. Requests are those that account, container and object '
    'servers logged, CPU that of all processes of the cluster and of the program, less those of the empty pass.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=3)
    parser.set_defaults(nodes=3)
    parser.add_argument('--small', type=int, default=60, help='objects of 10 kB in each run (%(default)s)')
    parser.add_argument('--large', type=int, default=6, help='objects of 10 MB in each run (%(default)s)')
    parser.add_argument('--latency-ms', type=float, default=0, help='delay of the object servers (%(default)s)')
    parser.add_argument('--only', default='', metavar='WORD', help='sides whose names begin so')
    return parser.parse_args(argv)


@dataclass(frozen=True)
class Cost:
    """What a pass took, and the cluster meanwhile."""
    seconds: float
    requests: int
    cpu: float

    def per_object(self, empty: 'Cost', objects: int) -> dict[str, float]:
        seconds = max(self.seconds - empty.seconds, 1e-9)
        return {'rate': objects / seconds, 'requests': (self.requests - empty.requests) / objects,
                'cpu_ms': (self.cpu - empty.cpu) / objects * 1000}


class Measure:
    """Makes a set of misplaced objects, and has a program move them."""

    def __init__(self, lab: Lab, hands: Hands, args):
        self._lab = lab
        self._hands = hands
        self._objects = {'10 kB': args.small, '10 MB': args.large}
        self._numbers = count()

    def __call__(self, case: str, name: str):
        size, _, home = case.partition(' to ')
        side, objects = SIDES[name], self._objects[size]
        self._configure(side)
        with Brain(self._lab, f'bench-{next(self._numbers)}') as brain:
            empty = self._pass(side)
            brain.put_container(HOMES[home])
            self._fill(brain, objects, SIZES[size])
            full = self._pass(side)
            wrong = self._wrong(brain, objects)
        return full.per_object(empty, objects), wrong

    def _configure(self, side):
        path, conf = self._lab.conf_path(side.program), RawConfigParser(delimiters=('=',), strict=False)
        conf.optionxform = str  # type: ignore[assignment,method-assign]
        conf.read(path)
        conf.remove_option(side.section, 'concurrency')
        if side.concurrency:
            conf.set(side.section, 'concurrency', str(side.concurrency))
        with path.open('w') as file:
            conf.write(file)

    def _fill(self, brain, objects, size):
        body = Random(size).randbytes(size // 2).hex()
        for number in range(objects):
            at = Timestamp.now().internal
            self._hands.put(f'/v1/{brain.account}/{brain.container}/{number}', SILVER, at, body)
            enqueue(brain, SILVER, str(number), at)

    def _pass(self, side) -> Cost:
        requests, cpu, begin = self._requests(), self._cpu(), time.monotonic()
        self._lab.run_daemon(side.program, timeout=PASS_SECONDS)
        seconds = time.monotonic() - begin
        return Cost(seconds, self._requests() - requests, self._cpu() - cpu)

    def _requests(self) -> int:
        names = (row['name'] for row in self._lab.status())
        logs = [self._lab.log(name) for name in names if name.startswith(('account', 'container', 'object'))]
        return sum(len(ACCESS.findall(log.read_bytes())) for log in logs if log.exists())

    def _cpu(self) -> float:
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        pids = [row['pid'] for row in self._lab.status() if row['pid']]
        return own.ru_utime + own.ru_stime + sum(load.cpu_seconds(pid) for pid in pids)

    def _wrong(self, brain, objects) -> dict[str, int]:
        """What was not moved, or cannot be read where it belongs."""
        left = [name for name in queued(brain) if f'/{brain.container}/' in name]
        answers = (brain.request('HEAD', brain.path(str(number))).status for number in range(objects))
        missing = sum(status != 200 for status in answers)
        return {key: number for key, number in (('queued', len(left)), ('not at home', missing)) if number}


def tables(samples, sides, latency: float) -> list[Table]:
    rows = [(case, side, *(common.median(samples, case, side, key) for key in ('rate', 'requests', 'cpu_ms')))
            for case, side in product(CASES, sides)]
    measured = Table('Moving misplaced objects',
                     ('objects', 'side', 'objects/s', 'requests each', 'CPU ms each, whole cluster'), rows)
    return [measured, *([compared(samples, sides, latency)] if MOVER_DEFAULT in sides and len(sides) > 1 else [])]


def compared(samples, sides, latency) -> Table:
    """The mover with upstream: at its best without latency, at its default with it."""
    movers = [side for side in sides if side.startswith('mover')]
    others = [UPSTREAM_DEFAULT] if latency else [side for side in sides if side.startswith('upstream')]
    rows = []
    for case in CASES:
        ours, theirs = best(samples, case, movers, 'rate', max), best(samples, case, others, 'rate', max)
        asked, base = best(samples, case, movers, 'requests', min), best(samples, case, others, 'requests', min)
        faster = ours / theirs if ours and theirs else None
        fewer = asked / base if asked and base else None
        is_judged = case == CASES[0]
        least = (WITH_LATENCY if latency else FASTER) if is_judged else None
        rows.append((case, faster, common.judged(faster, least=least), fewer,
                     common.judged(fewer, most=None if latency or not is_judged else FEWER)))
    return Table(f'The mover compared with upstream\'s {"default" if latency else "best"}',
                 ('objects', 'objects/s, ratio', 'required', 'requests, ratio', 'required'), rows)


def best(samples, case, sides, key, choose) -> float | None:
    found = [value for value in (common.median(samples, case, side, key) for side in sides) if value is not None]
    return choose(found) if found else None


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    sides = [name for name in SIDES if name.startswith(args.only)]
    if not sides:
        raise common.BenchError(f'--only {args.only}: there are {", ".join(SIDES)}')
    parent = args.dir or next(folders_with_xattrs(), None)
    with TemporaryDirectory(prefix='swiftahead-', dir=parent) as folder, \
            Lab(folder, nodes=args.nodes, policies=POLICIES, latency_ms=args.latency_ms, filter=False,
                sidecar=False, sidecar_conf=QUEUE_ONLY) as lab, Hands(lab) as hands:
        measure = Measure(lab, hands, args)
        samples = common.interleaved(args.rounds, list(product(CASES, sides)), measure)
    common.show(args, facts, tables(samples, sides, args.latency_ms), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
