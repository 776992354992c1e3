"""Writing entries: into the spool first, whole or not at all."""
import contextlib
import os
import secrets
from pathlib import Path

from xxhash import xxh3_64, xxh3_64_intdigest

from .entry import BLOCK, EntryMeta, NoRoom, Stamp, block_count, encode_meta, header_length, pack_header

CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class EntryWriter:
    """An entry in the making, in a spool file that already has an entry's format.

    Not whole until `finish()`; `abort()` removes it. Bytes below `written` can be read meanwhile.
    """

    def __init__(self, spool: Path, meta: EntryMeta):
        """:raises NoRoom: where the headers are too large
        :raises OSError: where the disk fails
        """
        self._fd = -1
        self.meta = meta
        self.written = 0
        self._encoded = encode_meta(meta)
        self.body_offset = header_length(self._encoded)
        self._table = bytearray()
        self._hash = xxh3_64()
        self._in_block = 0
        self.path = spool / secrets.token_hex(16)
        self._fd = os.open(self.path, CREATE, 0o600)
        # its length shows from the beginning, so that its bytes to come count in the spool
        self._truncate()

    def _truncate(self):
        length = self.body_offset + self.meta.body_length + 8 * block_count(self.meta.body_length)
        try:
            os.ftruncate(self._fd, length)
        except OSError:
            self.abort()
            self.close()
            raise

    @property
    def name(self) -> str:
        return self.path.name

    def write(self, data: bytes) -> None:
        """Append to the body.

        :raises NoRoom: for more bytes than were announced
        """
        if self.written + len(data) > self.meta.body_length:
            raise NoRoom(f'more than the {self.meta.body_length} bytes that were announced')
        _pwrite_all(self._fd, data, self.body_offset + self.written)
        self._sum(data)
        self.written += len(data)

    def _sum(self, data):
        view = memoryview(data)
        while view:
            part = view[:BLOCK - self._in_block]
            self._hash.update(part)
            self._in_block += len(part)
            view = view[len(part):]
            if self._in_block == BLOCK:
                self._end_block()

    def _end_block(self):
        self._table += self._hash.intdigest().to_bytes(8, 'little')
        self._hash.reset()
        self._in_block = 0

    def read(self, start: int, stop: int) -> bytes:
        """Read the bytes of the body that were written already, from `start` on; at most up to `stop`."""
        return os.pread(self._fd, min(stop, self.written) - start, self.body_offset + start)

    def finish(self, stamp: Stamp | None = None) -> None:
        """Write table and header: now the file is an entry.

        :raises NoRoom: where the body is shorter than announced; the file is removed
        """
        if self.written != self.meta.body_length:
            self.abort()
            raise NoRoom(f'{self.written} bytes came of the {self.meta.body_length} that were announced')
        if self._in_block:
            self._end_block()
        table = bytes(self._table)
        assert len(table) == 8 * block_count(self.meta.body_length)
        try:
            _pwrite_all(self._fd, table, self.body_offset + self.written)
            _pwrite_all(self._fd, pack_header(self._encoded, self.written, table, stamp), 0)
        except OSError:
            self.abort()
            raise

    def abort(self) -> None:
        """Remove the file if that can be done; its bytes stay readable until `close()`."""
        # on a disk that has become read-only it stays, until the sidecar sweeps the spool
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        # bytes that did not get to the disk fail their checksum
        with contextlib.suppress(OSError):
            if fd >= 0:
                os.close(fd)

    # its owner may have been dropped without having closed it
    __del__ = close


def write_small(spool: Path, meta: EntryMeta, body: bytes, stamp: Stamp | None) -> str:
    """Write a whole entry of one block at most, in one go; return the spool file's name.

    :raises NoRoom: where the headers are too large
    :raises OSError: where the disk fails; the file is removed
    """
    table = xxh3_64_intdigest(body).to_bytes(8, 'little') if body else b''
    data = pack_header(encode_meta(meta), len(body), table, stamp) + body + table
    name = secrets.token_hex(16)
    path = f'{spool}/{name}'
    descriptor = os.open(path, CREATE, 0o600)
    try:
        _pwrite_all(descriptor, data, 0)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        # bytes that did not get to the disk fail their checksum
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return name


def _pwrite_all(fd, data, offset):
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count
