"""The inventory: the entries of the cache folder, their bytes, and the order in which they are evicted.

The sidecar's event loop writes it, after it changed the folder. The inventory is in memory alone, and made anew
from the folder after a start (`index_loader`). The number of reads of each entry is lost then. The time of its
last read is its file's time. To keep more would need a write for each hit, or a file that is out of date after a
crash.

Each linked byte is in one of four places: found in a folder and not in the index yet; in the index; leaving, while
its entry is being unlinked; stuck, where its entry could not be unlinked.
"""
from .index import Index
from .policies.base import EvictionPolicy

# an entry's name and its bytes on disk
Item = tuple[str, int]
# the 24 bytes of a name's 48 hex digits take a third of the memory
packed = bytes.fromhex


class Inventory:
    """Counts the linked entries and their bytes.

    :param policy: chooses the next entry to evict
    """

    def __init__(self, policy: EvictionPolicy):
        self._index = Index(policy)
        self.stuck: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self._leaving_bytes = 0
        self._stuck_bytes = 0
        self._read_again: set[str] = set()
        # False until the loader has restored all entries that an earlier process left
        self.is_whole = False
        self._found, self._found_bytes = 0, 0
        self._dropped: set[str] = set()

    @property
    def total(self) -> int:
        """Give the linked bytes; while the folders are read, the bytes found so far."""
        return self._index.bytes + self._leaving_bytes + self._stuck_bytes + self._found_bytes

    @property
    def entries(self) -> int:
        """Count the linked entries; while the folders are read, the entries found so far."""
        return len(self._index) + len(self._leaving) + len(self.stuck) + self._found

    def __contains__(self, entry_name):
        return packed(entry_name) in self._index or entry_name in self.stuck

    def size_of(self, entry_name: str) -> int:
        """Give an entry's bytes on disk where they are known, else 0."""
        return self._index.size_of(packed(entry_name)) or self.stuck.get(entry_name, 0)

    def of_container(self, container_name: str) -> list[str]:
        """Give the names of the entries that one container has at this moment; any thread may ask."""
        begin = packed(container_name)
        return [name.hex() for name in self._index if name.startswith(begin)]

    # the start

    def found(self, count: int, taken: int) -> None:
        """Count entries that were found in a folder, and are to be restored."""
        self._found += count
        self._found_bytes += taken

    def restore(self, name: bytes, taken: int) -> None:
        """Account for an entry that was found, as the next to evict, unless it was dropped since."""
        self.found(-1, -taken)
        entry_name = name.hex() if self.stuck or self._dropped else ''
        if entry_name in self.stuck:
            self._stick(entry_name, taken)
        elif entry_name not in self._dropped:
            self._index.put_back(name, taken)

    def complete(self) -> None:
        """Note that all found entries are restored."""
        self.is_whole = True
        self._dropped.clear()

    # entries that come and go

    def linked(self, entry_name: str, taken: int) -> None:
        """Account for an entry that was linked, in place of the entry that had its name."""
        self.gone(entry_name)
        self._index.add(packed(entry_name), taken)

    def gone(self, entry_name: str) -> None:
        """Take an entry out of the account."""
        if not self.is_whole:
            self._dropped.add(entry_name)
        self._index.remove(packed(entry_name))
        self._stuck_bytes -= self.stuck.pop(entry_name, 0)

    def touch(self, entry_name: str) -> None:
        """Note that an entry was read."""
        if entry_name in self._leaving:
            self._read_again.add(entry_name)
        else:
            self._index.read(packed(entry_name))

    def expect(self, entry_name: str) -> None:
        """Keep an entry, if it is here: a read is expected soon."""
        self._index.expect(packed(entry_name))

    def take(self, wanted: float, most: int) -> list[Item]:
        """Take the next entries to evict, until they make `wanted` bytes or are `most`.

        Each stays counted until `left`, `keep` or `hold` is called for it.
        """
        batch: list[Item] = []
        while wanted > 0 and len(batch) < most and (found := self._index.take()):
            name, taken = found
            batch.append((name.hex(), taken))
            wanted -= taken
        self._leave(batch)
        return batch

    def _leave(self, batch):
        self._leaving.update(batch)
        self._leaving_bytes += sum(taken for _, taken in batch)

    def left(self, item: Item) -> None:
        """Note that an entry that was taken is unlinked."""
        self._end_leaving(item[0])
        self._index.let_go(packed(item[0]))

    def _end_leaving(self, entry_name):
        self._leaving_bytes -= self._leaving.pop(entry_name)
        self._read_again.discard(entry_name)

    def keep(self, items: list[Item]) -> None:
        """Put entries that were taken back into the places that they had."""
        for entry_name, taken in reversed(items):
            was_read = entry_name in self._read_again
            self._end_leaving(entry_name)
            self._index.put_back(packed(entry_name), taken)
            if was_read:
                self.touch(entry_name)

    # entries that cannot be unlinked

    def hold(self, item: Item) -> None:
        """Note that an entry that was taken could not be unlinked."""
        self.left(item)
        self._stick(*item)

    def hold_back(self, entry_name: str) -> None:
        """Note that an entry to be purged could not be unlinked: it stays counted until it is."""
        taken = self.size_of(entry_name)
        self.gone(entry_name)
        self._stick(entry_name, taken)

    def _stick(self, entry_name, taken):
        self._stuck_bytes += taken - self.stuck.get(entry_name, 0)
        self.stuck[entry_name] = taken

    def take_stuck(self, most: int) -> list[Item]:
        """Take some entries that could not be unlinked, to try them again."""
        batch = list(self.stuck.items())[:most]
        for entry_name, _ in batch:
            self._stuck_bytes -= self.stuck.pop(entry_name)
        self._leave(batch)
        return batch
