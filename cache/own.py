"""Files and folders that must be nobody else's: the key, the sidecar's report, and where the entries lie.

Whoever may write to the cache folder can do as the cache does; it is closed to all but one user. What is refused
here keeps mistakes, and what another user planted before, from leading elsewhere or from making a worker wait.
"""
import errno
import os
import pwd
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ..conf.names import KEY_BYTES, Layout
from .errors import Unavailable
from .reader import FLAGS

OTHERS = stat.S_IRWXG | stat.S_IRWXO
WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def read_own(path: str | os.PathLike, most: int) -> bytes:
    """The first `most` bytes of a file that is nobody else's; links are not followed, FIFOs not waited for.

    :raises OSError: also for what is no such file
    """
    descriptor = os.open(path, os.O_RDONLY | FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & WRITABLE:
            raise OSError(errno.EPERM, f'must be a file that uid {os.geteuid()} alone can write', str(path))
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def refuse_others(layout: Layout) -> None:
    """To be called before anything in the folder is touched.

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
    for path in (layout.objects.parent, layout.objects, layout.spool, layout.fetching):
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise Unavailable(f'{path} must be a folder, not a link or anything else; move it away')


def _user(uid):
    """The user's name, for whoever has to mend it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f'uid {uid}'


def make_key(path: Path) -> None:
    """The key, written whole or not at all, and never over another."""
    if path.exists():
        return
    # what a crash left may be the key itself under a second name: nothing that is there is opened again
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
