"""The room of a replayed cache, as the sidecar manages it: bytes on disk, between two water marks."""
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ..cache.entry import expected_disk_bytes
from ..conf import SIDECAR
from ..eviction.evictor import LOOKED_AT
from ..eviction.index import Index
from ..eviction.policies import EvictionPolicy

# objects of any size
ANY = 2**63


# objects of one size are met again and again
disk_bytes = cache(expected_disk_bytes)
# percent of cache_size, where they are not changed
HIGH, LOW = (float(option.default) for name in ('high_water', 'low_water')
             for option in SIDECAR.options if option.name == name)


def high_bytes(cache_bytes: int) -> float:
    """Give the upper bound on the bytes of all entries of a cache: eviction begins there."""
    return cache_bytes * HIGH / 100


@dataclass(frozen=True)
class RoomLimits:
    """
    :param size: bytes that all entries may take on disk
    :param high, low: percent of it at which eviction begins and ends
    :param max_object_size: bytes of an object that is kept, at most
    """
    size: int
    high: float = 100.0
    low: float = 100.0
    max_object_size: int = ANY


class Room:
    """The cached objects, each with its bytes, and the time of its last use.

    :param policy: makes an eviction policy of the bytes that all entries may take
    :param disk_bytes: an object's bytes -> bytes of its entry on disk
    """

    def __init__(self, policy: Callable[[float], EvictionPolicy], limits: RoomLimits,
                 disk_bytes: Callable[[int], int]):
        self._index = Index(policy(limits.size))
        self._max_object_size = limits.max_object_size
        self._high, self._low = limits.size * limits.high / 100, limits.size * limits.low / 100
        self._disk_bytes = disk_bytes
        self._sizes: dict[tuple, int] = {}
        self._used_at: dict[tuple, float] = {}

    def __contains__(self, key: tuple) -> bool:
        return key in self._index

    def read(self, key: tuple, at: float) -> int | None:
        """Note a read; give the object's bytes, None where it is not cached."""
        self._used_at[key] = at
        return self._sizes[key] if self._index.read(key) else None

    def used(self, key: tuple, at: float) -> None:
        """Note that an object came at that time, and nobody has read it yet."""
        self._used_at[key] = at

    def expect(self, key: tuple) -> None:
        self._index.expect(key)

    def remove(self, key: tuple) -> None:
        self._index.remove(key)
        del self._sizes[key]

    def may_keep(self, size: int) -> bool:
        """Tell whether an object of that many bytes is ever kept."""
        return size <= self._max_object_size and self._disk_bytes(size) <= self._high

    def add(self, key: tuple, size: int) -> None:
        """Keep an object that was read, if it is ever kept. Where that would pass the high mark, evict down to the
        low one."""
        if not self.may_keep(size):
            return
        needed = self._disk_bytes(size)
        wanted = self._above(needed)
        while wanted > 0 and (item := self._index.take()):
            wanted -= self._let_go(item)
        self._index.add(key, needed)
        self._sizes[key] = size

    def _let_go(self, item):
        key, taken = item
        self._index.let_go(key)
        del self._sizes[key]
        return taken

    def _above(self, needed):
        """Count the bytes to evict before so many are added."""
        total = self._index.bytes
        return min(total + needed - self._low, total) if total + needed > self._high else 0

    def makes(self, size: int, before: float) -> bool:
        """Evict objects that nobody read after that time, for an object that was fetched; tell whether it has room
        now."""
        index, kept, needed = self._index, [], self._disk_bytes(size)
        wanted = self._above(needed)
        while wanted > 0 and len(kept) < LOOKED_AT and (item := index.take()):
            if self._used_at[item[0]] > before:
                kept.append(item)
            else:
                wanted -= self._let_go(item)
        self._put_back(kept)
        return index.bytes + needed <= self._high

    def is_any_idle(self, before: float) -> bool:
        """Tell whether there is room, or one of the objects that leave next was not read after that time."""
        looked_at = []
        found = self._above(1) <= 0
        while not found and len(looked_at) < LOOKED_AT and (item := self._index.take()):
            looked_at.append(item)
            found = self._used_at[item[0]] <= before
        self._put_back(looked_at)
        return found

    def _put_back(self, items):
        for item in reversed(items):
            self._index.put_back(*item)
