#!/usr/bin/env python3
"""Clients: requests per second with 1, 8 and 64 clients on hits, misses and a mix, against plain Swift.

    python tests/bench/clients.py [--rounds 5] [--seconds 4] [--clients 1,8,64] [--json FILE]
"""
import os
import sys
import time
from itertools import product
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, load, sides
from bench.common import Table
from bench.load import Load, Request
from bench.misses import wait_for_spool

PLAIN, FILTER = 'plain', 'filter'
SIDES = (PLAIN, FILTER)
# percent of the GETs that are for objects which lie in the cache
KINDS = {'hits': 100, 'misses': 0, 'mix': 80}
HOT = 20
# of all GETs; what a run has more or fewer hits than its kind should, it has for another reason
HITS_OFF = 0.02
FORGET_SECONDS = 5.0
SCRIPT = common.BENCH / 'shares.lua'
NOTES = (
    f'Hits: {HOT} objects that lie in the cache, in turn. Misses: each GET for another object, captured as it '
    f'comes; the cache is emptied of these before each run. Mix: {KINDS["mix"]} of 100 GETs are hits. Hits, %: as '
    'told by the answers. CPU is that of the processes of the proxy and of the sidecar during the run; the '
    'sidecar does not learn, since it would fetch what is to be a miss.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=5, seconds=4)
    parser.add_argument('--clients', default='1,8,64', help='connections (%(default)s)')
    parser.add_argument('--kinds', default=','.join(KINDS), help='what is read (%(default)s)')
    parser.add_argument('--size', type=int, default=10_000, help='bytes of each object (%(default)s)')
    parser.add_argument('--objects', type=int, default=4000,
                        help='that can be missed, once in a run; more where a run is to be longer (%(default)s)')
    return parser.parse_args(argv)


def case_of(kind: str, clients: int) -> str:
    return f'{kind}, {clients}'


class Measure:
    """One run of one side."""

    def __init__(self, bench, found, args, seconds):
        self._bench = bench
        self._found = found
        self._args = args
        self._seconds = seconds

    def prepare(self) -> None:
        """Put the objects, and have those in the cache that are to be hits."""
        names = [*(f'hot-{number}' for number in range(HOT)),
                 *(f'cold-{number}' for number in range(self._args.objects))]
        body = Random(1).randbytes(self._args.size)
        common.say(f'putting {len(names)} objects')
        run, _ = load.send(self._found[PLAIN].url, [Request('PUT', f'{self._bench.path}/{name}', body=body)
                                                    for name in names], 8, self._bench.headers)
        if run.failures:
            raise common.BenchError(f'objects could not be put: {run.failures}')
        for number in range(HOT):
            self._bench.until_hit(self._found[FILTER], f'{self._bench.path}/hot-{number}')

    def __call__(self, case: str, name: str):
        kind, clients = case.split(', ')
        side, percent = self._found[name], KINDS[kind]
        self._forget_cold()
        before = load.cpu_seconds(side.pid), self._sidecar()
        run, hits = load.wrk_hits(Load(side.url, int(clients), self._seconds, self._bench.headers, SCRIPT, (
            self._bench.path, str(HOT), str(self._args.objects), str(percent))))
        used = load.cpu_seconds(side.pid) - before[0], self._sidecar() - before[1]
        count = max(run.requests, 1)
        share = hits / count
        expected = percent / 100 if name == FILTER else 0
        # one more than two of a hundred, where there are few
        is_wrong = abs(share - expected) > HITS_OFF + 1 / count
        return {'rate': run.rate, 'cpu_us': used[0] / count * 1e6, 'sidecar_us': used[1] / count * 1e6,
                'p50': run.p50, 'p99': run.p99, 'hits': 100 * share}, {
                    **run.failures, **({'hits': hits, 'requests': run.requests} if is_wrong else {})}

    def _forget_cold(self):
        # again, since what a client still read when the run ended is captured after the first time
        sides.until(self._has_forgotten_cold, 'what is to be missed has left the cache')

    def _has_forgotten_cold(self):
        wait_for_spool(self._bench)
        answer = self._bench.ask(self._found[FILTER], 'POST', f'{self._bench.path}?prefetch=forget&prefix=cold-')
        if answer.status != 202:
            raise common.BenchError(f'forget was answered {answer.status}')
        objects = self._bench.lab.cache_dir / 'v1' / 'objects'
        deadline = time.monotonic() + FORGET_SECONDS
        while sum(len(os.listdir(folder)) for folder in objects.iterdir()) > HOT:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _sidecar(self):
        return load.cpu_seconds(self._bench.lab.pid('sidecar') or 0)


def tables(samples, cases) -> list[Table]:
    rows = []
    for case, name in product(cases, SIDES):
        kind, clients = case.split(', ')
        rows.append((kind, int(clients), name, *(
            common.median(samples, case, name, key)
            for key in ('rate', 'cpu_us', 'sidecar_us', 'p50', 'p99', 'hits')),
            common.ratio(samples, case, name, PLAIN, 'rate') if name != PLAIN else None,
            common.ratio(samples, case, name, PLAIN, 'cpu_us') if name != PLAIN else None))
    return [Table('Clients', ('read', 'clients', 'side', 'requests/s', 'CPU us each', 'sidecar CPU us each',
                              'p50 ms', 'p99 ms', 'hits, %', 'to plain', 'CPU, to plain'), rows)]


def main(argv=None) -> None:
    args = arguments(argv)
    cases = [case_of(kind, int(clients)) for kind, clients in product(
        args.kinds.split(','), args.clients.split(','))]
    common.need_programs('wrk')
    facts = common.machine()
    with sides.running(args, sidecar_conf={'prefetcher': {'learner': 'off'}}) as bench:
        found = {PLAIN: bench.add(PLAIN), FILTER: bench.add(FILTER, 'prefetch')}
        measure = Measure(bench, found, args, args.seconds)
        measure.prepare()
        runs = list(product(cases, SIDES))
        common.say('warming up')
        common.interleaved(1, runs, Measure(bench, found, args, 1))
        samples = common.interleaved(args.rounds, runs, measure)
    common.show(args, facts, tables(samples, cases), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
