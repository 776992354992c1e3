#!/usr/bin/env python3
"""A cache folder of a million entries: memory, restart, first hit, and eviction while the index is made anew.

    python tests/bench/million.py [--entries 1000000] [--json FILE]

Needs 4 KiB on disk for each entry.
"""
import json
import os
import re
import sys
import threading
import time
from configparser import RawConfigParser
from hashlib import md5
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, load, sides
from bench.common import Sample, Table
from swiftahead.cache import EntryMeta, Store
from swiftahead.cache.entry import encode_meta, pack_header
from swiftahead.conf.names import ObjectName

ENTRY_BYTES = 4096
# of the entries' bytes, in the part on eviction: so much of them may stay
KEPT_PERCENT = 60
NEW_OBJECTS = 50
# the sidecar reports every five seconds
REPORT_PATIENCE = 30.0
LOADED = re.compile(r'\b(\d+) entries of \d+ bytes')
MOST_BYTES, MOST_SECONDS = 400, 1.0
NOTES = (
    'Memory is what the process of the sidecar that keeps the index has of its own (RssAnon), less the same with '
    'an empty cache. Times begin when the programs are started; those that the sidecar reports are known to '
    'five seconds unless its log tells them. Ten million are calculated, not measured.',
)


def arguments(argv=None):
    parser = common.parser(__doc__)
    parser.add_argument('--entries', type=int, default=1_000_000, help='(%(default)s)')
    return parser.parse_args(argv)


# -- the folder --------------------------------------------------------------------------------------------

def make_entries(store: Store, account: str, count: int) -> None:
    """Whole, valid entries of empty objects, each used a second after the one before it."""
    etag = md5(b'', usedforsecurity=False).hexdigest()
    now = time.time()
    begin = now - count - 3600
    headers = (('Content-Type', 'text/plain'), ('Etag', etag), ('X-Timestamp', f'{begin:.5f}'),
               ('X-Backend-Timestamp', f'{begin:.5f}'), ('Content-Length', '0'))
    for number in range(count):
        name = ObjectName(account, sides.CONTAINER, f'entry-{number}')
        meta = EntryMeta(name, 0, headers, 0, 'read', begin)
        write_entry(store.layout.entry_path(store.naming.entry(name)), meta, begin + number)
        if number % 100_000 == 99_999:
            common.say(f'  {number + 1:,} entries, {time.time() - now:.0f} s')


def write_entry(path: str, meta: EntryMeta, used_at: float) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, pack_header(encode_meta(meta), 0, b'', None))
        os.utime(file, (used_at, used_at))
    finally:
        os.close(file)


def kept_entries(store: Store) -> dict[str, tuple[int, float]]:
    """Name -> bytes and time of use, of what is linked."""
    return {one.entry_name: (one.disk_bytes, one.used_at) for one in store.linked()}


def judge_eviction(before: dict, after: dict, cache_size: int) -> dict[str, float]:
    """Whether what went was older than what stayed, and what stayed fits.

    :param before, after: as of kept_entries
    """
    gone = [used_at for name, (_, used_at) in before.items() if name not in after]
    stayed = [used_at for name, (_, used_at) in after.items() if name in before]
    oldest = min(stayed, default=float('inf'))
    return {'evicted': len(gone), 'kept': len(stayed), 'evicted_though_newer': sum(one > oldest for one in gone),
            'bytes': sum(taken for taken, _ in after.values()), 'cache_size': cache_size}


# -- the lab's programs ------------------------------------------------------------------------------------

class Programs:
    """The lab's sidecar and its first proxy: stopped, started, and asked."""

    def __init__(self, bench):
        self._bench = bench
        self._lab = bench.lab
        self._log_at = 0
        self._begin = 0.0

    @property
    def proxy(self) -> sides.Side:
        return sides.Side('proxy1', self._lab.urls[0], self._lab.pid('proxy1') or 0)

    def stop(self, *names: str) -> None:
        for name in names:
            self._lab.stop(name)

    def start_sidecar(self) -> float:
        """:returns: when it was started, time.monotonic()"""
        self._log_at = self._lab.log('sidecar').stat().st_size
        begin = time.monotonic()
        self._begin = time.time()
        self._lab.start('sidecar')
        return begin

    def start_proxy(self) -> None:
        self._lab.start('proxy1')

    def report(self) -> dict:
        """The sidecar's, of this run; empty before there is one."""
        try:
            found = json.loads((self._lab.cache_dir / 'sidecar.json').read_text())
        except (OSError, ValueError):
            return {}
        return found if found['at'] >= self._begin else {}

    def wait_until_loaded(self, count: int) -> float:
        """Until the sidecar knows of so many entries. :returns: when"""
        sides.until(lambda: self._logged() >= count or self._reported() >= count,
                    f'the sidecar knows its {count:,} entries', REPORT_PATIENCE + count / 2000)
        return time.monotonic()

    def _reported(self) -> int:
        report = self.report()
        return -1 if report.get('rebuilding', True) else report['entries']

    def _logged(self) -> int:
        with self._lab.log('sidecar').open() as log:
            log.seek(self._log_at)
            found = LOADED.findall(log.read())
        return max(map(int, found), default=-1)

    def wait_for_report(self) -> dict:
        return sides.until(self.report, 'the sidecar reports', REPORT_PATIENCE)

    def memory(self) -> tuple[int, int]:
        """Bytes of the process that keeps the index: now, and the most that it ever had in RAM."""
        return max(((load.rss_bytes(pid), load.peak_bytes(pid)) for pid in
                    load.process_tree(self._lab.pid('sidecar') or 0)), default=(0, 0))

    def set_cache_size(self, size: int) -> None:
        path = self._lab.conf_path('sidecar')
        conf = RawConfigParser(delimiters=('=',))
        conf.read(path)
        conf['sidecar']['cache_size'] = str(size)
        with path.open('w') as file:
            conf.write(file)


class Reader(threading.Thread):
    """Reads new objects, again and again, while the sidecar makes its index."""

    def __init__(self, bench, proxy, paths):
        super().__init__()
        self._bench, self._proxy, self._paths = bench, proxy, paths
        self._stopped = threading.Event()
        self.failures = 0
        self.passes = 0

    def run(self):
        while not self._stopped.is_set():
            for path in self._paths:
                self.failures += self._bench.ask(self._proxy, 'GET', path).status != 200
                if self._stopped.wait(0.02):
                    return
            self.passes += 1

    def stop(self):
        self._stopped.set()
        self.join()


# -- what is measured --------------------------------------------------------------------------------------

def measure_restart(programs: Programs, bench, path: str, count: int) -> dict[str, float]:
    """Both programs started over the full folder: first hit, the whole index, its memory."""
    begin = programs.start_sidecar()
    programs.start_proxy()
    serving = time.monotonic()
    bench.until_hit(programs.proxy, path)
    hit = time.monotonic()
    loaded = programs.wait_until_loaded(count)
    now, most = programs.memory()
    return {'serving': serving - begin, 'first_hit': hit - serving, 'loaded': loaded - begin, 'rss': now,
            'peak': most}


def measure_eviction(programs: Programs, bench, store: Store) -> dict[str, float]:
    """The sidecar started with a smaller cache_size, while new objects are captured."""
    paths = [bench.put(programs.proxy, f'new-{number}', b'new') for number in range(NEW_OBJECTS)]
    programs.stop('sidecar')
    before = kept_entries(store)
    size = sum(taken for taken, _ in before.values()) * KEPT_PERCENT // 100
    programs.set_cache_size(size)
    reader = Reader(bench, programs.proxy, paths)
    begin = programs.start_sidecar()
    reader.start()
    try:
        sides.until(lambda: fits(programs.report(), size, len(before)), 'the cache fits its new size',
                    REPORT_PATIENCE + len(before) / 1000)
        end = time.monotonic()
        sides.until(lambda: reader.passes, 'all new objects have been read')
    finally:
        reader.stop()
    wait_until_settled(programs, store)
    after = kept_entries(store)
    found = judge_eviction(before, after, size)
    return {**found, 'fits': end - begin, 'index_off_by': abs(programs.report()['entries'] - len(after)),
            'new_kept': sum(store.has(name_of(path)) for path in paths), 'failed_reads': reader.failures}


def fits(report: dict, size: int, count: int) -> bool:
    """Whether the sidecar knows all entries, and says that they fit; too few of them are no answer."""
    return (bool(report) and not report['rebuilding'] and report['bytes'] <= size
            and report['entries'] >= count * KEPT_PERCENT // 200)


def wait_until_settled(programs, store) -> None:
    """Until nothing is waiting to be admitted, and the report has said so."""
    sides.until(lambda: not os.listdir(store.layout.spool), 'the spool is empty')
    now = time.time()
    sides.until(lambda: programs.report()['at'] > now, 'the sidecar reports again', REPORT_PATIENCE)


def name_of(path: str) -> ObjectName:
    return ObjectName(*path.split('/', 4)[2:])


def tables(count: int, empty: int, restart: dict, eviction: dict) -> list[Table]:
    each = (restart['rss'] - empty) / count
    over = eviction['bytes'] - eviction['cache_size']
    rows = [
        ('memory of the sidecar for each entry, bytes', each, common.judged(each, most=MOST_BYTES), each),
        ('the same, MB for all', each * count / 1e6, '', each * 1e1),
        ('its greatest memory while it starts, MB', restart['peak'] / 1e6, '',
         (empty + (restart['peak'] - empty) / count * 1e7) / 1e6),
        ('sidecar and proxy serve, seconds after their start', restart['serving'], '', None),
        ('first hit, seconds after they serve', restart['first_hit'],
         common.judged(restart['first_hit'], most=MOST_SECONDS), None),
        ('the whole index, seconds after the start', restart['loaded'], '', restart['loaded'] / count * 1e7),
    ]
    kept = [
        ('bytes above cache_size', over, common.judged(over, most=0)),
        ('seconds until the cache fits', eviction['fits'], ''),
        ('entries evicted', eviction['evicted'], ''),
        ('of these newer than the oldest kept', eviction['evicted_though_newer'],
         common.judged(eviction['evicted_though_newer'], most=0)),
        ('entries by which index and folder differ', eviction['index_off_by'],
         common.judged(eviction['index_off_by'], most=0)),
        (f'objects kept of {NEW_OBJECTS} that were read meanwhile', eviction['new_kept'],
         common.judged(eviction['new_kept'], least=NEW_OBJECTS)),
        ('reads that failed', eviction['failed_reads'], common.judged(eviction['failed_reads'], most=0)),
    ]
    return [Table(f'{count:,} entries', ('what', 'measured', 'required', 'ten million, calculated'), rows),
            Table(f'Started with a cache_size of {KEPT_PERCENT} % of what is there',
                  ('what', 'measured', 'required'), kept)]


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    size = args.entries * ENTRY_BYTES * 4 + (1 << 30)
    conf = {'sidecar': {'cache_size': str(size), 'free_space': '0'}, 'prefetcher': {'learner': 'off'}}
    with sides.running(args, sidecar_conf=conf) as bench:
        programs = Programs(bench)
        path = bench.put(programs.proxy, 'first', b'first')
        bench.until_hit(programs.proxy, path)
        programs.stop('sidecar')
        programs.start_sidecar()
        programs.wait_for_report()
        empty = programs.memory()[0]
        programs.stop('sidecar', 'proxy1')
        store = Store.open(bench.lab.cache_dir)
        common.say(f'writing {args.entries:,} entries')
        make_entries(store, bench.account.rpartition('/')[2], args.entries)
        common.say('starting sidecar and proxy')
        restart = measure_restart(programs, bench, path, args.entries)
        common.say('starting the sidecar with a smaller cache_size')
        eviction = measure_eviction(programs, bench, store)
    samples = [Sample('restart', 'sidecar', 0, {**restart, 'empty': empty}),
               Sample('eviction', 'sidecar', 0, eviction)]
    common.show(args, facts, tables(args.entries, empty, restart, eviction), samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
