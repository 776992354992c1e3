"""The accounting of the cache: which entries there are, how many bytes they take, which goes next.

Who writes and reads: the sidecar's evictor, in its event loop. It is in memory alone, and made anew from the
folder after a start (`loader.py`). How often entries were read is lost by that, whatever goes first otherwise:
only when they were read last is told by their files, and so they leave in that order until they are read again.
To keep more would need a write for each hit, or a file that is out of date after a crash.

Memory for each of a million entries, name and all, by how full the hash tables are: lru 170 to 250 bytes, lfu and
gdsf 250 to 370, s3fifo 240 to 280 and, where it remembers as many names as it holds, up to 430
(`tests/bench/eviction.py`).
A name begins with its container's digits, so that no container id is kept beside it.
"""
from collections.abc import Callable, Iterator, MutableMapping

from ..conf.names import CONTAINER_DIGITS
from .policies import POLICIES


def packed(entry_name: str | bytes) -> bytes:
    """The 24 bytes of an entry's 48 hex digits; a third of the memory."""
    return entry_name if isinstance(entry_name, bytes) else bytes.fromhex(entry_name)


class Index(MutableMapping[str, int]):
    """Entry names and their bytes on disk, with the interface of a cachetools cache: looking one up counts as a
    read of it.

    Names go in and come out as text. `on_evict(entry_name, disk_bytes)` is called for what leaves by
    `popitem`, not for what is removed by name or taken.

    :param size: bytes on disk that all entries may take together
    :param eviction: a name of `POLICIES`
    """

    def __init__(self, size: int, on_evict: Callable[[str, int], object], eviction: str = 'lru'):
        self._order = POLICIES[eviction](size)
        self._size = size
        self._bytes = 0
        self._on_evict = on_evict
        # taken, and neither gone nor put back -> bytes, and what the order knew of it
        self._taken: dict[bytes, tuple] = {}

    @property
    def maxsize(self) -> int:
        return self._size

    @property
    def currsize(self) -> int:
        return self._bytes

    def __len__(self):
        return len(self._order)

    def __contains__(self, entry_name):
        return packed(entry_name) in self._order

    def __iter__(self) -> Iterator[str]:
        return (name.hex() for name in self._order)

    def __getitem__(self, entry_name):
        name = packed(entry_name)
        self._order.read(name)
        return self._order.size_of(name)

    def __setitem__(self, entry_name, disk_bytes):
        name = packed(entry_name)
        if disk_bytes > self._size:
            raise ValueError('value too large')
        # first, or else making room might evict the very file that has just taken the old one's place
        self._remove(name)
        while self._bytes + disk_bytes > self._size:
            self.popitem()
        self._order.add(name, disk_bytes)
        self._bytes += disk_bytes

    def __delitem__(self, entry_name):
        if not self._remove(packed(entry_name)):
            raise KeyError(entry_name)

    def _remove(self, name):
        """Tells whether it was here."""
        is_here = name in self._order
        if is_here:
            self._bytes -= self._order.remove(name)[0]
        return is_here

    def popitem(self) -> tuple[str, int]:
        """Evict what goes next. :raises KeyError: there is none"""
        entry_name, disk_bytes = self._take()
        self._on_evict(entry_name, disk_bytes)
        self.let_go(entry_name)
        return entry_name, disk_bytes

    def _take(self):
        name = self._order.first()
        size, mark = self._order.remove(name)
        self._bytes -= size
        self._taken[name] = size, mark
        return name.hex(), size

    def take_oldest(self) -> tuple[str, int] | None:
        """Name and bytes of what goes next, which is in the index no longer; nobody is called.

        To be followed by `let_go` or `put_oldest`.
        """
        return self._take() if len(self) else None

    def let_go(self, entry_name: str) -> None:
        """What was taken is gone for good."""
        name = packed(entry_name)
        found = self._taken.pop(name, None)
        if found is not None:
            self._order.gone(name, *found)

    def put(self, entry_name: str, disk_bytes: int) -> bool:
        """Account for an entry as the one used last, evicting others until it fits; False where it never will."""
        if disk_bytes > self.maxsize:
            self._remove(packed(entry_name))
            return False
        self[entry_name] = disk_bytes
        return True

    def put_oldest(self, entry_name: str, disk_bytes: int) -> bool:
        """Account for an entry as the one to go next, or in the place that it had where it was taken; False where
        there is no room for it."""
        name = packed(entry_name)
        _, mark = self._taken.pop(name, (0, None))
        if self.currsize + disk_bytes > self.maxsize:
            return False
        self._remove(name)
        self._order.put_back(name, disk_bytes, mark)
        self._bytes += disk_bytes
        return True

    def touch(self, entry_name: str) -> bool:
        """It was read. Tells whether it is here."""
        name = packed(entry_name)
        is_here = name in self._order
        if is_here:
            self._order.read(name)
        return is_here

    def expect(self, entry_name: str) -> None:
        """It will be read soon, most likely, and goes no sooner than if it just had been, if it is here."""
        name = packed(entry_name)
        if name in self._order:
            self._order.expect(name)

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
        # of a copy of the references alone: some milliseconds for a million
        return (name.hex() for name in self._order if name.startswith(begin))
