"""The evictor: unlinks entries, a batch at a time, and stops where eviction does not help.

It touches the disk in a thread. One green thread at a time calls it.
"""
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..cache import Store
from ..cache.folder import CLOCK_SLACK
from .inventory import Inventory, Item
from .last_reads import LastReads, Unread

EVICT_AT_A_TIME = 64
# bytes to evict before the next check whether the file system became freer
ROUND = 64 * 2**20
# seconds without a read after which an entry may be evicted for an object that was not predicted
IDLE_SECONDS = 60.0
# entries to check for idleness: a policy that counts reads has the newest entries at its head
LOOKED_AT = 16
# seconds without eviction after eviction did not help
PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class CacheLimits:
    """Bounds of the cache, and the rules by which it keeps to them.

    :param size: bytes on disk of all entries
    :param high, low: percent of it at which eviction begins and ends
    :param floor: percent of the file system to keep free
    :param eviction: a name of `POLICIES`
    :param admit: a name of `ADMISSIONS`
    """
    size: int
    high: float = 95.0
    low: float = 90.0
    floor: float = 5.0
    eviction: str = 'lru'
    admit: str = 'all'

    @property
    def high_bytes(self) -> float:
        return self.size * self.high / 100

    @property
    def low_bytes(self) -> float:
        return self.size * self.low / 100


def at_once(call, *args):
    return call(*args)


def uncounted(name, by=1, reason=None):
    pass


@dataclass(frozen=True)
class Tools:
    """Functions that the manager and its pieces call.

    :param execute: runs a blocking call; a process with an event loop gives `tpool.execute`
    :param count: counts a metric: name, by, reason
    :param clock: seconds since the epoch, as of the files' times
    """
    execute: Callable = at_once
    count: Callable = uncounted
    clock: Callable[[], float] = time.time


class Evictor:
    def __init__(self, store: Store, inventory: Inventory, limits: CacheLimits, tools: Tools, logger):
        self._store = store
        self._inventory = inventory
        self._limits = limits
        self._tools = tools
        self._logger = logger
        self._pause_until = float('-inf')
        self._paused = False
        self._failing = False
        self.unread = Unread()
        self.last_reads = LastReads()

    def evict(self, wanted: float) -> int:
        """Evict the next entries until `wanted` bytes are gone, or no entry can go. Tell how many bytes went."""
        gone = 0
        while gone < wanted:
            part = self._unlink(self._inventory.take(wanted - gone, EVICT_AT_A_TIME))
            if not part:
                break
            gone += part
        return gone

    def evict_idle(self, wanted: float, before: float) -> int:
        """Do as `evict`, but only with entries that were not read after the time `before`.

        The others stay. At most `LOOKED_AT` of them are passed by.
        """
        gone = 0
        kept: list[Item] = []
        try:
            while gone < wanted and len(kept) < LOOKED_AT:
                batch = self._inventory.take(wanted - gone, LOOKED_AT - len(kept))
                idle = self._idle_of(batch, before, kept)
                part = self._unlink(idle)
                gone += part
                if not batch or (idle and not part):
                    break
        finally:
            self._inventory.keep(kept)
        return gone

    def _idle_of(self, batch, before, kept):
        """Give the idle entries of a batch. Add the others to `kept`, or all where idleness cannot be told."""
        idle: list[Item] = []
        try:
            idle = self._tools.execute(lambda: [item for item in batch if self._is_idle(item, before)])
        finally:
            kept += [item for item in batch if item not in idle]
        return idle

    def is_any_idle(self, before: float) -> bool:
        """Tell whether one of the next entries to evict was not read after the time `before`."""
        looked_at: list[Item] = []
        found = False
        while not found and len(looked_at) < LOOKED_AT and (batch := self._inventory.take(1, 1)):
            looked_at += batch
            found = self._is_idle(batch[0], before)
        self._inventory.keep(looked_at)
        return found

    def _is_idle(self, item, before):
        name, _ = item
        try:
            read_at = self.last_reads.last(name) or os.lstat(self._store.layout.entry_path(name)).st_mtime
        except OSError:
            return True
        # a time in the future comes from a wrong clock: the entry's place among the oldest says more
        return not before < read_at <= self._tools.clock() + CLOCK_SLACK

    def cannot(self, entry_name: str, error: OSError) -> None:
        """Note that an entry could not be unlinked: it stays counted, and is tried again later."""
        self._inventory.hold_back(entry_name)
        self._say(error)

    def _say(self, error):
        if not self._failing:
            self._logger.error('entries cannot be removed; they stay counted, tried again later: %s', error)
        self._failing = True

    def retry(self) -> None:
        """Try again to unlink stuck entries; one batch, so that a broken disk costs little."""
        self._unlink(self._inventory.take_stuck(EVICT_AT_A_TIME))

    def _unlink(self, batch):
        """Unlink entries that were taken, and tell how many bytes went."""
        if not batch:
            return 0
        try:
            errors = self._tools.execute(lambda: [self._error_of(name) for name, _ in batch])
        except BaseException:
            self._inventory.keep(batch)
            raise
        return self._settle(batch, errors)

    def _error_of(self, name):
        """Unlink one entry; give the error where it could not be unlinked, else None."""
        try:
            self._store.drop(name)
        except OSError as error:
            return error
        return None

    def _settle(self, batch, errors):
        gone = 0
        for item, error in zip(batch, errors, strict=True):
            if error is None:
                self._inventory.left(item)
                self._count(item)
                gone += item[1]
            else:
                self._inventory.hold(item)
        failed = [error for error in errors if error is not None]
        if failed:
            self._say(failed[0])
        elif not self._inventory.stuck:
            self._failing = False
        return gone

    def _count(self, item):
        name, taken = item
        self._tools.count('evicted')
        self._tools.count('evicted_bytes', taken)
        if self.unread.pop(name):
            self._tools.count('evicted_unused')

    # free space

    def free(self) -> int:
        """Give the bytes that may be written until the file system is at its bound; below 0 where it is fuller."""
        return self._store.free_bytes(self._limits.floor)

    def is_roomy(self) -> bool:
        """Tell whether the file system is as free as it should be."""
        if self.free() <= 0:
            return False
        if self._paused:
            self._logger.info('the file system is as free as it should be again')
        self._paused, self._pause_until = False, float('-inf')
        return True

    def make_free(self) -> bool:
        """Evict until the file system is as free as it should be; give False where eviction does not help.

        It cannot help where more bytes are lacking than the cache holds. It does not help where a round of
        eviction left the file system no freer: another program fills it, or a process holds the files open. Then
        nothing more is evicted for `PAUSE_SECONDS`.
        """
        while not self.is_roomy():
            # a clock that was set back does not make the pause any longer
            if 0 < self._pause_until - self._tools.clock() <= PAUSE_SECONDS:
                return False
            if not self._makes_freer():
                self._pause()
                return False
        return True

    def _makes_freer(self):
        before = self.free()
        if -before >= self._inventory.total:
            return False
        wanted = max(1 - before, 1)
        return self.evict(min(wanted, max(ROUND, self._limits.size // 100))) > 0 and self.free() > before

    def _pause(self):
        if not self._paused:
            self._logger.warning('nothing is admitted: the file system is fuller than free_space allows, and '
                                 'eviction does not help; looked at again each %g s', PAUSE_SECONDS)
        self._pause_until = self._tools.clock() + PAUSE_SECONDS
        self._paused = True
