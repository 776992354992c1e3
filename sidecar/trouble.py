"""Tell in one line what keeps the daemon from starting, and how to mend it."""
import errno
from dataclasses import dataclass

from ..conf.process import told

# errors that may be over by themselves
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EADDRINUSE, errno.EADDRNOTAVAIL)
HINTS = {
    errno.EACCES: '; the user {user} must be able to enter each folder of this path, and to write to the last',
    errno.EROFS: '; mount it writable, or, where systemd keeps it so, add it to ReadWritePaths of the service',
    errno.ENOTDIR: '; what is above it is no folder',
    errno.ENAMETOOLONG: '; choose a shorter path',
    errno.ELOOP: '; its links lead nowhere',
}


@dataclass(frozen=True)
class Trouble:
    """:param passes: whether it may be over by itself, so that the start goes on"""
    text: str
    passes: bool = False


def told_to(user: str, error: BaseException) -> str:
    """Tell an error in one line, and what may mend it for the daemon's user."""
    return told(error) + hint(getattr(error, 'errno', None), user)


def hint(number: int | None, user: str) -> str:
    """Tell what may mend an error of this errno; '' where nothing is known."""
    return HINTS.get(number or 0, '').format(user=user)
