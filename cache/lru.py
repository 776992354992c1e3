"""The accounting of the cache: which entries there are, how many bytes they take, which goes next.

Who writes and reads: the sidecar's evictor, in its event loop. It is in memory alone, and made anew from the
folder after a start (`scan.py`).

Each entry takes 290 to 340 bytes, by how full the hash tables are: the name as 24 bytes (64 with its object), its
size (32), and the tables of cachetools. A name begins with its container's digits, so that no container id is
kept beside it.
"""
import math
from collections.abc import Callable, Iterator

from cachetools import Cache, LRUCache

from ..conf.naming import CONTAINER_DIGITS


def packed(entry_name: str | bytes) -> bytes:
    """The 24 bytes of an entry's 48 hex digits; a third of the memory."""
    return entry_name if isinstance(entry_name, bytes) else bytes.fromhex(entry_name)


class Index(LRUCache):
    """Entry names and their bytes on disk, least recently used first out.

    Names go in and come out as text. `on_evict(entry_name, disk_bytes)` is called for what leaves by
    `popitem`, not for what is removed by name or taken.

    :param size: bytes on disk that all entries may take together
    """

    def __init__(self, size: int, on_evict: Callable[[str, int], object]):
        # with a getsizeof, cachetools would keep each size a second time, in a table of its own
        super().__init__(math.inf)
        self._size = size
        self._bytes = 0
        self._on_evict = on_evict

    @property
    def maxsize(self):
        return self._size

    @property
    def currsize(self):
        return self._bytes

    def __contains__(self, entry_name):
        return super().__contains__(packed(entry_name))

    def __getitem__(self, entry_name):
        return super().__getitem__(packed(entry_name))

    def __setitem__(self, entry_name, disk_bytes):
        name = packed(entry_name)
        if disk_bytes > self._size:
            raise ValueError('value too large')
        # first, or else making room might evict the very file that has just taken the old one's place
        self.pop(name, None)
        while self._bytes + disk_bytes > self._size:
            self.popitem()
        super().__setitem__(name, disk_bytes)
        self._bytes += disk_bytes

    def __delitem__(self, entry_name):
        name = packed(entry_name)
        disk_bytes = Cache.__getitem__(self, name)
        super().__delitem__(name)
        self._bytes -= disk_bytes

    def __iter__(self) -> Iterator[str]:
        return (name.hex() for name in super().__iter__())

    def popitem(self):
        entry_name, disk_bytes = self._pop_oldest()
        self._on_evict(entry_name, disk_bytes)
        return entry_name, disk_bytes

    def _pop_oldest(self):
        name, disk_bytes = super().popitem()
        return name.hex(), disk_bytes

    def take_oldest(self) -> tuple[str, int] | None:
        """Name and bytes of the least recently used, which is in the index no longer; nobody is called."""
        return self._pop_oldest() if len(self) else None

    def put(self, entry_name: str, disk_bytes: int) -> bool:
        """Account for an entry as the one used last, evicting others until it fits; False where it never will."""
        if disk_bytes > self.maxsize:
            self.pop(entry_name, None)
            return False
        self[entry_name] = disk_bytes
        return True

    def put_oldest(self, entry_name: str, disk_bytes: int) -> bool:
        """Account for an entry as the one to go next; False where there is no room for it."""
        if self.currsize + disk_bytes > self.maxsize:
            return False
        self[entry_name] = disk_bytes
        # cachetools has no name for it; a test holds it to this
        self._LRUCache__order.move_to_end(packed(entry_name), last=False)  # type: ignore[attr-defined]
        return True

    def touch(self, entry_name: str) -> bool:
        """It was read: it goes last. Tells whether it is here."""
        return self.get(entry_name) is not None

    def shrink_to(self, size: float) -> int:
        """Evict until at most `size` bytes are left; tells how many entries went."""
        count = 0
        while len(self) and self.currsize > size:
            self.popitem()
            count += 1
        return count

    def of_container(self, container_name: str) -> Iterator[str]:
        """The entries that one container has at this moment; to be read from any thread."""
        assert len(container_name) == CONTAINER_DIGITS
        begin = bytes.fromhex(container_name)
        # a copy of the references alone: some milliseconds for a million
        names = list(Cache.__iter__(self))
        return (name.hex() for name in names if name.startswith(begin))
