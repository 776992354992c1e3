"""Making the index anew from the folder, one of its 256 folders at a time, while the cache is in use.

Who writes: nobody. The folders are read in a thread; what they gave is kept here until the index has it, in
the order of the files' times. Names are keyed hashes, so that each folder holds a random sample of all
entries: the oldest of those that were read so far are old among all.

What was linked, dropped or evicted meanwhile is `claimed` by whoever did it: what the scan has seen, or will see,
under that name does not count. What was read meanwhile is not among the first to go.
"""
import heapq
import os
import re
from array import array
from collections import deque
from pathlib import Path

from ..cache.entry import rounded
from ..cache.reader import disk_bytes
from ..conf.names import CONTAINER_DIGITS, FOLDERS
from .index import packed

NAME_BYTES = 24
# the byte of a name that says in which folder it lies
PLACE = CONTAINER_DIGITS // 2
ENTRY_NAME = re.compile(r'[0-9a-f]{48}')
# names that are remembered as read meanwhile; more are only as old as their files say
RECENT = 100_000


class FolderOfEntries:
    """The entries of one folder, oldest first, in 40 bytes each."""

    def __init__(self, found: list[tuple[float, bytes, int]]):
        found.sort()
        self._times = array('d', (at for at, _, _ in found))
        self._names = b''.join(name for _, name, _ in found)
        self._sizes = array('q', (taken for _, _, taken in found))
        self._first, self._last = 0, len(found) - 1

    def __bool__(self):
        return self._first <= self._last

    @property
    def oldest_at(self) -> float:
        return self._times[self._first]

    @property
    def newest_at(self) -> float:
        return self._times[self._last]

    def pop_oldest(self) -> tuple[bytes, int]:
        self._first += 1
        return self._item(self._first - 1)

    def pop_newest(self) -> tuple[bytes, int]:
        self._last -= 1
        return self._item(self._last + 1)

    def _item(self, number):
        return self._names[number * NAME_BYTES:(number + 1) * NAME_BYTES], self._sizes[number]


def read_folder(folder: Path, now: float) -> tuple[list[tuple[float, bytes, int]], list[str]]:
    """Times, names and bytes of the entries in one folder; and the names of what is none. Blocks.

    A time to come, of a clock that was set back since, counts as now.

    :raises OSError: where it cannot be read
    """
    found, foreign = [], []
    try:
        items = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return found, foreign
    with items:
        for item in items:
            place = item.name[CONTAINER_DIGITS:CONTAINER_DIGITS + 2]
            if not ENTRY_NAME.fullmatch(item.name) or place != folder.name:
                foreign.append(item.name)
                continue
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            # some file systems tell only later that a file takes its last block
            found.append((min(status.st_mtime, now), bytes.fromhex(item.name), rounded(disk_bytes(status))))
    return found, foreign


class Loader:
    """What is known, and what is not yet, of the entries that an earlier process left.

    :param objects: the folder of the folders
    :param unknown: bytes that they take at most, all together
    :param largest: bytes of an entry above which it goes first, whatever its age
    """

    def __init__(self, objects: Path, unknown: int, largest: float):
        self._objects = objects
        self._largest = largest
        self._left = deque(range(FOLDERS))
        self._reading: int | None = None
        self._read: set[int] = set()
        self._runs: list[FolderOfEntries] = []
        self._oldest: list[tuple[float, int]] = []
        self._newest: list[tuple[float, int]] = []
        self._first_to_go: list[tuple[bytes, int]] = []
        self._claimed: set[bytes] = set()
        self._recent: dict[bytes, None] = {}
        self._spared: list[tuple[bytes, int]] = []
        self.unknown = unknown
        # of what was found and is neither claimed nor given out
        self.bytes = 0
        self.entries = 0
        self.foreign: list[str] = []

    @property
    def total(self) -> int:
        """Bytes that what is neither claimed nor given out takes at most."""
        return self.bytes + self.unknown

    @property
    def is_read(self) -> bool:
        """Whether all folders are."""
        return len(self._read) == FOLDERS

    @property
    def done(self) -> float:
        """The part of the folders that was read, 0 to 1."""
        return len(self._read) / FOLDERS

    def next_folder(self) -> Path:
        """Begin with one; to be followed by `take` or `give_back`."""
        self._reading = self._left.popleft()
        return self._objects / f'{self._reading:02x}'

    def give_back(self) -> None:
        """The folder cannot be read: it will be tried again when the others are."""
        assert self._reading is not None
        self._left.append(self._reading)
        self._reading = None

    def take(self, found: list[tuple[float, bytes, int]], foreign: list[str]) -> None:
        """What the folder that was begun with holds."""
        assert self._reading is not None
        self._read.add(self._reading)
        self._reading = None
        self.foreign += foreign
        ours = [item for item in found if item[1] not in self._claimed]
        taken = sum(item[2] for item in ours)
        self.bytes += taken
        self.entries += len(ours)
        self.unknown = 0 if self.is_read else max(self.unknown - taken, 0)
        self._first_to_go += [(name, size) for _, name, size in ours if size > self._largest]
        self._add(FolderOfEntries([item for item in ours if item[2] <= self._largest]))

    def _add(self, run):
        if run:
            number = len(self._runs)
            self._runs.append(run)
            heapq.heappush(self._oldest, (run.oldest_at, number))
            heapq.heappush(self._newest, (-run.newest_at, number))

    def claim(self, entry_name: str, taken: int) -> None:
        """Somebody linked or unlinked this name; what lay there before took so many bytes, or 0."""
        name = packed(entry_name)
        if name in self._claimed:
            return
        self._claimed.add(name)
        if name[PLACE] in self._read:
            self.bytes = max(self.bytes - taken, 0)
            self.entries -= taken > 0
        else:
            self.unknown = max(self.unknown - taken, 0)

    def touch(self, entry_name: str) -> None:
        """It was read."""
        name = packed(entry_name)
        if self._recent.pop(name, self) is not self or len(self._recent) < RECENT:
            self._recent[name] = None

    def pop_oldest(self) -> tuple[str, int] | None:
        """Name and bytes of what is to go next, of what was found so far."""
        found = self._unclaimed(self._first_to_go)
        found = found or self._pop(self._oldest, FolderOfEntries.pop_oldest, lambda run: run.oldest_at, True)
        found = found or self._unclaimed(self._spared)
        return found and self._give(found)

    def pop_newest(self) -> tuple[str, int] | None:
        """Name and bytes of what was used last, once all folders are read."""
        assert self.is_read
        found = self._pop(self._newest, FolderOfEntries.pop_newest, lambda run: -run.newest_at, False)
        found = found or self._unclaimed(self._spared) or self._unclaimed(self._first_to_go)
        return found and self._give(found)

    def recent(self) -> list[str]:
        """What was read meanwhile, the latest last."""
        return [name.hex() for name in self._recent]

    def _unclaimed(self, items):
        while items:
            found = items.pop()
            if found[0] not in self._claimed:
                return found
        return None

    def _pop(self, heap, pop, at, spare):
        while heap:
            _, number = heapq.heappop(heap)
            run = self._runs[number]
            if not run:
                continue
            found = pop(run)
            if run:
                heapq.heappush(heap, (at(run), number))
            if found[0] in self._claimed:
                continue
            if not spare or found[0] not in self._recent:
                return found
            self._spared.append(found)
        return None

    def _give(self, found):
        name, taken = found
        self.bytes = max(self.bytes - taken, 0)
        self.entries -= 1
        return name.hex(), taken
