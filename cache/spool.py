"""The spool: entries in the making, and whole ones that wait for the sidecar to admit them.

Proxy workers and the sidecar's fetches add files; the sidecar alone links them, and sweeps old ones.
After a crash a file lies in the spool or is linked, since a rename is one step.
"""
import os
import shutil
import time
from collections.abc import Generator
from contextlib import closing, suppress
from hashlib import md5
from pathlib import Path

from swift.common.utils import Timestamp

from ..conf.names import Naming
from .entry import CacheError, Damaged, EntryMeta, Stamp
from .folder import CLOCK_SLACK, CacheLayout, EntryFile, files_in
from .headers import etag_of
from .reader import Entry
from .writer import EntryWriter, write_small


class Spool:
    """The spool of an open cache folder."""

    def __init__(self, layout: CacheLayout, naming: Naming):
        self.layout = layout
        self.naming = naming

    def _spooled(self, spool_name: str) -> Path:
        # a name from a record must not lead elsewhere
        return self.layout.spool / os.path.basename(spool_name)

    def writer(self, meta: EntryMeta) -> EntryWriter:
        return EntryWriter(self.layout.spool, meta)

    def keep(self, meta: EntryMeta, body: bytes, stamp: Stamp | None) -> str:
        """Write a whole entry of one block at most; return the file's name.

        :raises NoRoom: where the headers are too large
        :raises OSError: where the disk fails
        """
        return write_small(self.layout.spool, meta, body, stamp)

    def is_in_spool(self, spool_name: str) -> bool:
        return os.path.exists(f'{self.layout.spool}/{spool_name}')

    def admit(self, spool_name: str) -> EntryFile:
        """Check a file whole, MD5 too, and link it under its entry's name. It is gone from the spool in any case.

        :raises Damaged: where it is not exactly the object's bytes
        :raises CacheError: where a newer version is cached already
        """
        with closing(self.verified(spool_name)) as candidate:
            candidate.link()
            return EntryFile(candidate.entry_name, candidate.disk_bytes, candidate.fetched_at)

    def verified(self, spool_name: str) -> 'Candidate':
        """Check a file whole. The candidate may be linked; closing it removes the file from the spool.

        :raises Damaged: where it is not exactly the object's bytes; the file is removed
        """
        return Candidate(self._spooled(spool_name), self.layout, self.naming)

    def discard(self, spool_name: str) -> None:
        """Remove a file; one that cannot be removed is swept when it is old."""
        with suppress(OSError):
            self._spooled(spool_name).unlink(missing_ok=True)

    def spooled_meta(self, spool_name: str) -> EntryMeta | None:
        """Read a file's header; None where it cannot be read."""
        try:
            entry = Entry.open(self._spooled(spool_name))
        except (Damaged, OSError, TypeError):
            return None
        if entry is None:
            return None
        with entry:
            return entry.meta

    def spooled_entry(self, spool_name: str) -> str:
        """Give the name that a file's entry will have; '' where that cannot be told."""
        meta = self.spooled_meta(spool_name)
        return self.naming.entry(meta.name) if meta else ''

    def spool_files(self) -> Generator[EntryFile, None, None]:
        return files_in(self.layout.spool)

    def spool_bytes(self, most: int | None = None, files: int | None = None) -> int:
        """Count the bytes that the spool holds and is going to hold.

        :param most: bytes at which counting ends
        :param files: files that count as `most` bytes, whatever they hold
        """
        total = 0
        with closing(self.spool_files()) as found:
            for number, item in enumerate(found):
                total += item.disk_bytes
                if most is not None and (total >= most or number == files):
                    return most
        return total

    def sweep_spool(self, before: float, now: float | None = None) -> int:
        """Remove files last written before that time; return how many.

        A file from the future, left by a clock that was set back since, begins to age now.
        """
        now = time.time() if now is None else now
        count = 0
        for item in list(self.spool_files()):
            if item.used_at < before:
                count += remove(self.layout.spool / item.entry_name)
            elif item.used_at > now + CLOCK_SLACK:
                os.utime(self.layout.spool / item.entry_name, (now, now), follow_symlinks=False)
        return count


class Candidate:
    """A spool file, checked whole and open. One that is closed without having been linked is removed."""

    def __init__(self, path: Path, layout: CacheLayout, naming: Naming):
        """Check it whole. :raises Damaged: where it is not exactly the object's bytes; the file is removed"""
        self._path = path
        self._entry = _verified(path)
        self.entry_name = naming.entry(self._entry.meta.name)
        self.origin = self._entry.meta.origin
        self.disk_bytes = self._entry.disk_bytes
        self.fetched_at = self._entry.meta.fetched_at
        self._target = layout.entry(self.entry_name)
        self.is_closed = False

    def refuse_newer(self) -> None:
        """Look at the entry that linking would replace. :raises CacheError: where that one is newer"""
        try:
            existing = Entry.open(self._target)
        except Damaged:
            return
        if existing is not None:
            with existing:
                if timestamp_of(existing.meta) > timestamp_of(self._entry.meta):
                    raise CacheError(f'{self.entry_name}: a newer version is cached already')

    def link(self) -> None:
        """Link the file under its entry's name. :raises CacheError: where a newer version is cached already"""
        self.refuse_newer()
        if self._target.is_dir():
            # it would stand in the way of the rename
            remove(self._target)
        os.rename(self._path, self._target)

    def close(self, keep: bool = False) -> None:
        """Close the file, and remove it from the spool. :param keep: leave it in the spool, for another time"""
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
    """Read an entry whole. :raises Damaged: where its bytes are not the object's"""
    found = md5(usedforsecurity=False)
    for block in entry.blocks(0, entry.meta.body_length):
        found.update(block)
    etag = etag_of(entry.meta.headers)
    if found.hexdigest() != etag:
        raise Damaged(f'MD5 {found.hexdigest()} where the ETag is {etag or "missing"}')


def timestamp_of(meta: EntryMeta) -> Timestamp:
    return Timestamp(meta.header('x-backend-timestamp') or meta.header('x-timestamp') or 0)


def remove(path: str | os.PathLike) -> bool:
    """Unlink a file of ours, or a folder that somebody made in its place; tell whether there was any."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        shutil.rmtree(path)
    return True
