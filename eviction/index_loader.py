"""The loader: brings into the inventory, after a start, the entries that an earlier process left.

It reads one of the 256 folders at a time, in a thread, and keeps times, names and bytes until all are read. Then
the entries go into the index, the newest first, and each goes before the others. So they are evicted in the order
of their files' times. Nothing is linked or evicted meanwhile. The inventory remembers the entries that are dropped
meanwhile.

A folder that a bad disk never gives back must not stop the loader for ever: after some time it is left out. Its
entries still give hits, and can be purged. They are not counted and not evicted until the next start.
"""
import heapq
import math
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from ..cache.entry import rounded
from ..cache.reader import disk_bytes
from ..conf.names import CONTAINER_DIGITS, FOLDERS
from .inventory import Inventory, packed

ENTRY_NAME = re.compile(r'[0-9a-f]{48}')
# entries that go into the index without a pause: some milliseconds
RESTORE_AT_A_TIME = 1000
# a folder that fails TRIES times is left out, where at most LEFT_OUT folders fail. Names are spread evenly, so the
# cache is larger by a sixteenth at most
TRIES = 30
LEFT_OUT = FOLDERS // 16

# time, packed name and bytes of an entry
Found = tuple[float, bytes, int]


def read_folder(folder: Path, now: float, largest: float = math.inf) -> tuple[list[Found], list[str]]:
    """Read the entries of one folder, the oldest first, and the names of foreign files. Blocks.

    A time in the future comes from a clock that was set back since, and counts as now.

    :param largest: bytes of an entry above which it counts as the oldest
    :raises OSError: where the folder cannot be read
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
            # rounded, since some file systems count a file's last block only later
            taken = rounded(disk_bytes(status))
            used_at = min(status.st_mtime, now) if taken <= largest else -math.inf
            found.append((used_at, packed(item.name), taken))
    found.sort()
    return found, foreign


def _newest_first(found: list[Found]) -> Iterator[Found]:
    """Give the entries of a folder and keep none, so that memory does not hold all of them twice."""
    while found:
        yield found.pop()


class Loader:
    """Reads the folders of entries, and restores the entries in the inventory.

    One green thread at a time calls `step`.

    :param objects: the folder of the 256 folders
    :param largest: bytes of an entry above which it is evicted first, whatever its age
    :param execute: runs a blocking call
    """

    def __init__(self, objects: Path, inventory: Inventory, largest: float, execute: Callable, logger):
        self._objects = objects
        self._inventory = inventory
        self._largest = largest
        self._execute = execute
        self._logger = logger
        self._unread = deque(objects / f'{number:02x}' for number in range(FOLDERS))
        self._tries: Counter[Path] = Counter()
        self._runs: list[list[Found]] = []
        self._foreign: list[str] = []
        self._merged: Iterator[Found] | None = None

    @property
    def failing(self) -> int:
        """Count the folders that cannot be read, with the folders that were left out."""
        return len(self._tries)

    @property
    def done(self) -> float:
        """Give the share of the folders that was read, 0 to 1."""
        return len(self._runs) / FOLDERS

    def step(self, now: float) -> bool:
        """Read a folder, or restore some of the entries; give False where all are restored.

        :raises OSError: where a folder cannot be read; it is tried again after the others
        """
        if self._unread:
            self._read(now)
            return True
        if self._merged is None:
            self._warn()
            self._merged = heapq.merge(*map(_newest_first, self._runs), reverse=True)
        batch = list(islice(self._merged, RESTORE_AT_A_TIME))
        for _, name, taken in batch:
            self._inventory.restore(name, taken)
        return bool(batch)

    def _read(self, now):
        folder = self._unread.popleft()
        try:
            found, foreign = self._execute(read_folder, folder, now, self._largest)
        except OSError:
            self._tries[folder] += 1
            if self._tries[folder] < TRIES or self.failing > LEFT_OUT:
                self._unread.append(folder)
                raise
            self._logger.error('%s is left out: its entries are not counted and not evicted until it can be read '
                               'and the sidecar is started again', folder)
            self._runs.append([])
            return
        except BaseException:
            self._unread.append(folder)
            raise
        del self._tries[folder]
        self._runs.append(found)
        self._foreign += foreign
        self._inventory.found(len(found), sum(taken for _, _, taken in found))

    def _warn(self):
        if self._foreign:
            self._logger.warning('%d files in %s are no entries; they are left, and not counted, such as %s',
                                 len(self._foreign), self._objects, self._foreign[0])
