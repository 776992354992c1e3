"""The accounting of the cache: which entries there are, how many bytes they take, which goes next."""
from collections.abc import Callable, Iterator

from cachetools import LRUCache

from ..conf.naming import CONTAINER_DIGITS


class Index(LRUCache):
    """Entry names and their bytes on disk, least recently used first out.

    Lives in the sidecar alone, which is the only one to link and unlink. `on_evict(entry_name)` is
    called for what leaves by eviction, not for what is removed by name.

    :param size: bytes on disk that all entries may take together
    """

    def __init__(self, size: int, on_evict: Callable[[str], object]):
        super().__init__(size, getsizeof=int)
        self._on_evict = on_evict

    def popitem(self):
        entry_name, disk_bytes = super().popitem()
        self._on_evict(entry_name)
        return entry_name, disk_bytes

    def put(self, entry_name: str, disk_bytes: int) -> bool:
        """Account for an entry, evicting others until it fits; False where it never will."""
        # or else making room might evict the very file that has just taken the old one's place
        self.pop(entry_name, None)
        if disk_bytes > self.maxsize:
            return False
        self[entry_name] = disk_bytes
        return True

    def touch(self, entry_name: str) -> None:
        """It was read: it goes last."""
        self.get(entry_name)

    def shrink_to(self, size: float) -> int:
        """Evict until at most `size` bytes are left; tells how many entries went."""
        count = 0
        while self and self.currsize > size:
            self.popitem()
            count += 1
        return count

    def of_container(self, container_name: str) -> Iterator[str]:
        """The entries of one container, by the digits that it gives them."""
        assert len(container_name) == CONTAINER_DIGITS
        return (name for name in list(self) if name.startswith(container_name))
