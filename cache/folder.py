"""The cache folder: its layout, and the checks that it is nobody else's.

Anybody who may write to the folder can do as the cache does, so it is closed to all but one user. The checks keep
mistakes, and files that another user planted before, from leading elsewhere or from making a worker wait. A folder
that `mkdir` left open to others is closed where nothing in it can be somebody else's: entries are served as the
objects that they name. A folder that holds anything but a cache, such as a home or `/`, stays as it is.
"""
import os
import pwd
import re
import secrets
import stat
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..conf.files import FLAGS, WRITABLE
from ..conf.names import CONTAINER_DIGITS, KEY_BYTES
from .entry import Unavailable
from .reader import disk_bytes

FORMAT = 'v1'
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# names of files in a cache folder, of any version
OWN = re.compile(r'key(\.[0-9a-f]+)?|lock|sidecar\.json(\.\d+)?|v\d+')
# a folder that is a file system of its own has it, and it is root's
LOST = 'lost+found'
# seconds by which a file may be ahead of the clock for other reasons, such as a file server's own clock
CLOCK_SLACK = 60


@dataclass(frozen=True)
class CacheLayout:
    """The paths in a cache folder. The format version is in the path, so that two
    generations of workers can use the folder at once."""
    cache_dir: Path

    @property
    def key(self) -> Path:
        return self.cache_dir / 'key'

    @property
    def report(self) -> Path:
        return self.cache_dir / 'sidecar.json'

    @cached_property
    def objects(self) -> Path:
        return self.cache_dir / FORMAT / 'objects'

    @cached_property
    def spool(self) -> Path:
        return self.cache_dir / FORMAT / 'spool'

    @cached_property
    def fetching(self) -> Path:
        return self.cache_dir / FORMAT / 'fetching'

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.objects, self.spool, self.fetching

    def entry(self, entry_name: str) -> Path:
        return Path(self.entry_path(entry_name))

    def entry_path(self, entry_name: str) -> str:
        """Give the same path as a text, which takes a tenth of the time: each hit needs one."""
        # the object's digits spread evenly, the container's do not
        return f'{self._objects}/{entry_name[CONTAINER_DIGITS:CONTAINER_DIGITS + 2]}/{entry_name}'

    @cached_property
    def _objects(self):
        return str(self.objects)


@dataclass(frozen=True)
class EntryFile:
    """A file in the format of an entry. :param used_at: when it was last read or written, in seconds"""
    entry_name: str
    disk_bytes: int
    used_at: float


def files_in(folder: Path) -> Generator[EntryFile, None, None]:
    """Yield the files of a folder, in no order, unread and unchecked."""
    with os.scandir(folder) as items:
        for item in items:
            with suppress(FileNotFoundError):
                status = item.stat(follow_symlinks=False)
                yield EntryFile(item.name, disk_bytes(status), status.st_mtime)


def refuse_others(layout: CacheLayout) -> None:
    """Refuse a folder that is not ours alone. Call it before anything in the folder is touched.

    :raises Unavailable: where others may look into it, or a link or a file is where a folder of ours should be
    :raises OSError: where it is not there; a folder in it that is not there is made anew
    """
    folder, status = layout.cache_dir, os.stat(layout.cache_dir)
    if not stat.S_ISDIR(status.st_mode):
        raise Unavailable(f'{folder} must be a folder; move away what is in its place')
    if status.st_uid != os.geteuid():
        raise Unavailable(f'{folder} must belong to {_user(os.geteuid())}, and belongs to {_user(status.st_uid)}')
    if status.st_mode & OTHERS:
        raise Unavailable(f'{folder} must have mode 0700; set it with: chmod 0700 {folder}')
    for path in (layout.objects.parent, *layout.folders):
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise Unavailable(f'{path} must be a folder, not a link or anything else; move it away')


def _user(uid):
    """Give the user's name, for a message."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f'uid {uid}'


def make_key(path: Path) -> None:
    """Write the key, whole or not at all, and never over another."""
    if path.exists():
        return
    # a file that a crash left may be the key under a second name: no file that is there is opened again
    temporary = path.with_name(f'key.{secrets.token_hex(8)}')
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, 0o600)
    try:
        try:
            os.write(descriptor, secrets.token_bytes(KEY_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def identity(path: os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns


def close_to_others(layout: CacheLayout, beside: str = '') -> None:
    """Set the mode of a folder of ours to 0700. Links are not followed: `refuse_others` looks where they lead.

    :param beside: beginning of the names of other files of ours in it
    :raises Unavailable: where something in it may be somebody else's; the mode is as before then
    :raises OSError:
    """
    try:
        folder = os.open(layout.cache_dir, os.O_RDONLY | os.O_DIRECTORY | FLAGS)
    except (NotADirectoryError, PermissionError):
        return
    try:
        status = os.fstat(folder)
        if status.st_uid == os.geteuid() and status.st_mode & OTHERS:
            _refuse_foreign(layout, folder, beside)
            os.fchmod(folder, 0o700)
            _look_again(layout, folder, beside, stat.S_IMODE(status.st_mode))
    finally:
        os.close(folder)


def _look_again(layout, folder, beside, mode):
    """Look once more, now that nobody else can come in. Where a file came in meanwhile, open the folder again, so
    that the next start finds it too."""
    try:
        _refuse_foreign(layout, folder, beside)
    except Unavailable:
        os.fchmod(folder, mode)
        raise


def _refuse_foreign(layout, folder, beside):
    for name in _foreign(layout, folder, beside):
        raise Unavailable(f'{layout.cache_dir} is open to others, and {name!r} in it is no part of a cache or may '
                          'be somebody else\'s; remove it, or choose another folder')


def _foreign(layout, folder, beside) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        # a file that is gone meanwhile cannot do harm
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            is_known = OWN.fullmatch(name) or beside and name.startswith(beside)
            if not (is_known and _is_ours(status) or name == LOST and status.st_uid == 0):
                yield name
    for path in _folders(layout):
        with suppress(FileNotFoundError):
            if not _is_ours(os.lstat(path)):
                yield str(path.relative_to(layout.cache_dir))


def _folders(layout) -> Iterator[Path]:
    """Yield the folders in which files lie."""
    yield from layout.folders
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted(layout.objects.iterdir())


def _is_ours(status):
    """Tell whether nobody else can have made the file or folder, or put anything into it."""
    is_single = status.st_nlink == 1 or stat.S_ISDIR(status.st_mode)
    return (status.st_uid == os.geteuid() and not status.st_mode & WRITABLE and is_single
            and not stat.S_ISLNK(status.st_mode))
