#!/usr/bin/env python3
"""Hub stall: how long an unrelated request waits while others read large objects from the same worker.

    python tests/bench/stall.py [--rounds 3] [--seconds 8] [--json FILE]
        [--variant 'cache.reader.BLOCKS_AT_A_TIME=16'] [--variant 'cache.reader.BLOCKS_AT_A_TIME=16 tpool']
"""
import http.client
import os
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, load, sides
from bench.common import Table
from bench.load import Load

MIB = 1024 * 1024
SIZE = 64 * MIB
READERS = 2
# more than the cache holds: read in turn, each is a miss
MISSES = 10
CACHE_SIZE = '256 MiB'
DROP_SECONDS = 0.05
DROP_ALL = Path('/proc/sys/vm/drop_caches')
PLAIN, FILTER = 'plain', 'filter'
NOTES = (
    f'While {READERS} clients read objects of {SIZE // MIB} MiB, single connections ask the same worker for '
    'something small, one request after the other. Cold: what has been read of the entry is dropped from the page '
    'cache every 50 ms, so that reads come from the disk.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=3, seconds=8)
    parser.add_argument('--probe', choices=('healthcheck', 'head'), default='healthcheck',
                        help='the unrelated request; head: of a small object (%(default)s)')
    parser.add_argument('--probes', type=int, default=2, help='connections that send it (%(default)s)')
    parser.add_argument('--drop', choices=('entry', 'all'), default='entry',
                        help='what of the page cache: the entry (posix_fadvise), or all of it '
                             '(/proc/sys/vm/drop_caches, root alone, slows the whole machine) (%(default)s)')
    parser.add_argument('--variant', action='append', default=[], metavar='TEXT',
                        help='one more filter, with constants changed as bench/variant.py says; may be repeated')
    args = parser.parse_args(argv)
    if args.drop == 'all' and not os.access(DROP_ALL, os.W_OK):
        parser.error(f'--drop all needs write access to {DROP_ALL}')
    return args


class Probe(threading.Thread):
    """Asks one worker, over one connection, until it is stopped. Latencies in milliseconds."""

    PAUSE = 0.001

    def __init__(self, side, path, headers):
        super().__init__()
        self.latencies: list[float] = []
        self.failures = 0
        self._netloc = urlsplit(side.url).netloc
        self._path = path
        self._headers = headers
        self._stopped = threading.Event()

    def run(self):
        client = http.client.HTTPConnection(self._netloc, timeout=load.TIMEOUT_SECONDS)
        try:
            while not self._stopped.wait(self.PAUSE):
                self._ask(client)
        finally:
            client.close()

    def _ask(self, client):
        begin = time.perf_counter()
        try:
            client.request('HEAD' if self._headers else 'GET', self._path, headers=self._headers)
            response = client.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            client.close()
            self.failures += 1
            return
        self.latencies.append((time.perf_counter() - begin) * 1000)
        self.failures += response.status != 200

    def stop(self):
        self._stopped.set()
        self.join()


@contextmanager
def dropping(drop):
    """Drop from the page cache again and again, until the block ends."""
    stopped = threading.Event()

    def work():
        while not stopped.wait(DROP_SECONDS):
            drop()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def drop_entries(folder: Path) -> None:
    """What the page cache has of the large entries."""
    for path in folder.glob('*/*'):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            if os.fstat(file).st_size > SIZE:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def drop_all() -> None:
    DROP_ALL.write_text('3')


class Measure:
    """One situation of one side: 'idle', 'hits', 'cold hits' or 'misses'."""

    def __init__(self, bench, found, args):
        self._bench = bench
        self._found = found
        self._args = args
        self._probed = '/healthcheck'
        self._probe_headers: dict[str, str] = {}
        self._drop = drop_all if args.drop == 'all' else partial(
            drop_entries, bench.lab.cache_dir / 'v1' / 'objects')

    def prepare(self) -> None:
        plain, body = self._found[PLAIN], Random(1).randbytes(SIZE)
        for number in range(MISSES):
            self._bench.put(plain, f'big-{number}', body)
        self._bench.put(plain, 'hot', body)
        if self._args.probe == 'head':
            self._probed = self._bench.put(plain, 'small', b'small')
            self._probe_headers = self._bench.headers

    def __call__(self, situation: str, name: str):
        side = self._found[name]
        if 'hits' in situation and name != PLAIN:
            self._bench.until_hit(side, f'{self._bench.path}/hot')
            # dirty pages cannot be dropped
            os.sync()
        probes = [Probe(side, self._probed, self._probe_headers) for _ in range(self._args.probes)]
        before = disk_bytes(side.pid)
        for probe in probes:
            probe.start()
        try:
            with self._cold(situation):
                run = self._load(situation, side)
        finally:
            for probe in probes:
                probe.stop()
        return self._values(probes, run, disk_bytes(side.pid) - before)

    def _cold(self, situation) -> AbstractContextManager:
        return dropping(self._drop) if situation == 'cold hits' else nullcontext()

    def _load(self, situation, side):
        path, seconds = self._bench.path, self._args.seconds
        if situation == 'idle':
            time.sleep(seconds)
            return None
        if situation == 'misses':
            return load.wrk(Load(side.url, READERS, seconds, self._bench.headers, common.BENCH / 'cycle.lua',
                                 (f'{path}/big', str(MISSES))))
        return load.wrk(Load(f'{side.url}{path}/hot', READERS, seconds, self._bench.headers))

    def _values(self, probes, run, read):
        latencies = sorted(one for probe in probes for one in probe.latencies)
        failures = {'probe': sum(probe.failures for probe in probes)} if any(
            probe.failures for probe in probes) else {}
        found = {'probes': len(latencies), **{f'p{share:g}': load.percentile(latencies, share)
                                              for share in (50, 99, 99.9, 100)}}
        if run is not None:
            found |= {'MB/s': run.bytes / run.seconds / 1e6, 'disk': read / run.seconds / 1e6}
            failures |= run.failures
        return found, failures


def disk_bytes(pid: int) -> int:
    """What a process and its descendants have had read from the disk."""
    total = 0
    for one in load.process_tree(pid):
        for line in Path(f'/proc/{one}/io').read_text().splitlines():
            total += int(line.split()[1]) if line.startswith('read_bytes') else 0
    return total


def tables(samples, situations) -> list[Table]:
    keys = ('probes', 'p50', 'p99', 'p99.9', 'p100', 'MB/s', 'disk')
    rows = []
    for situation, name in situations:
        measured = [common.spread(samples, situation, name, key) if key == 'p99.9' else
                    common.median(samples, situation, name, key) for key in keys]
        rows.append((situation, name, *measured))
    return [Table('An unrelated request meanwhile', ('load', 'side', 'requests', 'p50 ms', 'p99 ms', 'p99.9 ms',
                                                     'longest ms', 'load MB/s', 'from disk MB/s'), rows)]


def main(argv=None) -> None:
    args = arguments(argv)
    common.need_programs('wrk')
    facts = common.machine()
    conf = {'prefetcher': {'learner': 'off'}, 'sidecar': {'cache_size': CACHE_SIZE}}
    with sides.running(args, sidecar_conf=conf) as bench:
        found = {PLAIN: bench.add(PLAIN), FILTER: bench.add(FILTER, 'prefetch')}
        for number, variant in enumerate(args.variant):
            found[variant] = bench.add(f'variant{number}', 'prefetch', {
                'use': 'call:bench.variant:filter_factory', 'variant': variant})
        measure = Measure(bench, found, args)
        measure.prepare()
        filters = [name for name in found if name != PLAIN]
        situations = [('idle', PLAIN), ('hits', PLAIN), ('idle', FILTER), ('misses', PLAIN), ('misses', FILTER),
                      *((kind, name) for kind in ('hits', 'cold hits') for name in filters)]
        samples = common.interleaved(args.rounds, situations, measure)
    common.show(args, facts, tables(samples, situations), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
