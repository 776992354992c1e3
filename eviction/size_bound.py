"""An upper bound of the bytes that are linked, on disk.

Who writes: the sidecar's evictor, before it links what would pass the bound, and now and then to lower it. Who
reads: the evictor, when it starts and does not know yet what lies in the folder.

What holds after a crash: all entries together take no more than the file says. It is written under another
name, synced and renamed before the entry that needs it is linked. It is lowered after the entries are
unlinked; that a file system brings renames and unlinks to the disk in the order in which they were made, as
those with a journal do, is relied upon after a power cut, and by nothing else.
"""
from pathlib import Path

from ..conf.files import read_own, write_whole

# of cache_size, in which the bound is raised: a write for each percent that the cache grows
STEPS = 100
MOST_BYTES = 32


class SizeBound:
    """
    :param path: of its file, in the cache folder
    :param size: bytes that the cache may take
    """

    def __init__(self, path: Path, size: int):
        self._path = path
        self._size = size
        self._step = max(size // STEPS, 1)
        self.bound = self._read()

    def _read(self):
        """What is written there; what the cache may take where there is nothing that can be understood."""
        try:
            text = read_own(self._path, MOST_BYTES + 1)
        except OSError:
            return self._size
        return int(text) if text.isdigit() and len(text) <= MOST_BYTES else self._size

    def allow(self, total: int) -> None:
        """To be called before so many bytes are linked.

        :raises OSError: where it cannot be written: then nothing may be linked
        """
        if total > self.bound or not self._path.exists():
            self._write(max(min(total + self._step, self._size), total))

    def lower(self, total: int) -> None:
        """No more than so many bytes are linked; written where it makes a difference.

        :raises OSError:
        """
        if self.bound - total > 3 * self._step:
            self._write(total + self._step)

    def _write(self, bound):
        write_whole(self._path, [b'%d' % bound], '.new', durable=True)
        self.bound = bound
