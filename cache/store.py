"""The cache folder: its making, its files, and how entries come and go.

The sidecar makes the folder, links entries (`admit`) and unlinks them (`drop`), and is the only one to
do so; proxy workers add spool files. All processes read. After a crash an entry is linked or not, since a rename
is one step. No index is kept on disk: the folder is the index.

The sidecar marks each object that it is fetching, so that a reader may wait for it: an empty file under the
entry's name, locked for as long as the fetch lasts, whose time is the expected end of the fetch. After a crash the
marks stay and the locks do not: an unlocked mark means nothing.
"""
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..conf.files import FLAGS, read_own, try_lock
from ..conf.names import FOLDERS, KEY_BYTES, Naming, ObjectName
from .entry import Damaged, InUse, Unavailable
from .folder import CacheLayout, EntryFile, close_to_others, files_in, identity, make_key, refuse_others
from .reader import Entry
from .spool import Spool, remove, verify

# far more than the sidecar has to tell
REPORT_LIMIT = 64 * 1024


class Store(Spool):
    """An open cache folder with its spool. Holds no file open between calls, so that it may be used after fork."""

    def __init__(self, layout: CacheLayout, key: bytes, key_identity: tuple[int, int]):
        super().__init__(layout, Naming(key))
        self._key_identity = key_identity

    @classmethod
    def open(cls, cache_dir: str | os.PathLike) -> 'Store':
        """Open the folder. :raises Unavailable: where it is not there or not one of ours"""
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

    @classmethod
    def create(cls, cache_dir: str | os.PathLike, beside: str = '') -> 'Store':
        """Open the folder; make it where it is not there, close it to others where nothing in it can be theirs.
        The caller owns it.

        :param beside: beginning of the names of the owner's files in the folder that are not the cache's
        :raises Unavailable: where it cannot be made or belongs to somebody else
        """
        layout = CacheLayout(Path(cache_dir))
        try:
            layout.cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            close_to_others(layout, beside)
            refuse_others(layout)
            for folder in (layout.objects.parent, *layout.folders):
                folder.mkdir(mode=0o700, exist_ok=True)
            for number in range(FOLDERS):
                (layout.objects / f'{number:02x}').mkdir(mode=0o700, exist_ok=True)
            make_key(layout.key)
        except FileExistsError as error:
            raise Unavailable(f'{error.filename} must be a folder; move away what is in its place') from error
        except OSError as error:
            raise Unavailable(f'cannot make {error.filename or layout.key}: {error.strerror}') from error
        return cls.open(cache_dir)

    def lock(self) -> IO:
        """Take the right to link and unlink entries, which one process has at a time, until the file is closed.
        Marks of fetches that an earlier process left are removed.

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
            for mark in self.layout.fetching.iterdir():
                if _locked_until(mark) is None:
                    mark.unlink(missing_ok=True)
        return lock

    def is_current(self) -> bool:
        """Tell whether the folder is still the one that was opened, and not another, made or mounted since."""
        try:
            return identity(self.layout.key) == self._key_identity
        except OSError:
            return False

    # -- entries

    def entry(self, name: ObjectName) -> Entry | None:
        """Open the object's entry; None where there is none.

        :raises Damaged: where a file under the entry's name is not that entry
        :raises OSError: where the disk fails
        """
        return Entry.open(self.layout.entry_path(self.naming.entry(name)), name)

    def has(self, name: ObjectName) -> bool:
        """Tell whether there is an entry, of whatever worth; cheaper than opening it."""
        return os.path.exists(self.layout.entry_path(self.naming.entry(name)))

    def drop(self, entry_name: str, identity: str | None = None) -> bool:
        """Unlink an entry, with `identity` only if it is still that file; tell whether it was unlinked."""
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
        """List the names of one container's entries, from the folder."""
        return [name for folder in self._folders()
                for name in os.listdir(folder) if name.startswith(container_name)]

    def linked(self) -> Iterator[EntryFile]:
        """Yield all entries, in no order, unread and unchecked."""
        for folder in self._folders():
            yield from files_in(folder)

    def _folders(self) -> list[Path]:
        # a file that somebody put beside them is none of ours
        return [folder for folder in sorted(self.layout.objects.iterdir()) if folder.is_dir()]

    def check(self, fix: bool = False) -> Iterator[tuple[str, str]]:
        """Read every entry and check every byte.

        :param fix: remove damaged entries
        :returns: pairs of an entry's name and the fault found in it
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

    # -- marks of fetches

    def _mark(self, name: ObjectName) -> str:
        return f'{self.layout.fetching}/{self.naming.entry(name)}'

    @contextmanager
    def fetching(self, name: ObjectName, until: float | None = None) -> Iterator[None]:
        """Mark the object as being fetched, as long as the context lasts. A disk that does not take the mark is no
        reason not to fetch.

        :param until: expected end of the fetch; None: now
        """
        path, descriptor = self._mark(name), -1
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | FLAGS, 0o600)
            if until is not None:
                os.utime(descriptor, (until, until))
            # a reader that looks at this very moment has it locked, and finds nothing
            try_lock(descriptor)
        except OSError:
            pass
        try:
            yield
        finally:
            if descriptor >= 0:
                with suppress(OSError):
                    os.unlink(path)
                os.close(descriptor)

    def expected_at(self, name: ObjectName) -> float | None:
        """Tell when the sidecar expects to have fetched the object; None: it is not fetching it.

        :raises OSError: where the disk fails
        """
        return _locked_until(self._mark(name))

    def is_fetching(self, name: ObjectName) -> bool:
        return self.expected_at(name) is not None

    # -- the whole

    def free_bytes(self, floor: float) -> int:
        """Count the bytes that may be written until `floor` percent of the file system are left."""
        status = os.statvfs(self.layout.cache_dir)
        return int((status.f_bavail - status.f_blocks * floor / 100) * status.f_frsize)

    def report(self) -> dict:
        """Read the sidecar's last report; empty where there is none, or none of a known form."""
        return read_report(self.layout.report)


def _locked_until(mark: str | Path) -> float | None:
    """Read the time of a mark that a living process has locked; None: there is none. :raises OSError:"""
    try:
        descriptor = os.open(mark, os.O_RDONLY | FLAGS)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)


def read_report(path: Path) -> dict:
    """Read a small JSON file of a process of ours; empty where it is not there, or not such a file."""
    try:
        found = json.loads(read_own(path, REPORT_LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
