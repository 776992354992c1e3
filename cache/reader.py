"""Reading entries: each byte is checked before it is given out."""
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from xxhash import xxh3_64_intdigest as checksum

from ..conf.files import FLAGS
from ..conf.names import ObjectName
from .entry import BLOCK, PAGE, STAMP_OFFSET, Damaged, EntryMeta, Frame, Stamp, parse_frame, parse_meta

# header and body of an object of one block in one system call
FIRST_READ = PAGE + BLOCK + 8
# larger pieces cost less for each byte, and hold up the other requests of a worker for longer
BLOCKS_AT_A_TIME = 4
TOUCH_SECONDS = 60


def disk_bytes(status: os.stat_result) -> int:
    """Count a file's bytes on disk, its length at least: some file systems tell the blocks only later."""
    return max(status.st_blocks * 512, status.st_size)


class Entry:
    """An open entry file. It stays readable when it is evicted meanwhile. Close it."""

    def __init__(self, fd: int, meta: EntryMeta, frame: Frame, stamp: Stamp | None, status: os.stat_result,
                 head: bytes):
        self._frame = frame
        self._head = head
        self._table = b''
        self._status = status
        self.meta = meta
        self.stamp = stamp
        self._fd = fd

    @classmethod
    def open(cls, path: str | os.PathLike, name: ObjectName | None = None) -> 'Entry | None':
        """Open the entry at `path`; None where there is none.

        :param name: the object it must be of; None: any
        :raises Damaged: for a file that is not that object's entry
        :raises OSError: where the disk fails
        """
        try:
            fd = os.open(path, os.O_RDWR | FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            fd = _open_unusual(path, error)
        try:
            return cls._read(fd, name)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _read(cls, fd, name):
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Damaged('not a regular file')
        if status.st_uid != os.geteuid():
            # the folder is closed to others: its owner did not write it as the cache does
            raise Damaged(f'a file of uid {status.st_uid}')
        head = os.pread(fd, min(FIRST_READ, status.st_size), 0)
        frame = parse_frame(head, status.st_size)
        if frame.header_length > len(head):
            head = os.pread(fd, frame.header_length, 0)
        meta = parse_meta(head, frame)
        if name is not None and meta.name != name:
            raise Damaged('it is the entry of another object')
        return cls(fd, meta, frame, Stamp.parse(head[STAMP_OFFSET:], frame.sum), status, head)

    @property
    def identity(self) -> str:
        """A text that tells this file from any other that had or will have its name."""
        return f'{self._status.st_ino}-{self._frame.sum:016x}'

    @property
    def disk_bytes(self) -> int:
        return disk_bytes(self._status)

    def whole(self) -> bytes | None:
        """Give the body, checked, where it came with the header; None where it is too large for that.

        :raises Damaged: where it is not as it was written
        """
        frame = self._frame
        if frame.file_length != len(self._head):
            return None
        self._read_table()
        body = self._head[frame.header_length:frame.table_offset]
        if self._good_bytes(0, body) != len(body):
            raise Damaged('checksum of the body')
        return body

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the body's bytes from `start` up to, not including, `stop`, each checked before it is given.

        :raises Damaged: at the first block that is not as it was written; the blocks before it are good
        """
        self._read_table()
        last = -(-stop // BLOCK)
        for number in range(start // BLOCK, last, BLOCKS_AT_A_TIME):
            begin = number * BLOCK
            length = min(min(number + BLOCKS_AT_A_TIME, last) * BLOCK, self.meta.body_length) - begin
            data = os.pread(self._fd, length, self._frame.header_length + begin)
            good = self._good_bytes(number, data)
            low, high = max(start - begin, 0), min(stop - begin, good)
            if low < high:
                yield data if high - low == len(data) else data[low:high]
            if good != length:
                raise Damaged(f'checksum of block {number + good // BLOCK}')

    def _good_bytes(self, number, data):
        """Count the bytes, from block `number` on and up to the first bad block, that are as they were written."""
        view = memoryview(data)
        for offset in range(0, len(data), BLOCK):
            place = 8 * (number + offset // BLOCK)
            if checksum(view[offset:offset + BLOCK]) != int.from_bytes(self._table[place:place + 8], 'little'):
                return offset
        return len(data)

    def _read_table(self):
        frame = self._frame
        if self._table or not frame.table_length:
            return
        if frame.file_length == len(self._head):
            table = self._head[frame.table_offset:]
        else:
            table = os.pread(self._fd, frame.table_length, frame.table_offset)
        if checksum(table) != frame.table_sum:
            raise Damaged('checksum of the block table')
        self._table = table

    def restamp(self, stamp: Stamp) -> None:
        """Note that the entry was found to be current; through the open file, never by path."""
        os.pwrite(self._fd, stamp.pack(self._frame.sum), STAMP_OFFSET)
        self.stamp = stamp

    def touch(self, now: float) -> None:
        """Note a hit in the file's time, at most once a minute: a restart begins with the order of these times."""
        # a time to come was set by a clock that went wrong, and would make the entry the last to go
        if abs(now - self._status.st_mtime) > TOUCH_SECONDS:
            os.utime(self._fd, (now, now))

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        # the bytes were checked: an error that comes as late as this harms nobody
        with suppress(OSError):
            if fd >= 0:
                os.close(fd)

    # an iterator that nobody began to read runs no `finally` when it is closed
    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _open_unusual(path, error):
    """Open it read-only where the disk has become so; a link or a folder under an entry's name is damage."""
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return os.open(path, os.O_RDONLY | FLAGS)
    if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
        raise Damaged(f'not a regular file: {os.strerror(error.errno)}') from None
    raise error
