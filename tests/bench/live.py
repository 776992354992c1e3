#!/usr/bin/env python3
"""A trace read through real clusters: without the filter, with a cache, and with a cache that learns.

    python tests/bench/live.py --trace FILE [--speed 10] [--cache 10] [--latency-ms 20] [--clients N] [--proxies 2]

Each system is a lab of its own, read at the same time as the others, or with --in-turn after the others. With
--clients N each of N clients reads the whole trace, beginning where another is a part of the way. With --proxies 2
there are two proxies, each with a cache and a sidecar of its own as on two machines, and HAProxy before them, that
gives each request to the next proxy, or all of a client to the same one.
"""
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from swiftclient import ClientException

from bench import apart, common
from bench.common import Table
from demo import systems, tracefile
from demo.main import folders_with_xattrs
from demo.replay import Login, Pass, TimedRead
from swiftahead.cache.entry import expected_disk_bytes
from swiftahead.lab import Lab

PASSES = 2
HALF = 0.5
PLAIN, ONE, SPLIT, HASHED = 'Swift alone', 'one proxy', 'two proxies, split', 'two proxies, by client'
NOTES = (
    'Seconds are from the first byte of a GET to the last of its answer, at the client; all answers were compared '
    'with what had been uploaded. A read waits as long after the one before as it did in the trace, divided by '
    'the speed: a slower system is asked less often. What a miss costs: the mean of the misses with learning off, '
    'less that of the same reads without the filter.',
)


@dataclass(frozen=True)
class System:
    """
    :param eviction: '' without the filter
    :param balance: of HAProxy before two proxies, or ''
    """
    name: str
    eviction: str = ''
    learns: bool = True
    balance: str = ''
    admit: str = 'all'

    def confs(self, cache_bytes: int) -> dict:
        return {'filter': bool(self.eviction), 'sidecar': bool(self.eviction),
                'proxies': 2 if self.balance else 1,
                'sidecar_conf': {'sidecar': {'cache_size': str(cache_bytes), 'eviction': self.eviction,
                                             'admit': self.admit},
                                 'prefetcher': {'learner': 'sequence' if self.learns else 'off'}}
                if self.eviction else {}}


@dataclass(frozen=True)
class Work:
    """What all systems are given to do."""
    plan: dict[str, list[tracefile.Step]]
    bodies: dict[str, systems.Body]
    cache_bytes: int
    passes: int = PASSES


@dataclass
class Result:
    """The readings of each pass."""
    system: System
    passes: list[list[TimedRead]] = field(default_factory=list)
    error: Exception | None = None


def arguments(argv=None):
    parser = common.parser(__doc__)
    parser.add_argument('--trace', type=Path, required=True, help='offset_ms[,client],object,bytes')
    parser.add_argument('--speed', type=float, default=10, help='divides the waits between reads (%(default)s)')
    parser.add_argument('--cache', type=float, default=10, help='percent of the footprint (%(default)s)')
    parser.add_argument('--latency-ms', type=float, default=20, help='delay of the object servers (%(default)s)')
    parser.add_argument('--eviction', nargs='+', default=['lru', 'gdsf'], help='of the caches (%(default)s)')
    parser.add_argument('--limit', type=int, default=None, help='reads of the trace, the first ones (all)')
    parser.add_argument('--clients', type=int, default=0, help='that read the whole trace each (as in the trace)')
    parser.add_argument('--proxies', type=int, choices=(1, 2), default=1, help='%(default)s')
    parser.add_argument('--in-turn', action='store_true', help='one system after the other: where the load of all '
                        'together would be felt')
    return parser.parse_args(argv)


def chosen(args) -> list[System]:
    if args.proxies == 2:
        eviction = args.eviction[-1]
        return [System(PLAIN), System(ONE, eviction), System(SPLIT, eviction, True, apart.SPLIT),
                System(HASHED, eviction, True, apart.HASHED)]
    return [System(PLAIN), *(System(f'{eviction}, learning {"on" if learns else "off"}', eviction, learns)
                             for eviction in args.eviction for learns in (False, True))]


def prepared(args) -> Work:
    """:raises TraceError:"""
    reads = tracefile.read_trace(args.trace)[:args.limit]
    sizes = tracefile.sizes(reads)
    if args.clients:
        reads = list(shifted(reads, args.clients))
    footprint = sum(expected_disk_bytes(size) for size in sizes.values())
    cache_bytes = int(footprint * args.cache / 100)
    return Work(tracefile.steps(reads, args.speed), systems.made_up_bodies(sizes), cache_bytes)


def shifted(reads: Sequence[tracefile.TraceRead], clients: int) -> Iterator[tracefile.TraceRead]:
    """Each client reads all of it once, by the usual gap, and begins where another is a part of the way."""
    count = len(reads)
    gap = fmean(after.offset - before.offset for before, after in pairwise(reads))
    for number in range(count):
        for client in range(clients):
            read = reads[(number + client * count // clients) % count]
            yield tracefile.TraceRead((number + client / clients) * gap, str(client), read.object, read.size)


# -- reading -----------------------------------------------------------------------------------------------

class Runs:
    """All systems at once; they wait for each other before each pass."""

    def __init__(self, args, work: Work, folder: Path, chosen: Sequence[System]):
        self._args = args
        self._work = work
        self._folder = folder
        self._together = threading.Barrier(len(chosen))
        self._labs: list[Lab] = []
        self.results = [Result(system) for system in chosen]

    def run(self, then: Callable[[Lab], None] = lambda lab: None) -> list[Result]:
        """:param then: is told of each lab when all was read, and before it is taken down
        :raises BenchError: what went wrong
        """
        threads = [threading.Thread(target=self._one, args=(number, result), name=result.system.name)
                   for number, result in enumerate(self.results)]
        # labs are put up one after the other, since they look for free ports
        with ExitStack() as stack:
            self._accounts = [self._up(stack, number, result.system) for number, result in enumerate(self.results)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for lab in self._labs:
                then(lab)
        errors = [f'{one.system.name}: {one.error!r}' for one in self.results if one.error]
        if errors:
            raise common.BenchError('; '.join(errors))
        return self.results

    def _up(self, stack: ExitStack, number: int, system: System) -> tuple[Login, dict[str, str]]:
        common.say(f'  {system.name}: a lab, and {len(self._work.bodies)} objects')
        lab = stack.enter_context(Lab(
            self._folder / str(number), nodes=self._args.nodes, replicas=min(3, self._args.nodes),
            policies=('gold',), latency_ms=self._args.latency_ms, **system.confs(self._work.cache_bytes)))
        self._labs.append(lab)
        url = stack.enter_context(front(lab, system))
        account = systems.log_in(f'{url}/auth/v1.0')
        # Swift names the proxy that was asked, not the balancer
        account = Login(f'{url}/v1/{account.storage_url.rpartition("/")[2]}', account.token, account.container)
        return account, systems.upload(account, self._work.bodies, lambda done: None)

    def _one(self, number, result):
        account, digests = self._accounts[number]
        try:
            for _ in range(self._work.passes):
                self._together.wait()
                result.passes.append(Pass(account, self._work.plan, digests).run())
                common.say(f'  {result.system.name}, pass {len(result.passes)}: '
                           f'{figures(result.passes[-1])["mean"]:.1f} ms')
        except threading.BrokenBarrierError:
            # another one says why
            return
        except Exception as error:  # noqa: BLE001 - told by run()
            result.error = error
            self._together.abort()


@contextmanager
def front(lab: Lab, system: System) -> Iterator[str]:
    """Where the clients go."""
    if not system.balance:
        yield lab.urls[0]
        return
    with apart.each_its_own(lab), apart.balancer(lab, system.balance) as url:
        yield url


# -- figures -----------------------------------------------------------------------------------------------

def figures(readings: Sequence[TimedRead]) -> dict[str, float]:
    """Shares of the reads, and milliseconds."""
    times = sorted(reading.seconds * 1000 for reading in readings)
    return {'hits': fmean(reading.hit for reading in readings),
            'prefetched': fmean(reading.prefetched for reading in readings),
            'mean': fmean(times), **{f'p{percent}': times[ceil(len(times) * percent / 100) - 1]
                                     for percent in (50, 95)}}


def miss_cost(plain: Iterable[TimedRead], cached: Iterable[TimedRead]) -> float | None:
    """Milliseconds by which a miss is slower than the same reads without the filter."""
    usual: dict[str, list[float]] = {}
    for reading in plain:
        usual.setdefault(reading.object, []).append(reading.seconds * 1000)
    more = [reading.seconds * 1000 - fmean(usual[reading.object]) for reading in cached if not reading.hit]
    return fmean(more) if more else None


def tables(results: Sequence[Result]) -> list[Table]:
    rows = []
    for result in results:
        for number, readings in enumerate(result.passes, 1):
            found = figures(readings)
            rows.append((result.system.name, number, len(readings), f'{found["hits"]:.3f}',
                         f'{found["prefetched"]:.3f}', found['mean'], found['p50'], found['p95']))
    measured = Table('Reads of the trace', ('system', 'pass', 'reads', 'hits', 'prefetched hits', 'mean ms', 'p50',
                                            'p95'), rows)
    pairs = [(off, on) for off in results for on in results
             if off.system.eviction == on.system.eviction and on.system.learns and not off.system.learns]
    if pairs:
        return [measured, compared(results[0], pairs)]
    return [measured, apart_compared(results)]


def compared(plain: Result, pairs) -> Table:
    rows = []
    for off, on in pairs:
        (first, second), (_, unlearned), (ours_first, ours) = (
            [figures(readings)['mean'] for readings in result.passes] for result in (plain, off, on))
        cost, more = miss_cost(plain.passes[0], off.passes[0]), ours_first - first
        rows.append((on.system.eviction, ours / second, common.judged(ours / second, most=HALF),
                     ours / unlearned, common.judged(ours / unlearned, most=1.0),
                     more, cost, common.judged(more, most=round(cost, 2)) if cost is not None else ''))
    return Table('Learning on, compared', (
        'eviction', 'pass 2, mean to Swift alone', 'required', 'pass 2, mean to learning off', 'required',
        'pass 1, ms more than Swift alone', 'a miss, ms more', 'required'), rows)


def apart_compared(results: Sequence[Result]) -> Table:
    one = next(result for result in results if result.system.name == ONE)
    rows = []
    for result in results:
        if result.system.eviction:
            found, base = figures(result.passes[-1]), figures(one.passes[-1])
            rows.append((result.system.name, found['hits'] - base['hits'], found['mean'] / base['mean']))
    return Table('Compared with one proxy, pass 2', ('system', 'hits, more', 'mean, ratio'), rows)


def wrong(results: Sequence[Result]) -> int:
    return sum(not reading.right for result in results for readings in result.passes for reading in readings)


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    if args.proxies == 2:
        common.need_programs('haproxy')
    try:
        work = prepared(args)
        with TemporaryDirectory(prefix='swiftahead-', dir=args.dir or next(folders_with_xattrs(), None)) as folder:
            results = []
            for number, group in enumerate([[one] for one in chosen(args)] if args.in_turn else [chosen(args)]):
                results += Runs(args, work, Path(folder) / str(number), group).run()
    except (tracefile.TraceError, ClientException, OSError) as error:
        raise common.BenchError(str(error)) from None
    if wrong(results):
        raise common.BenchError(f'{wrong(results)} answers were not what had been uploaded')
    args.trace = args.trace.name
    common.show(args, facts, tables(results), (), NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
