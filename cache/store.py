"""The cache folder: making it, and how files come and go in it.

Who writes: the sidecar makes the folder, links entries (`admit`) and unlinks them (`drop`), and is
the only one to do so; proxy workers add spool files (`writer`). Who reads: everybody.
After a crash: an entry is linked or not, since a rename is one step; a spool file without a record
is removed when it is old (`sweep_spool`). No index is kept on disk: the folder is the index.
"""
import json
import os
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..conf.files import FLAGS, read_own, try_lock
from ..conf.names import FOLDERS, KEY_BYTES, Naming, ObjectName
from .entry import Damaged, EntryMeta, InUse, Stamp, Unavailable
from .folder import CacheLayout, close_to_others, identity, make_key, refuse_others
from .in_progress import expected_at, fetching, sweep
from .reader import Entry, disk_bytes
from .spool import Candidate, remove, verify
from .writer import EntryWriter, write_small

# seconds by which a file may be ahead of the clock for other reasons, such as a file server's own clock
CLOCK_SLACK = 60
# bytes of a report, far more than the sidecar needs
REPORT_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Linked:
    """One file under its entry's name. `used_at` is when it was last read or written, in seconds."""
    entry_name: str
    disk_bytes: int
    used_at: float


class Store:
    """An open cache folder. Holds no file open between calls, so that it may be used after fork."""

    def __init__(self, layout: CacheLayout, key: bytes, key_identity: tuple[int, int]):
        self.layout = layout
        self.naming = Naming(key)
        self._key_identity = key_identity

    @classmethod
    def open(cls, cache_dir: str | os.PathLike) -> 'Store':
        """:raises Unavailable: where the folder is not there or not one of ours"""
        layout = CacheLayout(Path(cache_dir))
        try:
            refuse_others(layout)
            key_identity = identity(layout.key)
            key = read_own(layout.key, KEY_BYTES + 1)
        except OSError as error:
            raise Unavailable(f'{error.filename}: {error.strerror}') from error
        if len(key) != KEY_BYTES:
            raise Unavailable(f'{layout.key} must hold {KEY_BYTES} bytes; remove it and all beside it')
        return cls(layout, key, key_identity)

    def lock(self) -> IO:
        """The right to link and unlink entries, which one process has at a time; until the file is closed.
        Ends the fetches of the process that had it before.

        :raises Unavailable: where another process has it
        """
        path = self.layout.cache_dir / 'lock'
        try:
            lock = open(os.open(path, os.O_RDWR | os.O_CREAT | FLAGS, 0o600), 'rb')  # noqa: SIM115 - held
        except OSError as error:
            raise Unavailable(f'{path}: {error.strerror}') from error
        if not try_lock(lock.fileno()):
            lock.close()
            raise InUse(f'another sidecar has {self.layout.cache_dir}: stop it first')
        with suppress(OSError):
            sweep(self.layout.fetching)
        return lock

    def is_current(self) -> bool:
        """Whether the folder is still the one that was opened, and not another, made or mounted since."""
        try:
            return identity(self.layout.key) == self._key_identity
        except OSError:
            return False

    @classmethod
    def create(cls, cache_dir: str | os.PathLike, beside: str = '') -> 'Store':
        """Open the folder. Make it where it is not there; close it to others where nothing in it can be theirs.
        The caller owns it.

        :param beside: with it begin the names of the files that the owner has in the folder beside the cache's
        :raises Unavailable: where it cannot be made or belongs to somebody else
        """
        layout = CacheLayout(Path(cache_dir))
        try:
            layout.cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            close_to_others(layout, beside)
            refuse_others(layout)
            for folder in (layout.objects.parent, layout.objects, layout.spool, layout.fetching):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number in range(FOLDERS):
                (layout.objects / f'{number:02x}').mkdir(mode=0o700, exist_ok=True)
            make_key(layout.key)
        except FileExistsError as error:
            raise Unavailable(f'{error.filename} must be a folder; move away what is in its place') from error
        except OSError as error:
            raise Unavailable(f'cannot make {error.filename or layout.key}: {error.strerror}') from error
        return cls.open(cache_dir)

    def entry(self, name: ObjectName) -> Entry | None:
        """The object's entry, open, or None.

        :raises Damaged: for a file under its name that is not its entry
        :raises OSError: where the disk fails
        """
        return Entry.open(self.layout.entry_path(self.naming.entry(name)), name)

    def has(self, name: ObjectName) -> bool:
        """Whether there is an entry, of whatever worth; cheaper than opening it."""
        return os.path.exists(self.layout.entry_path(self.naming.entry(name)))

    def fetching(self, name: ObjectName, until: float | None = None) -> AbstractContextManager[None]:
        """Say, for as long as the context lasts, that the object is on its way into the cache.

        :param until: when it will be there, most likely; None: at once
        """
        return fetching(f'{self.layout.fetching}/{self.naming.entry(name)}', until)

    def expected_at(self, name: ObjectName) -> float | None:
        """When the sidecar, which is about to bring the object in, expects to have done so; None: it is not."""
        return expected_at(f'{self.layout.fetching}/{self.naming.entry(name)}')

    def is_fetching(self, name: ObjectName) -> bool:
        return self.expected_at(name) is not None

    def writer(self, meta: EntryMeta) -> EntryWriter:
        return EntryWriter(self.layout.spool, meta)

    def keep(self, meta: EntryMeta, body: bytes, stamp: Stamp | None) -> str:
        """Write a whole entry of one block at most into the spool; the file's name.

        :raises NoRoom: where the headers are too large
        :raises OSError: where the disk fails
        """
        return write_small(self.layout.spool, meta, body, stamp)

    def is_in_spool(self, spool_name: str) -> bool:
        return os.path.exists(f'{self.layout.spool}/{spool_name}')

    def admit(self, spool_name: str) -> Linked:
        """Check a spool file whole, MD5 too, and link it under its entry's name.

        The file is gone from the spool afterwards, whatever happened.

        :raises Damaged: where it is not exactly the object's bytes
        :raises CacheError: where a newer version is cached already
        """
        with closing(self.verified(spool_name)) as candidate:
            candidate.link()
            return Linked(candidate.entry_name, candidate.disk_bytes, candidate.fetched_at)

    def verified(self, spool_name: str) -> Candidate:
        """A spool file, checked whole, that may be linked. Close it: then it is gone from the spool.

        :raises Damaged: where it is not exactly the object's bytes; the file is removed
        """
        return Candidate(self.layout.spool / os.path.basename(spool_name), self.layout, self.naming)

    def discard(self, spool_name: str) -> None:
        """Remove a spool file; one that cannot be removed is swept when it is old."""
        with suppress(OSError):
            (self.layout.spool / os.path.basename(spool_name)).unlink(missing_ok=True)

    def spooled_meta(self, spool_name: str) -> EntryMeta | None:
        """The facts that a spool file has of its object; None where it cannot be read."""
        try:
            entry = Entry.open(self.layout.spool / os.path.basename(spool_name))
        except (Damaged, OSError, TypeError):
            return None
        if entry is None:
            return None
        with entry:
            return entry.meta

    def spooled_entry(self, spool_name: str) -> str:
        """The entry name that a spool file will have; '' where that cannot be told."""
        meta = self.spooled_meta(spool_name)
        return self.naming.entry(meta.name) if meta else ''

    def drop(self, entry_name: str, identity: str | None = None) -> bool:
        """Unlink an entry; with `identity` only if it is still that file. Tells whether it did."""
        path = self.layout.entry(entry_name)
        if identity is not None:
            try:
                entry = Entry.open(path)
            except Damaged:
                entry = None
            if entry is not None:
                with entry:
                    if entry.identity != identity:
                        return False
        return remove(path)

    def names_of(self, container_name: str) -> list[str]:
        """The names of one container's entries, from the folder."""
        return [name for folder in sorted(self.layout.objects.iterdir()) if folder.is_dir()
                for name in os.listdir(folder) if name.startswith(container_name)]

    def linked(self) -> Iterator[Linked]:
        """All entries, in no order, unread and unchecked."""
        for folder in sorted(self.layout.objects.iterdir()):
            # a file beside the folders is none of ours
            if folder.is_dir():
                yield from _files(folder)

    def spool_files(self) -> Generator[Linked, None, None]:
        yield from _files(self.layout.spool)

    def spool_bytes(self, most: int | None = None, files: int | None = None) -> int:
        """Bytes of the spool's files, written or announced.

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
        """Remove spool files last written before that time; tells how many.

        One from the future, left by a clock that was set back since, begins to age now.
        """
        now = time.time() if now is None else now
        found = list(self.spool_files())
        old = [item for item in found if item.used_at < before]
        for item in found:
            if item.used_at > now + CLOCK_SLACK and item not in old:
                os.utime(self.layout.spool / item.entry_name, (now, now), follow_symlinks=False)
        return sum(remove(self.layout.spool / item.entry_name) for item in old)

    def free_bytes(self, floor: float) -> int:
        """Bytes that may be written until `floor` percent of the file system are left."""
        status = os.statvfs(self.layout.cache_dir)
        return int((status.f_bavail - status.f_blocks * floor / 100) * status.f_frsize)

    def report(self) -> dict:
        """The sidecar's last report of itself; empty where there is none, or none that can be read."""
        return read_report(self.layout.report)

    def check(self, fix: bool = False) -> Iterator[tuple[str, str]]:
        """Read every entry and check every byte.

        :param fix: remove damaged entries
        :returns: pairs of an entry's name and what is wrong with it
        """
        for item in self.linked():
            try:
                self._check_one(item.entry_name)
            except (Damaged, OSError) as error:
                yield item.entry_name, str(error)
                if fix:
                    remove(self.layout.entry(item.entry_name))

    def _check_one(self, entry_name):
        entry = Entry.open(self.layout.entry(entry_name))
        if entry is None:
            return
        with entry:
            if self.naming.entry(entry.meta.name) != entry_name:
                raise Damaged('it is the entry of another object')
            verify(entry)


def _files(folder):
    with os.scandir(folder) as items:
        for item in items:
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield Linked(item.name, disk_bytes(status), status.st_mtime)


def read_report(path: Path) -> dict:
    """A small JSON file of a process of ours; empty where it is not there, or not such a file."""
    try:
        found = json.loads(read_own(path, REPORT_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
