#!/usr/bin/env python3
"""Misses and writes: what the filter costs where it cannot help, against plain Swift.

    python tests/bench/misses.py [--rounds 5] [--requests 800] [--json FILE]
"""
import os
import sys
from itertools import product
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, load, sides
from bench.common import Table
from bench.load import Request

PLAIN, OFF, CAPTURE = 'plain', 'capture off', 'capture on'
SIDES = (PLAIN, OFF, CAPTURE)
HIT, MISS = 'GET hit', 'GET miss'
# in this order: what is put is posted to, and deleted
CASES = (HIT, MISS, 'PUT', 'POST', 'DELETE')
# least rate, compared with plain Swift's
LEAST = {(MISS, OFF): 0.95, (MISS, CAPTURE): 0.85,
         **{(case, side): 0.95 for case in CASES[2:] for side in (OFF, CAPTURE)}}
# of a list of distinct objects these may be hits all the same: nothing else emptied the cache as it should
HITS_ALLOWED = 0.01
NOTES = (
    'Each request of a run is for another object, sent once, so that every GET of a miss run is one; the cache is '
    'emptied before each run, for all sides alike. CPU is that of the processes of the proxy, the sidecar\'s is '
    'counted until it has admitted all that was captured.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument('--requests', type=int, default=800, help='of each run (%(default)s)')
    parser.add_argument('--size', type=int, default=10_000, help='bytes of each object (%(default)s)')
    parser.add_argument('--clients', type=int, default=8, help='connections (%(default)s)')
    parser.add_argument('--learn', action='store_true', help='let the sidecar learn from the reads, too')
    return parser.parse_args(argv)


class Measure:
    """One run of one side."""

    def __init__(self, bench, found, args):
        self._bench = bench
        self._found = found
        self._args = args
        self._random = Random(0)
        self._runs = dict.fromkeys(product(CASES, SIDES), 0)

    def prepare(self) -> None:
        body = Random(1).randbytes(self._args.size)
        puts = [Request('PUT', self._path('read', number), body=body) for number in range(self._args.requests)]
        run, _ = load.send(self._found[PLAIN].url, puts, self._args.clients, self._bench.headers)
        if run.failures:
            raise common.BenchError(f'objects could not be put: {run.failures}')

    def _path(self, kind, number):
        return f'{self._bench.path}/{kind}-{number}'

    def __call__(self, case: str, name: str):
        side = self._found[name]
        requests = self._requests(case, name)
        if case == HIT and name != PLAIN:
            self._bench.until_hit(self._found[CAPTURE], requests[0].path)
        elif case == MISS:
            empty(self._bench, self._found[CAPTURE])
        before = load.cpu_seconds(side.pid), self._sidecar()
        run, hits = load.send(side.url, requests, self._args.clients, self._bench.headers)
        used = load.cpu_seconds(side.pid) - before[0]
        wait_for_spool(self._bench)
        values = {'rate': run.rate, 'cpu_us': used / len(requests) * 1e6,
                  'sidecar_us': (self._sidecar() - before[1]) / len(requests) * 1e6,
                  'p50': run.p50, 'p99': run.p99}
        return values, {**run.failures, **self._wrong_hits(case, name, hits)}

    def _wrong_hits(self, case, name, hits) -> dict:
        is_wrong = hits < self._args.requests if case == HIT and name != PLAIN else (
            hits > self._args.requests * HITS_ALLOWED)
        return {'hits': hits} if is_wrong else {}

    def _sidecar(self):
        return load.cpu_seconds(self._bench.lab.pid('sidecar') or 0)

    def _requests(self, case, name) -> list[Request]:
        count = self._args.requests
        if case == HIT:
            return [Request('GET', self._path('read', 0))] * count
        if case == MISS:
            order = self._random.sample(range(count), count)
            return [Request('GET', self._path('read', number)) for number in order]
        self._runs[case, name] += 1
        kind = f'{name.replace(" ", "")}-{self._runs[case, name]}'
        body = Random(1).randbytes(self._args.size) if case == 'PUT' else None
        headers = {'X-Object-Meta-Bench': 'posted'} if case == 'POST' else {}
        return [Request(case, self._path(kind, number), headers, body) for number in range(count)]


def empty(bench, side) -> None:
    """Have the sidecar drop all entries of the container, by the request that operators have for it."""
    answer = bench.ask(side, 'POST', f'{bench.path}?prefetch=forget')
    if answer.status != 202:
        raise common.BenchError(f'forget was answered {answer.status}')
    objects = bench.lab.cache_dir / 'v1' / 'objects'
    sides.until(lambda: not any(os.listdir(folder) for folder in objects.iterdir()), 'the cache is empty')


def wait_for_spool(bench) -> None:
    spool = bench.lab.cache_dir / 'v1' / 'spool'
    sides.until(lambda: not os.listdir(spool), 'the sidecar has admitted what was captured')


def tables(samples) -> list[Table]:
    rows, bounds = [], []
    for case in CASES:
        for side in SIDES:
            rows.append((case, side, *(common.median(samples, case, side, key)
                                       for key in ('rate', 'p50', 'p99', 'cpu_us', 'sidecar_us'))))
            if side != PLAIN:
                to_plain = common.ratio(samples, case, side, PLAIN, 'rate')
                least = LEAST.get((case, side))
                bounds.append((case, side, to_plain, common.verdict(to_plain, least),
                               common.difference(samples, case, side, PLAIN, 'cpu_us'),
                               common.ratio(samples, case, side, PLAIN, 'cpu_us')))
    return [Table('Requests', ('request', 'side', 'requests/s', 'p50 ms', 'p99 ms', 'CPU us each',
                               'sidecar CPU us each'), rows),
            Table('Compared with plain Swift', ('request', 'side', 'requests/s, ratio', 'required',
                                                'CPU us added to each', 'CPU, ratio'), bounds)]


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    learn = {'prefetcher': {'learner': 'sequence' if args.learn else 'off'}}
    with sides.running(args, sidecar_conf=learn) as bench:
        found = {PLAIN: bench.add(PLAIN), OFF: bench.add('off', 'prefetch', {'capture': 'off'}),
                 CAPTURE: bench.add('on', 'prefetch')}
        measure = Measure(bench, found, args)
        measure.prepare()
        common.say('warming up')
        common.interleaved(1, list(product(CASES[:2], SIDES)), measure)
        samples = common.interleaved(args.rounds, list(product(CASES, SIDES)), measure)
    common.show(args, facts, tables(samples), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
