"""The inventory: what the cache folder holds, in bytes and in order.

Who writes: the sidecar's event loop, after it changed the folder. It is in memory alone, and made anew from the
folder after a start (`loader`): how often entries were read is lost by that, and when they were read last is told
by their files' times. To keep more would need a write for each hit, or a file that is out of date after a crash.

Each linked byte is in one of four places: found in a folder and not in the index yet; in the index; leaving, while
its entry is being unlinked; stuck, where it could not be.
"""
from .index import Index
from .policies.base import EvictionPolicy

# an entry's name and its bytes on disk
Item = tuple[str, int]
# the 24 bytes of a name's 48 hex digits take a third of the memory
packed = bytes.fromhex


class Inventory:
    """
    :param policy: says which entry leaves next
    """

    def __init__(self, policy: EvictionPolicy):
        self._index = Index(policy)
        self.stuck: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self._leaving_bytes = 0
        self._stuck_bytes = 0
        self._read_again: set[str] = set()
        # until the loader has brought in all entries that an earlier process left
        self.is_whole = False
        self._found, self._found_bytes = 0, 0
        self._dropped: set[str] = set()

    @property
    def total(self) -> int:
        """Bytes that are linked; those found so far, while the folders are read."""
        return self._index.bytes + self._leaving_bytes + self._stuck_bytes + self._found_bytes

    @property
    def entries(self) -> int:
        """Entries that are linked; those found so far, while the folders are read."""
        return len(self._index) + len(self._leaving) + len(self.stuck) + self._found

    def __contains__(self, entry_name):
        return packed(entry_name) in self._index or entry_name in self.stuck

    def size_of(self, entry_name: str) -> int:
        """Bytes on disk of an entry, as far as they are known; else 0."""
        return self._index.size_of(packed(entry_name)) or self.stuck.get(entry_name, 0)

    def of_container(self, container_name: str) -> list[str]:
        """Names of the entries that one container has at this moment; may be asked in any thread."""
        begin = packed(container_name)
        return [name.hex() for name in self._index if name.startswith(begin)]

    # the start

    def found(self, count: int, taken: int) -> None:
        """Count entries that lie in a folder, and are to be restored."""
        self._found += count
        self._found_bytes += taken

    def restore(self, name: bytes, taken: int) -> None:
        """Account for an entry that was found, as the next to leave, unless it was dropped since."""
        self.found(-1, -taken)
        entry_name = name.hex() if self.stuck or self._dropped else ''
        if entry_name in self.stuck:
            self._stick(entry_name, taken)
        elif entry_name not in self._dropped:
            self._index.put_back(name, taken)

    def complete(self) -> None:
        """Note that all that was found is restored."""
        self.is_whole = True
        self._dropped.clear()

    # what comes and goes

    def linked(self, entry_name: str, taken: int) -> None:
        """Account for an entry that was linked, in the place of the one that had its name."""
        self.gone(entry_name)
        self._index.add(packed(entry_name), taken)

    def gone(self, entry_name: str) -> None:
        """Account for an entry no longer."""
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
        """Keep an entry, if it is here: it will be read soon, most likely."""
        self._index.expect(packed(entry_name))

    def take(self, wanted: float, most: int) -> list[Item]:
        """Take the entries that leave next, until they make `wanted` bytes or are `most`.

        They stay counted until `left`, `keep` or `hold` says what became of each.
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

    # what cannot be unlinked

    def hold(self, item: Item) -> None:
        """Note that an entry that was taken could not be unlinked."""
        self.left(item)
        self._stick(*item)

    def hold_back(self, entry_name: str) -> None:
        """Note that an entry that is to go could not be unlinked: it is counted until it is."""
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
