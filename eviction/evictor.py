"""Eviction: what goes, how much at a time, and when it is of no use to go on.

Runs in a thread where it touches the disk, a batch at a time. To be called by one green thread at a time.
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
# bytes, after which it is looked whether eviction makes the file system any freer
ROUND = 64 * 2**20
# without a read, after which an entry may go for what nobody predicted
IDLE_SECONDS = 60.0
# of what goes first so many are asked whether they are idle: an order by reads has what has just come at its head
LOOKED_AT = 16
# after eviction did not help
PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class CacheLimits:
    """
    :param size: bytes on disk of all entries
    :param high, low: percent of it at which eviction begins and ends
    :param floor: percent of the file system to keep free
    :param eviction: what goes first, a name of `POLICIES`
    :param admit: which captured misses are kept, a name of `ADMISSIONS`
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
    """
    :param execute: runs a blocking call; a process with an event loop gives `tpool.execute`
    :param count: counts a metric: name, by, reason
    :param clock: seconds since the epoch, as of the files' times
    """
    execute: Callable = at_once
    count: Callable = uncounted
    clock: Callable[[], float] = time.time


class Evictor:
    def __init__(self, store: Store, limits: CacheLimits, tools: Tools, logger):
        self._store = store
        self._limits = limits
        self._tools = tools
        self._logger = logger
        self._pause_until = float('-inf')
        self._paused = False
        self._failing = False
        self.unread = Unread()
        self.uses = LastReads()

    def evict(self, holdings: Inventory, wanted: float) -> int:
        """Unlink what goes first until `wanted` bytes went; tells how many did. Ends where nothing goes."""
        gone = 0
        while gone < wanted:
            part = self._unlink(holdings, holdings.take(wanted - gone, EVICT_AT_A_TIME))
            if not part:
                break
            gone += part
        return gone

    def evict_idle(self, holdings: Inventory, wanted: float, before: float) -> int:
        """The same, of what was not used after that time; what was stays, and so many of it are passed by."""
        gone = 0
        kept: list[Item] = []
        try:
            while gone < wanted and len(kept) < LOOKED_AT:
                batch = holdings.take(wanted - gone, LOOKED_AT - len(kept))
                idle = self._idle_of(batch, before, kept)
                part = self._unlink(holdings, idle)
                gone += part
                if not batch or (idle and not part):
                    break
        finally:
            holdings.keep(kept)
        return gone

    def _idle_of(self, batch, before, kept):
        """Those of a batch; the others, or all where that cannot be told, are added to what is kept."""
        idle: list[Item] = []
        try:
            idle = self._tools.execute(lambda: [item for item in batch if self._is_idle(item, before)])
        finally:
            kept += [item for item in batch if item not in idle]
        return idle

    def is_any_idle(self, holdings: Inventory, before: float) -> bool:
        """Whether of the next to go one was not used after that time."""
        looked_at: list[Item] = []
        found = False
        while not found and len(looked_at) < LOOKED_AT and (batch := holdings.take(1, 1)):
            looked_at += batch
            found = self._is_idle(batch[0], before)
        holdings.keep(looked_at)
        return found

    def _is_idle(self, item, before):
        name, _ = item
        try:
            used_at = self.uses.last(name) or os.lstat(self._store.layout.entry_path(name)).st_mtime
        except OSError:
            return True
        # one from the future was set by a clock that went wrong: its place among the oldest says more
        return not before < used_at <= self._tools.clock() + CLOCK_SLACK

    def cannot(self, holdings: Inventory, item: Item, error: OSError) -> None:
        """An entry that is to go could not be unlinked."""
        holdings.hold_back(*item)
        self._say(error)

    def _say(self, error):
        if not self._failing:
            self._logger.error('entries cannot be removed; they stay counted, tried again later: %s', error)
        self._failing = True

    def retry(self, holdings: Inventory) -> None:
        """Try again what could not be unlinked; a batch, so that a broken disk costs little."""
        self._unlink(holdings, holdings.take_stuck(EVICT_AT_A_TIME))

    def unlink_one(self, holdings: Inventory, item: Item) -> None:
        """At once, where the index itself has to make room."""
        holdings.leave([item])
        self._settle(holdings, [item], self._remove_all([item]))

    def _unlink(self, holdings, batch):
        """Tells how many bytes went."""
        if not batch:
            return 0
        try:
            errors = self._tools.execute(self._remove_all, batch)
        except BaseException:
            holdings.keep(batch)
            raise
        return self._settle(holdings, batch, errors)

    def _remove_all(self, batch):
        errors = []
        for name, _ in batch:
            try:
                self._store.drop(name)
            except OSError as error:
                errors.append(error)
            else:
                errors.append(None)
        return errors

    def _settle(self, holdings, batch, errors):
        gone = 0
        for item, error in zip(batch, errors, strict=True):
            if error is None:
                holdings.left(item)
                self._count(item)
                gone += item[1]
            else:
                holdings.hold(item)
        failed = [error for error in errors if error is not None]
        if failed:
            self._say(failed[0])
        elif not holdings.stuck:
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
        """Bytes that may be written until the file system is as full as it may be; below 0 where it is fuller."""
        return self._store.free_bytes(self._limits.floor)

    def is_roomy(self) -> bool:
        """Whether the file system is as free as it should be."""
        if self.free() <= 0:
            return False
        if self._paused:
            self._logger.info('the file system is as free as it should be again')
        self._paused, self._pause_until = False, float('-inf')
        return True

    def make_free(self, holdings: Inventory) -> bool:
        """Evict until the file system is as free as it should be, for as long as that helps.

        It cannot help where more is lacking than the cache holds, and it does not where a round of eviction
        left the file system no freer: others fill it, or somebody holds the files open. Then nothing more is
        evicted for a while, and False is told.
        """
        while not self.is_roomy():
            # a clock that was set back does not make the pause any longer
            if 0 < self._pause_until - self._tools.clock() <= PAUSE_SECONDS:
                return False
            if not self._makes_freer(holdings):
                self._pause()
                return False
        return True

    def _makes_freer(self, holdings):
        before = self.free()
        if -before >= holdings.total:
            return False
        wanted = max(1 - before, 1)
        return self.evict(holdings, min(wanted, max(ROUND, self._limits.size // 100))) > 0 and self.free() > before

    def _pause(self):
        if not self._paused:
            self._logger.warning('nothing is admitted: the file system is fuller than free_space allows, and '
                                 'eviction does not help; looked at again each %g s', PAUSE_SECONDS)
        self._pause_until = self._tools.clock() + PAUSE_SECONDS
        self._paused = True
