"""The evictor: the only one to link and unlink entries, and the only one to count them.

Who writes the folder of entries: this process alone. Its index is in memory; after a crash it is
made anew from the folder, in the order of the files' times.
"""
import os
from collections.abc import Callable

from ..cache import CacheError, Damaged, Entry, Index, Store
from ..cache.reader import disk_bytes
from ..conf.naming import ObjectName, to_bytes
from ..queues import Forget

EVICT_AT_A_TIME = 16


class Keeper:
    """
    :param size: bytes on disk of all entries
    :param high, low: percent of it at which eviction begins and ends
    :param floor: percent of the file system to keep free
    """

    def __init__(self, store: Store, size: int, high: float, low: float, floor: float, logger):
        self.store = store
        self.index = Index(size, self._evict)
        self._high = size * high / 100
        self._low = size * low / 100
        self._floor = floor
        self._logger = logger

    def _evict(self, entry_name):
        try:
            self.store.drop(entry_name)
        except OSError as error:
            self._logger.error('entry %s cannot be removed, and is not counted until a restart: %s',
                               entry_name, error)

    def load(self) -> int:
        """Take over what an earlier run left; tells how many entries there are."""
        for item in sorted(self.store.linked(), key=lambda item: item.used_at):
            if not self.index.put(item.entry_name, item.disk_bytes):
                self.store.drop(item.entry_name)
        self.settle()
        return len(self.index)

    def room(self) -> float:
        """Bytes that may be added without anything being evicted; below 0 where the disk is too full."""
        return self._low - self.index.currsize if self.is_roomy() else -1

    def is_roomy(self) -> bool:
        """Whether the file system is as free as it should be."""
        return self.store.free_bytes(self._floor) > 0

    def admit(self, spool_name: str, execute: Callable = lambda call, *args: call(*args)) -> bool:
        """Check a spool file and link it. What is refused is removed; tells whether it was linked.

        :param execute: runs a blocking call; the reading of the file, which may be large
        """
        if not self.keep_free():
            self._logger.warning('nothing is admitted: the file system is fuller than free_space allows')
            execute(self._discard, spool_name)
            return False
        try:
            linked = execute(self.store.admit, spool_name)
        except (CacheError, OSError) as error:
            self._logger.info('%s not admitted: %s', spool_name, error)
            return False
        return self._account(linked.entry_name)

    def _account(self, entry_name):
        """Count what lies there now: while the file was read, another may have taken or lost its place."""
        try:
            taken = disk_bytes(self.store.layout.entry(entry_name).stat())
        except FileNotFoundError:
            return False
        if not self.index.put(entry_name, taken):
            self.store.drop(entry_name)
            return False
        self.settle()
        return True

    def _discard(self, spool_name):
        (self.store.layout.spool / os.path.basename(spool_name)).unlink(missing_ok=True)

    def settle(self) -> int:
        """Evict down to the low mark where the high one is passed; tells how many went."""
        return self.index.shrink_to(self._low) if self.index.currsize > self._high else 0

    def keep_free(self) -> bool:
        """Evict until the file system is as free as it should be; False where that does not help."""
        return self.is_roomy() or self._make_free()

    def _make_free(self):
        while self.index and not self.is_roomy():
            for _ in range(min(EVICT_AT_A_TIME, len(self.index))):
                self.index.popitem()
        return self.is_roomy()

    def forget(self, record: Forget) -> int:
        """Drop what the record says; tells how many entries went."""
        naming = self.store.naming
        if record.object:
            entry_name = naming.entry(ObjectName(record.account, record.container, record.object))
            return self._drop(entry_name, record.identity or None)
        container = naming.container(record.account, record.container)
        names = [name for name in self.index.of_container(container)
                 if not record.prefix or self._has_prefix(name, record.prefix)]
        return sum(self._drop(name, None) for name in names)

    def _has_prefix(self, entry_name, prefix):
        try:
            entry = Entry.open(self.store.layout.entry(entry_name))
        except (Damaged, OSError):
            return True
        if entry is None:
            return True
        with entry:
            return to_bytes(entry.meta.name.object).startswith(to_bytes(prefix))

    def _drop(self, entry_name, identity):
        dropped = self.store.drop(entry_name, identity)
        if dropped or not self.store.layout.entry(entry_name).exists():
            self.index.pop(entry_name, None)
        return int(dropped)
