"""The keeper of the cache: the only one to link and unlink entries, and the only one to count them.

Who writes the folder of entries: this process alone, one change at a time (`_turn`). Its index is in memory.
After a start the folder is read in the background, one of its 256 folders at a time (`rebuild_step`), and the
index made in the order of the files' times; entries come and go meanwhile. How many bytes an earlier process
left is told by the ledger, so that the bound holds from the first moment on.

What holds after a crash: linked bytes are at most what the ledger says, and that is at most the cache's size,
unless that was larger before; then they do not grow.

What cannot be unlinked stays counted, and is tried again by `upkeep`.
"""
import os

from swift.common.concurrency import Semaphore, sleep

from ..cache import CacheError, Store
from ..cache.entry import rounded
from ..conf.names import PREFETCH, SEGMENT, WHOLE
from .admission import Admission
from .evictor import IDLE_SECONDS, CacheLimits, Evictor, Tools
from .inventory import Inventory
from .last_reads import Fetched
from .loader import Loader, read_folder
from .purge import Purge
from .size_bound import SizeBound

# entries that go into the index without a pause: some milliseconds
MERGE_AT_A_TIME = 1000
# of what was read so far, the part that may be evicted before all is read: what goes is old then
OLD_PART = 0.1


class Stopped(Exception):
    """The keeper was closed; a spool file was left where it is."""


class CacheManager:
    """
    :param idle: seconds after the last use from which on an entry may be evicted for a prefetched one, where
        nothing else is said
    """

    def __init__(self, store: Store, limits: CacheLimits, logger, tools: Tools | None = None,
                 idle: float = IDLE_SECONDS):
        tools = tools or Tools()
        self.store = store
        self.limits = limits
        self._logger = logger
        self._execute, self._count, self._clock = tools.execute, tools.count, tools.clock
        self._idle = idle
        self._ledger = SizeBound(store.layout.objects.with_name('linked'), limits.size)
        self._evictor = Evictor(store, limits, tools, logger)
        self.holdings = Inventory(limits.size, Loader(store.layout.objects, self._ledger.bound, limits.high_bytes),
                                 self._evict_one, limits.eviction)
        self._admission = Admission(limits.admit, store, self.has, self._execute)
        self._turn = Semaphore()
        self._purge = Purge(store, self.holdings, self._evictor, self._turn, tools)
        self._scan_turn = Semaphore()
        self._settled = False
        self._closed = False

    @property
    def index(self):
        return self.holdings.index

    def has(self, entry_name: str) -> bool:
        """Whether there is such an entry; asks the folder only where the index does not know yet."""
        return entry_name in self.holdings or (
            self.holdings.scan is not None and os.path.exists(self.store.layout.entry_path(entry_name)))

    def touch(self, entry_name: str) -> Fetched | None:
        """It was read. Tells how it had been fetched, where that was the first time since."""
        self.holdings.touch(entry_name)
        self._admission.read(entry_name)
        self._evictor.uses.note(entry_name, self._clock())
        return self._evictor.unread.pop(entry_name)

    def expect(self, entry_name: str) -> bool:
        """It will be read soon, most likely, and goes no sooner than what just was. Tells whether it is here."""
        self.holdings.index.expect(entry_name)
        return self.has(entry_name)

    def _evict_one(self, entry_name, taken):
        self._evictor.unlink_one(self.holdings, (entry_name, taken))

    # the start

    def load(self) -> int:
        """Make the index anew in one go; tells how many entries there are. :raises OSError:"""
        while self.rebuild_step():
            pass
        return len(self.index)

    def rebuild_step(self) -> bool:
        """One step of making the index anew. False where it is done.

        :raises OSError: where a folder cannot be read; it is tried again after the others
        """
        scan = self.holdings.scan
        if scan is None:
            return False
        if not scan.is_read:
            self._read_folder(scan)
            return True
        if not self._settled:
            # before the index takes over what it has no room for
            with self._turn:
                self._settled = True
                self._settle()
        return self.holdings.merge(MERGE_AT_A_TIME)

    def rebuilt(self) -> float:
        """The part of the folder that is known, 0 to 1."""
        return self.holdings.scan.done if self.holdings.scan is not None else 1.0

    def _read_folder(self, scan):
        with self._scan_turn:
            # somebody else may have read the last one while we waited
            if scan.is_read:
                return
            folder = scan.next_folder()
            try:
                found, foreign = self._execute(read_folder, folder, self._clock())
            except BaseException:
                scan.give_back()
                raise
            scan.take(found, foreign)
        if scan.is_read and scan.foreign:
            self._logger.warning('%d files in %s are no entries; they are left, and not counted, such as %s',
                                 len(scan.foreign), self.store.layout.objects, scan.foreign[0])

    # room

    def room(self) -> float:
        """Bytes that may be added without anything being evicted; below 0 where the disk is too full."""
        return self.limits.low_bytes - self.holdings.total if self.is_roomy() else -1

    def is_roomy(self) -> bool:
        """Whether the file system is as free as it should be."""
        return self._evictor.is_roomy()

    def keep_free(self) -> bool:
        """Evict until the file system is as free as it should be; False where that does not help, and while it
        is not known yet what is old."""
        if self.is_roomy():
            return True
        if not self.holdings.is_whole:
            return False
        with self._turn:
            return self._evictor.make_free(self.holdings)

    def may_prefetch(self, needed: int = 1, idle: float | None = None) -> bool:
        """Whether so many bytes are worth being fetched ahead: there is room, or of the next to go some are idle.

        :param idle: seconds for which they must be
        """
        holdings = self.holdings
        if holdings.total + needed <= self.limits.high_bytes:
            return True
        return holdings.scan is None and self._evictor.is_any_idle(holdings, self._idle_since(idle))

    def _idle_since(self, idle):
        return self._clock() - (self._idle if idle is None else idle)

    def _settle(self) -> None:
        """Evict down to the low mark where the high one is passed."""
        if self.holdings.total > self.limits.high_bytes:
            self._evictor.evict(self.holdings, self.holdings.total - self.limits.low_bytes)

    # admission

    def admit(self, spool_name: str, idle: float | None = None) -> bool:
        """Check a spool file and link it. What is refused is removed; tells whether it was linked.

        What was read may evict all that goes before it. What was fetched ahead evicts only what nobody
        has read for `idle` seconds: what was read since is hotter than a guess. What was warmed evicts nothing.

        :raises Stopped: where the keeper was closed meanwhile; the file is left
        """
        if self._admission.refuses(spool_name):
            self._count('first_reads')
            return False
        admitted = self._admit(spool_name, idle)
        self._count('admitted' if admitted else 'refused')
        return admitted

    def _admit(self, spool_name, idle):
        if not self.keep_free():
            self._execute(self.store.discard, spool_name)
            return False
        try:
            candidate = self._execute(self.store.verified, spool_name)
        except (CacheError, OSError) as error:
            self._logger.info('%s not admitted: %s', spool_name, error)
            return False
        try:
            with self._turn:
                return self._link(candidate, idle)
        except (CacheError, OSError) as error:
            self._logger.info('%s not admitted: %s', spool_name, error)
            return False
        finally:
            if not candidate.is_closed:
                # what was captured has a record, and comes again; nobody asks for what was fetched
                self._execute(candidate.close, self._closed and candidate.origin == 'read')

    def _link(self, candidate, idle):
        needed = rounded(candidate.disk_bytes)
        if self.holdings.total + needed > self.limits.high_bytes:
            # nothing is evicted for what is older than what is there
            self._execute(candidate.replaced)
            if needed > self.limits.high_bytes:
                # what it is newer than must not stay either
                self._purge.drop([candidate.entry_name])
                return False
            if not self._make_room(needed, candidate.origin, idle):
                return False
        if self._closed:
            raise Stopped
        replaced = self._execute(self._place, candidate, self.holdings.total + needed)
        self.holdings.linked(candidate.entry_name, needed, replaced)
        self._evictor.unread.add(candidate.entry_name, candidate.origin, needed)
        self._evictor.uses.forget(candidate.entry_name)
        return True

    def _place(self, candidate, total):
        self._ledger.allow(total)
        replaced = candidate.link()
        # here too, since a call through a thread costs as much as all the rest
        candidate.close()
        return replaced

    def _make_room(self, needed, origin, idle):
        """Evict before anything is linked; tells whether there is room now."""
        holdings, limits = self.holdings, self.limits
        if not holdings.is_whole and self._make_room_early(needed, origin):
            return True
        if not holdings.is_whole:
            return False
        # less than nothing where it was the reading that found room
        wanted = min(holdings.total + needed - limits.low_bytes, holdings.total)
        if origin == 'read':
            self._evictor.evict(holdings, wanted)
            return holdings.total + needed <= limits.size
        if origin in (PREFETCH, SEGMENT, WHOLE) and holdings.scan is None:
            self._evictor.evict_idle(holdings, wanted, self._idle_since(idle))
        return holdings.total + needed <= limits.high_bytes

    def _make_room_early(self, needed, origin):
        """The same while the folder is still being read: no more goes than must, and only what is old among what
        was read so far; where that is too little, more is read first. False where all is read by then."""
        holdings, size = self.holdings, self.limits.size
        while (scan := holdings.scan) is not None and not scan.is_read:
            # where `size` was larger before, it does not grow
            most = max(size, holdings.total)
            lacking = min(holdings.total + needed - size, needed)
            if lacking <= 0:
                return True
            if origin == 'read' and lacking <= scan.bytes * OLD_PART:
                self._evictor.evict(holdings, lacking)
                return holdings.total + needed <= most
            self._read_folder(scan)
        return False

    def purge(self, account: str, container: str, prefix: str = '', object: str = '', identity: str = '') -> int:
        """Drop one object's entry, or a container's, those whose object begins with `prefix`; tells how many went.

        :param identity: only the file that has it, so that nothing newer is dropped

        A container's are dropped some at a time: what is admitted meanwhile may stay.
        """
        return self._purge(account, container, prefix, object, identity)

    # the rest

    def rebuild(self) -> None:
        """Make the index anew, beside whatever else is done; ends when it is, or when the keeper is closed."""
        failing = False
        while not self._closed:
            try:
                if not self.rebuild_step():
                    break
                sleep(0)
            except OSError as error:
                if not failing:
                    self._logger.error('a folder of entries cannot be read, tried again each second: %s', error)
                failing = True
                sleep(1)
        if self.holdings.scan is None:
            self._logger.info('%d entries of %d bytes in %s', len(self.index), self.index.currsize,
                              self.store.layout.cache_dir)

    def upkeep(self) -> None:
        """What need not be done for every record. :raises OSError:"""
        self.keep_free()
        with self._turn:
            self._evictor.retry(self.holdings)
            if self.holdings.scan is None:
                self._execute(self._ledger.lower, self.holdings.total)

    def close(self) -> None:
        """Nothing is linked from now on."""
        self._closed = True
