#!/usr/bin/env python3
"""Whether the sidecar's cache hits as often as `swiftahead plan` says: one trace through both.

    python tests/bench/agreement.py TRACE [--cache-size 10] [--passes 10] [--json FILE]

The one side is the replay of `plan`; the other a cache folder with the sidecar's own manager, into which each miss
is written, checked and linked, and out of which files are evicted. Bodies are as large as the trace says, divided
by --scale.
"""
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import md5
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from helpers.common.builders import ListLogger

from bench import common
from bench.common import Table
from swiftahead.cache import EntryMeta, Stamp, Store
from swiftahead.cache.entry import expected_disk_bytes
from swiftahead.conf.names import ObjectName
from swiftahead.eviction.admission import ADMISSIONS
from swiftahead.eviction.evictor import CacheLimits, Tools
from swiftahead.eviction.manager import CacheManager
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.grid import requests
from swiftahead.plan.replay import ReplaySettings, replay
from swiftahead.plan.room import HIGH, LOW
from swiftahead.plan.traces import read_all

NOTES = ('The cache size is percent of what all objects take on disk; water marks are the defaults.',)


def arguments(argv=None):
    parser = common.parser(__doc__)
    parser.add_argument('trace', help='CSV with the header offset_ms[,client],object,bytes, or an access log')
    parser.add_argument('--cache-size', type=float, default=10, metavar='PERCENT', help='(%(default)s)')
    parser.add_argument('--passes', type=int, default=10, help='(%(default)s)')
    parser.add_argument('--scale', type=int, default=1, help='sizes are divided by it (%(default)s)')
    return parser.parse_args(argv)


class Cache:
    """The sidecar's part of a read, and of the filter's what it needs: is it there, and if not, here it is."""

    def __init__(self, folder: Path, limits: CacheLimits):
        self.store = Store.create(folder)
        self.now = 0.0
        self.manager = CacheManager(self.store, limits, ListLogger(), Tools(clock=lambda: self.now))
        self.manager.load()

    def read(self, request: LogRead) -> bool:
        """Whether it was a hit."""
        self.now, name = request.at, name_of(request)
        is_hit = self.store.has(name)
        if is_hit:
            self.manager.touch(self.store.naming.entry(name))
        else:
            self._admit(name, request.bytes, 'read')
        return is_hit

    def prefetch(self, request: LogRead, idle: float) -> bool:
        """Fetched ahead, if what must go for it was idle for so many seconds; whether it was."""
        self.now, name = request.at, name_of(request)
        return (not self.store.has(name) and self.manager.may_prefetch(idle=idle)
                and self._admit(name, request.bytes, 'prefetch', idle))

    def _admit(self, name, size, origin, idle=None):
        admitted = self.manager.admit(self._spooled(name, size, origin), idle)
        if admitted:
            os.utime(self.store.layout.entry(self.store.naming.entry(name)), (self.now, self.now))
        return admitted

    def _spooled(self, name, size, origin):
        body = b'x' * size
        headers = (('Content-Length', str(size)), ('Etag', md5(body, usedforsecurity=False).hexdigest()),
                   ('X-Backend-Timestamp', '1700000000.00000'))
        meta = EntryMeta(name, 0, headers, size, origin, self.now)
        writer = self.store.writer(meta)
        try:
            writer.write(body)
            writer.finish(Stamp('token', self.now))
        finally:
            writer.close()
        return writer.name


def name_of(request: LogRead) -> ObjectName:
    return ObjectName(request.account or 'AUTH_a', request.container or 'c', request.object)


def kept_hits(reads: Sequence[LogRead], limits: CacheLimits, folder: Path) -> int:
    """Hits of a real cache folder, which at the end holds what its index says."""
    cache = Cache(folder, limits)
    hits = sum(cache.read(request) for request in reads)
    held = {item.entry_name: item.disk_bytes for item in cache.store.linked()}
    assert sum(held.values()) == cache.manager.inventory.total <= limits.size
    assert held == {name: cache.manager.inventory.size_of(name) for name in held}
    return hits


def planned_hits(reads: Sequence[LogRead], limits: CacheLimits) -> int:
    """Hits of plan's replay."""
    return replay(reads, settings(limits)).hits


def settings(limits: CacheLimits) -> ReplaySettings:
    return ReplaySettings(limits.size, POLICIES[limits.eviction], None, lambda size: 0.0,
                    admission=ADMISSIONS[limits.admit], disk_bytes=expected_disk_bytes,
                    high=limits.high, low=limits.low)


def footprint(reads: Sequence[LogRead]) -> int:
    """Bytes on disk of all objects."""
    return sum({read[2:5]: expected_disk_bytes(read.bytes) for read in reads}.values())


def rows(reads: Sequence[LogRead], size: int, admit: str) -> Iterator[tuple]:
    for eviction in POLICIES:
        limits = CacheLimits(size, HIGH, LOW, 0, eviction, admit)
        planned = planned_hits(reads, limits)
        with tempfile.TemporaryDirectory(prefix='swiftahead-') as folder:
            kept = kept_hits(reads, limits, Path(folder) / 'cache')
        common.say(f'  {eviction}, {admit}: {planned} {kept}')
        off = abs(kept - planned)
        yield (eviction, admit, planned / len(reads) * 100, kept / len(reads) * 100, off,
               common.judged(off, most=0))


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    trace, = read_all([args.trace], common.say)
    scaled = [read._replace(bytes=read.bytes // args.scale) for read in trace.reads]
    reads = [request for number in range(args.passes) for request in requests(scaled, number)]
    size = int(footprint(scaled) * args.cache_size / 100)
    table = Table(f'{len(reads):,} reads of {Path(args.trace).name}, {size:,} bytes: hits in percent',
                  ('eviction', 'admit', 'plan', 'manager', 'hits off', 'wanted'),
                  [row for admit in ADMISSIONS for row in rows(reads, size, admit)])
    args.trace = Path(args.trace).name
    common.show(args, facts, [table], notes=NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
