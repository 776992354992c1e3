"""The manager of the cache: it alone links, unlinks and counts entries.

This process alone writes the folder of entries, one change at a time (`_turn`). The inventory is in memory. After
a start it is made anew from the folder, a step at a time (`rebuild_step`). Until it is whole no entry is linked or
evicted; entries are only purged. Readers of the cache notice none of this.

After a crash this holds: linked bytes are at most the cache's size. Where they were more before, they do not grow.
An entry is linked only where all others are counted, and after others were evicted for it.

An entry that cannot be unlinked stays counted, and `upkeep` tries it again.
"""
import os

from swift.common.concurrency import Semaphore, sleep

from ..cache import CacheError, Store
from ..cache.entry import rounded
from ..conf.names import PREFETCH, SEGMENT, WHOLE
from .admission import Admission
from .evictor import IDLE_SECONDS, CacheLimits, Evictor, Tools
from .index_loader import Loader
from .inventory import Inventory
from .last_reads import Fetched
from .policies import POLICIES
from .purge import Purge


class Stopped(Exception):
    """The manager was closed; a spool file was left where it is."""


class CacheManager:
    """Links, evicts, purges and counts the entries of one cache folder.

    :param idle: seconds without a read after which an entry may be evicted for one that was fetched ahead; the
        default where a caller names none
    """

    def __init__(self, store: Store, limits: CacheLimits, logger, tools: Tools | None = None,
                 idle: float = IDLE_SECONDS):
        tools = tools or Tools()
        self.store = store
        self.limits = limits
        self._logger = logger
        self._execute, self._count, self._clock = tools.execute, tools.count, tools.clock
        self._idle = idle
        self.inventory = Inventory(POLICIES[limits.eviction](limits.size))
        self._loader = Loader(store.layout.objects, self.inventory, limits.high_bytes, self._execute, logger)
        self._evictor = Evictor(store, self.inventory, limits, tools, logger)
        self._admission = Admission(limits.admit, store, self.has, self._execute)
        self._turn = Semaphore()
        self._purge = Purge(store, self.inventory, self._evictor, self._turn, tools)
        self._closed = False

    @property
    def is_whole(self) -> bool:
        """Tell whether all entries of the folder are known; before that nothing may be admitted."""
        return self.inventory.is_whole

    def has(self, entry_name: str) -> bool:
        """Tell whether there is such an entry; ask the folder only until the inventory is whole."""
        return entry_name in self.inventory or (
            not self.is_whole and os.path.exists(self.store.layout.entry_path(entry_name)))

    def touch(self, entry_name: str) -> Fetched | None:
        """Note a hit; tell how the entry was fetched, where this is its first hit since."""
        self.inventory.touch(entry_name)
        self._admission.read(entry_name)
        self._evictor.last_reads.note(entry_name, self._clock())
        return self._evictor.unread.pop(entry_name)

    def expect(self, entry_name: str) -> bool:
        """Keep an entry as if it had just been read, since a read is expected soon; tell whether it is here."""
        self.inventory.expect(entry_name)
        return self.has(entry_name)

    # the start

    def load(self) -> int:
        """Make the inventory whole before all else, and tell how many entries there are. :raises OSError:"""
        while self.rebuild_step():
            pass
        return self.inventory.entries

    def rebuild_step(self) -> bool:
        """Take one step towards a whole inventory; give False where it is whole.

        :raises OSError: where a folder cannot be read; it is tried again after the others
        """
        if self.is_whole:
            return False
        if self._loader.step(self._clock()):
            return True
        self.inventory.complete()
        # the files' times are late by up to a minute
        for entry_name in self._evictor.last_reads.names():
            self.inventory.touch(entry_name)
        with self._turn:
            if self.inventory.total > self.limits.high_bytes:
                self._evictor.evict(self.inventory.total - self.limits.low_bytes)
        return False

    def rebuild(self) -> None:
        """Make the inventory whole beside other work; end when it is whole, or when the manager is closed."""
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
        if self.is_whole:
            self._logger.info('%d entries of %d bytes in %s', self.inventory.entries, self.inventory.total,
                              self.store.layout.cache_dir)

    def rebuilt(self) -> float:
        """Give the share of the folders that was read, 0 to 1."""
        return self._loader.done

    def failing_folders(self) -> int:
        """Count the folders of entries, of 256, that could not be read since the start."""
        return self._loader.failing

    # room

    def room(self) -> float:
        """Give the bytes that may be added without eviction; below 0 where the disk is too full."""
        return self.limits.low_bytes - self.inventory.total if self.is_roomy() else -1

    def is_roomy(self) -> bool:
        """Tell whether the file system is as free as it should be."""
        return self._evictor.is_roomy()

    def keep_free(self) -> bool:
        """Evict until the file system is as free as it should be.

        :returns: False where eviction does not help, or the inventory is not whole
        """
        if self.is_roomy():
            return True
        if not self.is_whole:
            return False
        with self._turn:
            return self._evictor.make_free()

    def may_prefetch(self, needed: int = 1, idle: float | None = None) -> bool:
        """Tell whether `needed` bytes may be fetched ahead: there is room, or one of the next to evict is idle.

        :param idle: seconds without a read after which an entry is idle
        """
        return (self.inventory.total + needed <= self.limits.high_bytes
                or self._evictor.is_any_idle(self._idle_since(idle)))

    def _idle_since(self, idle):
        return self._clock() - (self._idle if idle is None else idle)

    # admission

    def admit(self, spool_name: str, idle: float | None = None) -> bool:
        """Check a spool file and link it, or remove it where it is refused. Tell whether it was linked.

        A captured miss may evict every entry that goes before it. An object that was fetched ahead evicts only
        entries without a read for `idle` seconds: entries read since are hotter than a guess. A warmed object
        evicts nothing.

        :raises Stopped: where the manager was closed meanwhile; the file is left
        """
        assert self.is_whole, 'only what is known can be evicted'
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
        candidate = None
        try:
            candidate = self._execute(self.store.verified, spool_name)
            with self._turn:
                return self._link(candidate, idle)
        except (CacheError, OSError) as error:
            self._logger.info('%s not admitted: %s', spool_name, error)
            return False
        finally:
            if candidate is not None and not candidate.is_closed:
                # a captured file has a record, and comes again; a fetched file has none
                self._execute(candidate.close, self._closed and candidate.origin == 'read')

    def _link(self, candidate, idle):
        needed = rounded(candidate.disk_bytes)
        if self.inventory.total + needed > self.limits.high_bytes:
            # first, so that nothing is evicted for a version older than the entry
            self._execute(candidate.refuse_newer)
            if needed > self.limits.high_bytes:
                # the version that it replaces must not stay either
                self._purge.drop([candidate.entry_name])
                return False
            if not self._make_room(needed, candidate.origin, idle):
                return False
        if self._closed:
            raise Stopped
        self._execute(self._place, candidate)
        self.inventory.linked(candidate.entry_name, needed)
        self._evictor.unread.add(candidate.entry_name, candidate.origin, needed)
        self._evictor.last_reads.forget(candidate.entry_name)
        return True

    def _place(self, candidate):
        candidate.link()
        # in the same call, since a second call through a thread costs as much as all the rest
        candidate.close()

    def _make_room(self, needed, origin, idle):
        """Evict before the new entry is linked; tell whether there is room now."""
        inventory, limits = self.inventory, self.limits
        wanted = min(inventory.total + needed - limits.low_bytes, inventory.total)
        if origin == 'read':
            self._evictor.evict(wanted)
            return inventory.total + needed <= limits.size
        if origin in (PREFETCH, SEGMENT, WHOLE):
            self._evictor.evict_idle(wanted, self._idle_since(idle))
        return inventory.total + needed <= limits.high_bytes

    # the rest

    def purge(self, account: str, container: str, prefix: str = '', object: str = '', identity: str = '') -> int:
        """Purge one object's entry, or a container's entries, and tell how many went.

        Of a container only entries go whose object begins with `prefix`. They are purged some at a time: an entry
        that is admitted meanwhile may stay.

        :param identity: purge only the file that has it, so that no newer entry is purged
        """
        return self._purge(account, container, prefix, object, identity)

    def upkeep(self) -> None:
        """Keep the disk free and retry stuck entries, from time to time. :raises OSError:"""
        self.keep_free()
        if self.is_whole:
            with self._turn:
                self._evictor.retry()

    def close(self) -> None:
        """Link nothing from now on."""
        self._closed = True
