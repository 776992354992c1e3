#!/usr/bin/env python3
"""Hits: requests per second of plain Swift, the filter, the floor, and nginx with and without authorisation.

    python tests/bench/hits.py [--rounds 5] [--seconds 4] [--json FILE]
"""
import sys
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, floor, load, nginx, sides
from bench.common import Table

MIB = 1024 * 1024
# below, headers are too much of what is received for bytes to tell the number of objects
SMALL = 100_000
# case: bytes, clients, least filter/plain
CASES = {'10 kB': (10_000, 8, 3.0), '1 MB': (1_000_000, 4, 2.5), '64 MB': (64 * MIB, 2, 3.5)}
PLAIN, FILTER, FLOOR = 'plain', 'filter', 'floor'
LEAST_OF_FLOOR = 0.85
NOTES = (
    'All figures are medians of the rounds; each ratio is taken within one round, and has its least and its '
    'greatest beside it. Objects of 1 MB and more count by the bytes received. CPU is that of the processes of '
    'the side itself, which for nginx+auth leaves out what Swift does for it.',
    'nginx+auth asks Swift with a HEAD of the object before each answer: token, ACL, and that the object exists. '
    'It does not check that the cached bytes are still those of the object. nginx checks nothing at all: neither '
    'token nor ACL, nor whether the object is still there: whoever knows the name reads it.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=5, seconds=4)
    parser.add_argument('--cases', default=','.join(CASES), help='sizes to measure (%(default)s)')
    parser.add_argument('--sides', default=f'{PLAIN},{FILTER},{FLOOR},{nginx.AUTHORISED},{nginx.OPEN}',
                        help='what to compare (%(default)s)')
    return parser.parse_args(argv)


def start(bench, names, stack: ExitStack) -> dict[str, sides.Side]:
    found = {PLAIN: bench.add(PLAIN)}
    if FILTER in names:
        found[FILTER] = bench.add(FILTER, 'prefetch')
    if FLOOR in names:
        folder = bench.lab.folder / 'floor'
        folder.mkdir()
        found[FLOOR] = bench.add(FLOOR, 'floor', {'use': 'call:bench.floor:filter_factory',
                                                  'folder': str(folder)})
    if {nginx.AUTHORISED, nginx.OPEN} & set(names):
        common.need_programs('nginx')
        both = stack.enter_context(nginx.running(bench.lab.folder / 'nginx', found[PLAIN].url))
        found.update({side.name: side for side in both})
    return {name: found[name] for name in names}


def fill(bench, found, path: str, body: bytes) -> None:
    """Have every side hold the object."""
    plain = found[PLAIN]
    bench.put(plain, path.rpartition('/')[2], body)
    for side in found.values():
        if side.name == FLOOR:
            answer = bench.ask(plain, 'GET', path)
            kept = {key: value for key, value in answer.headers.items()
                    if key not in ('date', 'x-trans-id', 'x-openstack-request-id', 'connection')}
            floor.store(bench.lab.folder / 'floor', path, kept, answer.body)
        elif side is not plain:
            bench.until_hit(side, path)


class Measure:
    """One run of one side, and that it was what it is taken for."""

    def __init__(self, bench, found, seconds):
        self.bench = bench
        self.found = found
        self.seconds = seconds

    def __call__(self, case: str, name: str):
        side, (size, clients, _) = self.found[name], CASES[case]
        path = path_of(self.bench, case)
        self._check(side, path, size)
        before = load.cpu_seconds(side.pid), self._sidecar()
        run = load.wrk(load.Load(side.url + path, clients, self.seconds, self.bench.headers))
        used = load.cpu_seconds(side.pid) - before[0], self._sidecar() - before[1]
        self._check(side, path, size)
        rate = run.rate if size < SMALL else run.rate_of(size)
        count = rate * run.seconds
        return {'rate': rate, 'cpu_us': used[0] / count * 1e6, 'sidecar_us': used[1] / count * 1e6,
                'p50': run.p50, 'p99': run.p99}, run.failures

    def _sidecar(self):
        return load.cpu_seconds(self.bench.lab.pid('sidecar') or 0)

    def _check(self, side, path, size):
        answer = self.bench.ask(side, 'GET', path)
        if answer.status != 200 or len(answer.body) != size or sides.is_hit(answer) != (side.name != PLAIN):
            raise common.BenchError(f'{side.name} does not answer {path} as it should: {answer.status}, '
                                    f'{len(answer.body)} bytes, {answer.headers}')


def path_of(bench, case: str) -> str:
    return f'{bench.path}/{case.replace(" ", "")}'


def tables(samples, cases, names) -> list[Table]:
    rows, bounds = [], []
    for case in cases:
        clients, least = CASES[case][1:]
        for name in names:
            rows.append((case, clients, name, *(common.median(samples, case, name, key)
                                                for key in ('rate', 'cpu_us', 'sidecar_us', 'p50', 'p99')),
                         common.ratio(samples, case, name, PLAIN, 'rate') if name != PLAIN else None))
        to_plain, to_floor = (common.ratio(samples, case, FILTER, base, 'rate') for base in (PLAIN, FLOOR))
        bounds += [(f'{case}: filter / plain', to_plain, common.verdict(to_plain, least)),
                   (f'{case}: filter / floor', to_floor, common.verdict(to_floor, LEAST_OF_FLOOR)),
                   (f'{case}: floor / filter, CPU time', common.ratio(samples, case, FLOOR, FILTER, 'cpu_us'), '')]
    return [Table('Hits', ('object', 'clients', 'side', 'objects/s', 'CPU us each', 'sidecar CPU us each',
                           'p50 ms', 'p99 ms', 'to plain'), rows),
            Table('Bounds', ('ratio', 'measured', 'required'), bounds)]


def main(argv=None) -> None:
    args = arguments(argv)
    cases, names = args.cases.split(','), args.sides.split(',')
    common.need_programs('wrk')
    facts = common.machine()
    with sides.running(args) as bench, ExitStack() as stack:
        found = start(bench, names, stack)
        for case in cases:
            fill(bench, found, path_of(bench, case), Random(case).randbytes(CASES[case][0]))
        common.say('warming up')
        runs = list(product(cases, names))
        common.interleaved(1, runs, Measure(bench, found, 1))
        samples = common.interleaved(args.rounds, runs, Measure(bench, found, args.seconds))
    common.show(args, facts, tables(samples, cases, names), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
