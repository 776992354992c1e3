"""Share files between processes: lock them, read them if nobody else can write them, write them whole or not
at all."""
import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# links are not followed, FIFOs not waited for, and children get no copy
FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def try_lock(file: int) -> bool:
    """Lock the file until it is closed or the process dies; False where another has it locked. :raises OSError:"""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_own(path: str | os.PathLike, most: int) -> bytes:
    """Read the first `most` bytes of a file that nobody else can write. Follow no link, wait for no FIFO.

    :raises OSError: also where it is no such file
    """
    descriptor = os.open(path, os.O_RDONLY | FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & WRITABLE:
            raise OSError(errno.EPERM, f'must be a file that uid {os.geteuid()} alone can write', str(path))
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def write_whole(path: Path, parts: Iterable[bytes], suffix: str = '', durable: bool = False,
                mode: int = 0o600) -> None:
    """Write a file of ours: other processes find the old one or the new one, and after a crash so do we.

    :param parts: written one after the other, as they come
    :param suffix: ends the temporary name; by default the process's id, as several may write
    :param durable: whether that holds after a power cut too
    :param mode: less the umask
    :raises OSError: the old file is as it was
    """
    temporary = path.with_name(path.name + (suffix or f'.{os.getpid()}'))
    # left by an earlier process
    temporary.unlink(missing_ok=True)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, mode), 'wb') as file:
            for part in parts:
                file.write(part)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
