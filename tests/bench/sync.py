#!/usr/bin/env python3
"""Upstream's swift-container-sync and the syncer, one after the other between two labs, each with fresh objects.

    python tests/bench/sync.py [--rounds 5] [--count 150] [--large 12] [--only small,latency] [--quick]
"""
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from helpers.lab import labs
from helpers.sync.clusters import Clusters, clusters

from bench import common, sync_memory
from bench.common import Sample, Spread, Table
from bench.passes import Daemon, make_pass
from demo.main import folders_with_xattrs

SYNCER, UPSTREAM, ONE_ROW = 'syncer', 'upstream', 'upstream, 1 row'
SIDES = {
    SYNCER: Daemon('syncer1', 'swiftahead-sidecar', 'syncer'),
    UPSTREAM: Daemon('container-sync1', 'swift-container-sync', 'container-sync'),
    ONE_ROW: Daemon('container-sync1', 'swift-container-sync', 'container-sync', 1),
}
CLIENTS = 4
LATENCY_MS = 20


@dataclass(frozen=True)
class Case:
    """Objects of one size.

    :param latency_ms: of the object servers of both labs
    """
    name: str
    bytes: int
    latency_ms: int
    sides: tuple[str, ...]
    has_second_look: bool = True


SMALL_CASE = Case('10 kB', 10_000, 0, (SYNCER, UPSTREAM))
LARGE_CASE = Case('10 MB', 10_000_000, 0, (SYNCER, UPSTREAM), has_second_look=False)
LATENCY_CASE = Case(f'10 kB, {LATENCY_MS} ms', 10_000, LATENCY_MS, (SYNCER, UPSTREAM, ONE_ROW))
CASES = {'small': SMALL_CASE, 'large': LARGE_CASE, 'latency': LATENCY_CASE}
MEMORY = 'memory'
FASTER, WITH_LATENCY, KEPT = 1.3, 5.0, 0.9
NOTES = (
    'Each run has a container of its own with fresh objects. Its time is that from the beginning of the first '
    "request for an object to the end of the last one, as the other cluster's proxy logged them; upstream's own "
    'window ends before the last rows are sent. The second look is the next pass over the same container, in '
    'which all rows are in step. One copy of each object, one proxy in each cluster. CPU ms for each object: of '
    'the daemon, less those of a pass with nothing to do, and of all servers of both clusters. HEAD, GET and PUT: '
    'the mean time of one, while others are under way.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument('--count', type=int, default=150, help='objects of 10 kB in each run (%(default)s)')
    parser.add_argument('--large', type=int, default=12, help='objects of 10 MB in each run (%(default)s)')
    parser.add_argument('--rows', type=int, default=1_000_000, help='of the container for memory (%(default)s)')
    parser.add_argument('--minutes', type=float, default=5, help='the most that memory takes (%(default)s)')
    parser.add_argument('--only', default=','.join([*CASES, MEMORY]), help='what to measure (%(default)s)')
    parser.add_argument('--quick', action='store_true', help='one round of few objects: the figures mean nothing')
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds, args.count, args.large, args.rows = 1, 20, 2, 20_000
    if args.nodes != 1:
        parser.error('--nodes: a daemon sends only its share of rows, so there is one node')
    wanted = args.only.split(',')
    if not set(wanted) <= {*CASES, MEMORY}:
        parser.error(f'--only {args.only}: there are {", ".join([*CASES, MEMORY])}')
    return args, wanted


# -- runs --------------------------------------------------------------------------------------------------

class Measure:
    """Fills a container, and has a daemon send it."""

    def __init__(self, pairs: dict[int, Clusters], counts: dict[str, int]):
        self._pairs = pairs
        self._counts = counts
        self._starts: dict[str, float] = {}

    def __call__(self, case_name: str, side: str):
        case = next(one for one in CASES.values() if one.name == case_name)
        pair, objects, daemon = self._pairs[case.latency_ms], self._counts[case_name], SIDES[side]
        source, target = pair[0].lab, pair[1].lab
        daemon.configure(source)
        start = self._start_cpu(side, source, target)
        container = pair.linked((0, 1))
        each_object(pair, container, objects, putting(case.bytes))
        first = make_pass(daemon, source, target, container)
        values, wrong = first.values(objects, start), self._wrong(pair, container, objects, first.count('PUT'))
        if case.has_second_look and not wrong:
            second = make_pass(daemon, source, target, container)
            values |= {f'second_{key}': value for key, value in second.values(objects, start).items()}
            wrong = self._wrong(pair, container, objects, second.count('HEAD'))
        self._clean(pair, container, objects, case)
        return values, wrong

    def _start_cpu(self, side, source, target) -> float:
        """Measure the CPU time of a pass with nothing to do."""
        if side not in self._starts:
            self._starts[side] = make_pass(SIDES[side], source, target, 'none').own_cpu
        return self._starts[side]

    @staticmethod
    def _wrong(pair, container, objects, done) -> dict[str, int]:
        """Tell what was not sent, or not looked at."""
        missing = objects - len(pair[1].names(container))
        return {key: number for key, number in (('missing', missing), ('not done', objects - done)) if number}

    @staticmethod
    def _clean(pair, container, objects, case):
        pair[0].client.post_container(container, {'X-Container-Sync-To': '', 'X-Container-Sync-Key': ''})
        if case is LARGE_CASE:
            for number in (0, 1):
                each_object(pair, container, objects, lambda client, *name: client.delete_object(*name), number)


def putting(size: int) -> Callable:
    body = Random(size).randbytes(size)
    return lambda client, container, name: client.put_object(container, name, body)


def each_object(pair: Clusters, container: str, objects: int, do: Callable, number: int = 0) -> None:
    """Call with each object of a side, by some clients at a time. :param do: takes client, container and name"""
    def some(first):
        with closing(labs.connection(pair[number].lab)) as client:
            for name in range(first, objects, CLIENTS):
                do(client, container, f'{name:06}')
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(some, range(CLIENTS)))


@contextmanager
def pairs_of(cases: list[Case], folder: Path) -> Iterator[dict[int, Clusters]]:
    """Put up two labs for each latency."""
    with ExitStack() as stack:
        yield {latency: stack.enter_context(clusters(folder / f'{latency}', latency_ms=latency))
               for latency in sorted({case.latency_ms for case in cases})}


# -- tables ------------------------------------------------------------------------------------------------

def tables(samples: list[Sample], cases: list[Case]) -> list[Table]:
    return [passes('First pass over fresh objects', samples, cases, ''),
            passes('Second look, all rows in step', samples, [case for case in cases if case.has_second_look],
                   'second_'), Table('Bounds', ('ratio', 'measured', 'required'), bounds(samples, cases))]


def passes(title, samples, cases, prefix) -> Table:
    keys = ('rate', 'head_ms', *(() if prefix else ('get_ms', 'put_ms')), 'own_ms', 'servers_ms')
    words = {'rate': 'rows/s' if prefix else 'objects/s', 'head_ms': 'HEAD ms', 'get_ms': 'GET ms',
             'put_ms': 'PUT ms', 'own_ms': "daemon's CPU ms", 'servers_ms': "servers' CPU ms"}
    rows = [(case.name, side, *(spread(samples, case, side, prefix + key) for key in keys))
            for case in cases for side in case.sides]
    return Table(title, ('objects', 'side', *(words[key] for key in keys)), rows)


def spread(samples, case, side, key) -> Spread | float | None:
    """Give a rate with its spread, and the median of what explains it."""
    found = common.spread(samples, case.name, side, key)
    return found if found is None or key.endswith('rate') else found.median


def bounds(samples: list[Sample], cases: list[Case]) -> list[tuple]:
    """Compare the syncer with upstream, and with itself without latency."""
    compared = [
        ('first pass', SMALL_CASE, UPSTREAM, 'rate', FASTER), ('first pass', LARGE_CASE, UPSTREAM, 'rate', FASTER),
        ('first pass', LATENCY_CASE, ONE_ROW, 'rate', WITH_LATENCY),
        ('first pass', LATENCY_CASE, UPSTREAM, 'rate', None),
        ('second look', SMALL_CASE, UPSTREAM, 'second_rate', None),
        ('second look', LATENCY_CASE, UPSTREAM, 'second_rate', WITH_LATENCY)]
    rows: list[tuple] = []
    for what, case, base, key, least in compared:
        if case in cases:
            found = common.ratio(samples, case.name, SYNCER, base, key)
            rows.append((f'{what}, {case.name}: {SYNCER} / {base}', found, common.verdict(found, least)))
    if SMALL_CASE in cases and LATENCY_CASE in cases:
        found = kept(samples)
        rows.append((f'first pass: {SYNCER} with {LATENCY_MS} ms / without', found, common.verdict(found, KEPT)))
    return rows


def kept(samples: list[Sample]) -> Spread | None:
    """Give the syncer's rate with latency to that without, round by round."""
    slow, fast = (common.values_of(samples, case.name, SYNCER, 'rate') for case in (LATENCY_CASE, SMALL_CASE))
    return Spread.of(value / fast[number] for number, value in slow.items() if number in fast)


def main(argv=None) -> None:
    args, wanted = arguments(argv)
    facts = common.machine()
    cases = [case for word, case in CASES.items() if word in wanted]
    parent = args.dir or next(folders_with_xattrs(), None)
    samples, shown = [], []
    with TemporaryDirectory(prefix='swiftahead-', dir=parent) as folder:
        if cases:
            counts = {SMALL_CASE.name: args.count, LARGE_CASE.name: args.large, LATENCY_CASE.name: args.count}
            with pairs_of(cases, Path(folder)) as pairs:
                samples = common.interleaved(args.rounds, [(case.name, side) for case in cases for side in
                                                           case.sides], Measure(pairs, counts))
            shown = tables(samples, cases)
        if MEMORY in wanted:
            shown.append(sync_memory.measured(Path(folder) / MEMORY, SIDES[SYNCER], args.rows, args.minutes))
    common.show(args, facts, shown, samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
