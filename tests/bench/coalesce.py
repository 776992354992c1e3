#!/usr/bin/env python3
"""Coalescing: many simultaneous readers of one object that is not cached, with and without the filter.

    python tests/bench/coalesce.py [--rounds 5] [--readers 200] [--size 10000000] [--json FILE]
"""
import hashlib
import re
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, crowd, load, sides
from bench.common import Table
from bench.misses import wait_for_spool

PLAIN, FILTER = 'plain', 'filter'
# of a line of an object server: status and sender, whose pid is a proxy worker's
LOGGED = r'"GET /[^/ ]+/\d+/{}" (?:200|206) \S+ "[^"]*" "[^"]*" "([^"]*)"'
# that an object server may take to log what its client has had the end of
LOG_SECONDS = 0.5
NOTES = (
    'All connections are there before the first GET is sent. Each run is of an object that nobody has read '
    'before. GETs are those that the object servers logged, by the worker that sent them; most of one worker: '
    'the greatest number of any worker. Times are of the readers, from the first GET on. A ratio above 1: the '
    'last reader is done later than with plain Swift in the same round.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument('--readers', type=int, default=200, help='at the same moment (%(default)s)')
    parser.add_argument('--size', type=int, default=10_000_000, help='bytes of the object (%(default)s)')
    parser.add_argument('--workers', default='1,2', help='of the proxy (%(default)s)')
    return parser.parse_args(argv)


def side_name(name: str, workers: str) -> str:
    return f'{name}{workers}'


class Measure:
    """One run: a new object, read by all at once."""

    def __init__(self, bench, found, args):
        self._bench = bench
        self._found = found
        self._args = args
        self._numbers = count()

    def __call__(self, workers: str, name: str):
        side = self._found[side_name(name, workers)]
        object_name = f'cold-{next(self._numbers)}'
        body = Random(object_name).randbytes(self._args.size)
        path = self._bench.put(self._found[side_name(PLAIN, workers)], object_name, body)
        before = load.cpu_seconds(side.pid)
        seen = crowd.read(side.url, path, self._bench.headers, self._args.readers,
                          hashlib.md5(body, usedforsecurity=False).hexdigest())
        used = load.cpu_seconds(side.pid) - before
        wait_for_spool(self._bench)
        gets = self._gets(path)
        return {'last': seen.last, 'median': seen.median, 'first byte': seen.first_byte, 'cpu': used,
                'gets': sum(gets.values()), 'most': max(gets.values(), default=0),
                'senders': len(gets)}, seen.failures

    def _gets(self, path) -> Counter:
        """Of the object, by the process that sent them."""
        time.sleep(LOG_SECONDS)
        logs = [self._bench.lab.log(f'object{number}') for number in range(1, self._args.nodes + 1)]
        return gets_in('\n'.join(log.read_text() for log in logs), path)


def gets_in(text: str, path: str) -> Counter:
    """Sender -> GETs of the object that object servers logged. :param path: of the proxy, from the root"""
    return Counter(re.findall(LOGGED.format(re.escape(path.split('/', 2)[2])), text))


def tables(samples, workers) -> list[Table]:
    rows, compared = [], []
    for number in workers:
        for name in (PLAIN, FILTER):
            rows.append((int(number), name, common.spread(samples, number, name, 'last'), *(
                common.median(samples, number, name, key)
                for key in ('median', 'first byte', 'cpu', 'gets', 'most', 'senders'))))
        most = common.spread(samples, number, FILTER, 'most')
        later = common.ratio(samples, number, FILTER, PLAIN, 'last')
        compared += [(f'{number} workers: last reader, filter / plain', later, common.verdict(later, most=1.0)),
                     (f'{number} workers: GETs of one worker', most, common.judged(most and most.high, most=1))]
    return [Table('Readers of one cold object', ('workers', 'side', 'last reader, s', 'median reader, s',
                                                 'first byte of the last, s', 'CPU s of the proxy', 'backend GETs',
                                                 'most of one worker', 'workers that sent'), rows),
            Table('Bounds', ('figure', 'measured', 'required'), compared)]


def main(argv=None) -> None:
    args = arguments(argv)
    workers = args.workers.split(',')
    facts = common.machine()
    with sides.running(args, sidecar_conf={'prefetcher': {'learner': 'off'}}) as bench:
        found = {}
        for number in workers:
            for name, filter_name in ((PLAIN, ''), (FILTER, 'prefetch')):
                called = side_name(name, number)
                found[called] = bench.add(called, filter_name, workers=int(number))
        measure = Measure(bench, found, args)
        runs = [(number, name) for number in workers for name in (PLAIN, FILTER)]
        common.say('warming up')
        common.interleaved(1, runs, measure)
        samples = common.interleaved(args.rounds, runs, measure)
    common.show(args, facts, tables(samples, workers), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
