"""A whole spool file on its way to become an entry.

Who writes: the sidecar. What holds after a crash: it lies in the spool or is linked, since a rename is one step.
"""
import os
import shutil
from contextlib import suppress
from hashlib import md5
from pathlib import Path

from swift.common.utils import Timestamp

from ..conf.names import Naming
from .entry import CacheError, Damaged, EntryMeta
from .folder import CacheLayout
from .headers import etag_of
from .reader import Entry


class Candidate:
    """A spool file that was checked whole, and is open. Closing it removes it, unless it was linked."""

    def __init__(self, path: Path, layout: CacheLayout, naming: Naming):
        """:raises Damaged: where it is not exactly the object's bytes; the file is removed"""
        self._path = path
        self._entry = _verified(path)
        self.entry_name = naming.entry(self._entry.meta.name)
        self.origin = self._entry.meta.origin
        self.disk_bytes = self._entry.disk_bytes
        self.fetched_at = self._entry.meta.fetched_at
        self._target = layout.entry(self.entry_name)
        self.is_closed = False

    def refuse_newer(self) -> None:
        """:raises CacheError: where the entry that linking would take the place of is newer"""
        try:
            existing = Entry.open(self._target)
        except Damaged:
            return
        if existing is not None:
            with existing:
                if timestamp_of(existing.meta) > timestamp_of(self._entry.meta):
                    raise CacheError(f'{self.entry_name}: a newer version is cached already')

    def link(self) -> None:
        """:raises CacheError: where a newer version is cached already"""
        self.refuse_newer()
        if self._target.is_dir():
            # it would stand in the way of the rename
            remove(self._target)
        os.rename(self._path, self._target)

    def close(self, keep: bool = False) -> None:
        """:param keep: leave the file in the spool, for another time"""
        self.is_closed = True
        self._entry.close()
        # a file that cannot be removed is swept when it is old
        with suppress(OSError):
            if not keep:
                remove(self._path)


def _verified(path):
    entry = None
    try:
        entry = Entry.open(path)
        if entry is None:
            raise Damaged(f'spool file {path.name} is gone')
        verify(entry)
        return entry
    except BaseException:
        if entry is not None:
            entry.close()
        remove(path)
        raise


def verify(entry: Entry) -> None:
    """Read it whole. :raises Damaged: where its bytes are not the object's"""
    found = md5(usedforsecurity=False)
    for block in entry.blocks(0, entry.meta.body_length):
        found.update(block)
    etag = etag_of(entry.meta.headers)
    if found.hexdigest() != etag:
        raise Damaged(f'MD5 {found.hexdigest()} where the ETag is {etag or "missing"}')


def timestamp_of(meta: EntryMeta) -> Timestamp:
    return Timestamp(meta.header('x-backend-timestamp') or meta.header('x-timestamp') or 0)


def remove(path: str | os.PathLike) -> bool:
    """Unlink a file of ours, or a folder that somebody made in its place; tells whether there was any."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        shutil.rmtree(path)
    return True
