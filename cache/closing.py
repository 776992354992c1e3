"""Closing a cache folder that `mkdir` left open to others.

It is closed where nothing in it can be somebody else's: entries are served as what they say they are. A folder
that holds anything but a cache, such as a home or `/`, stays as it is.
"""
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..conf.names import Layout
from .errors import Unavailable
from .own import OTHERS, WRITABLE
from .reader import FLAGS

# what lies in a cache folder, of whatever version
OWN = re.compile(r'key(\.[0-9a-f]+)?|lock|sidecar\.json(\.\d+)?|v\d+')
# a folder that is a file system of its own has it, and it is root's
LOST = 'lost+found'


def close_to_others(layout: Layout, beside: str = '') -> None:
    """Set the mode of a folder of ours to 0700. Links are not followed: `refuse_others` looks where they lead.

    :param beside: with it begin the names of other files of ours in it
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
    """Now that nobody else can come in any more: what came in meanwhile is to be found the next time, too."""
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
        # what is gone meanwhile cannot do harm
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
    """Those that files lie in."""
    yield from (layout.objects, layout.spool, layout.fetching)
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted(layout.objects.iterdir())


def _is_ours(status):
    """Whether nobody else can have made it, or put anything into it."""
    is_single = status.st_nlink == 1 or stat.S_ISDIR(status.st_mode)
    return (status.st_uid == os.geteuid() and not status.st_mode & WRITABLE and is_single
            and not stat.S_ISLNK(status.st_mode))
