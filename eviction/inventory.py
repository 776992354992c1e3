"""What the cache holds, in bytes and in order: the index, and what is not in it, or no longer.

Who writes: the sidecar's evictor, after it changed the folder. Each linked byte is in one of four places: in
the index; in the scan, until the index has been made anew; leaving, while it is being unlinked; stuck, where it
could not be.
"""
from collections.abc import Callable

from ..cache.entry import rounded
from .index import Index
from .loader import Loader

Item = tuple[str, int]


class Inventory:
    """
    :param size: bytes on disk of all entries
    :param scan: of what an earlier process left
    :param on_evict: is called with name and bytes where the index had to make room by itself
    :param eviction: what goes first
    """

    def __init__(self, size: int, scan: Loader, on_evict: Callable[[str, int], object], eviction: str = 'lru'):
        self.index = Index(size, on_evict, eviction)
        self.scan: Loader | None = scan
        self.stuck: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self._leaving_bytes = 0
        self._stuck_bytes = 0
        self._read_again: set[str] = set()

    @property
    def total(self) -> int:
        """Bytes that are linked; at most so many while the folder is not read yet."""
        return (self.index.currsize + self._leaving_bytes + self._stuck_bytes
                + (self.scan.total if self.scan else 0))

    @property
    def entries(self) -> int:
        """How many are known of."""
        return len(self.index) + len(self._leaving) + len(self.stuck) + (self.scan.entries if self.scan else 0)

    @property
    def is_whole(self) -> bool:
        """Whether all that is linked is known of."""
        return self.scan is None or self.scan.is_read

    def __contains__(self, entry_name):
        return entry_name in self.index or entry_name in self.stuck

    def size_of(self, entry_name: str) -> int:
        """Bytes on disk of an entry, as far as it is known; else 0."""
        return self.index.get(entry_name) or self.stuck.get(entry_name, 0)

    def linked(self, entry_name: str, taken: int, replaced: int) -> None:
        """An entry was linked, in the place of one of `replaced` bytes, or of none."""
        self.gone(entry_name, rounded(replaced))
        if not self.index.put(entry_name, taken):
            self.hold_back(entry_name, taken)

    def gone(self, entry_name: str, taken: int) -> None:
        """It is linked no longer; it took so many bytes, as the folder said."""
        if self.scan is not None:
            # what is here was given out by the scan, and is not among its bytes
            self.scan.claim(entry_name, 0 if entry_name in self else taken)
        self.index.pop(entry_name, None)
        self._stuck_bytes -= self.stuck.pop(entry_name, 0)

    def touch(self, entry_name: str) -> None:
        """It was read."""
        if entry_name in self._leaving:
            self._read_again.add(entry_name)
        elif not self.index.touch(entry_name) and self.scan is not None:
            self.scan.touch(entry_name)

    def take(self, wanted: float, most: int) -> list[Item]:
        """What goes first, until it makes `wanted` bytes or is `most` entries; it leaves."""
        batch: list[Item] = []
        while wanted > 0 and len(batch) < most:
            # what the index has was used after all that is still in the scan; how often that was, nobody knows
            item = (self.scan.pop_oldest() if self.scan else None) or self.index.take_oldest()
            if item is None:
                break
            batch.append(item)
            wanted -= item[1]
        self.leave(batch)
        return batch

    def leave(self, batch: list[Item]) -> None:
        """They are counted until `left`, `keep` or `hold` says what became of each."""
        self._leaving.update(batch)
        self._leaving_bytes += sum(taken for _, taken in batch)

    def left(self, item: Item) -> None:
        """Unlinked."""
        self._end_leaving(item[0])
        self.index.let_go(item[0])

    def _end_leaving(self, name):
        self._leaving_bytes -= self._leaving.pop(name)
        self._read_again.discard(name)

    def keep(self, items: list[Item]) -> None:
        """They stay after all, in the place that they had."""
        for name, taken in reversed(items):
            was_read = name in self._read_again
            self._end_leaving(name)
            if not self.index.put_oldest(name, taken):
                self.hold_back(name, taken)
            elif was_read:
                self.index.touch(name)

    def hold(self, item: Item) -> None:
        """It could not be unlinked."""
        self.left(item)
        self.hold_back(*item)

    def hold_back(self, name: str, taken: int) -> None:
        """It is to be unlinked, and counted until it is."""
        self._stuck_bytes += taken - self.stuck.get(name, 0)
        self.stuck[name] = taken

    def take_stuck(self, most: int) -> list[Item]:
        """Some that could not be unlinked; they leave, to be tried again."""
        batch = list(self.stuck.items())[:most]
        for name, _ in batch:
            self._stuck_bytes -= self.stuck.pop(name)
        self.leave(batch)
        return batch

    def merge(self, most: int) -> bool:
        """Bring entries, the newest first, from the scan into the index, where each goes before the others.

        False where there are no more: then the index has all.
        """
        scan = self.scan
        if scan is None:
            return False
        for _ in range(most):
            item = scan.pop_newest()
            if item is None:
                self._end(scan)
                return False
            if not self.index.put_oldest(*item):
                self.hold_back(*item)
        return True

    def _end(self, scan):
        self.scan = None
        for name in scan.recent():
            self.index.touch(name)
