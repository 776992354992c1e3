"""Fetches in progress: objects that the sidecar is fetching just now, so that a reader may wait for them.

One empty file for each, under its entry's name, locked for as long as the fetch lasts; its time is the one at
which the fetch is expected to end. Who writes: the sidecar. Who reads: the proxy workers. After a crash the files
stay and the locks do not: an unlocked one means nothing.
"""
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..conf.files import FLAGS, try_lock


def sweep(folder: Path) -> None:
    """Remove the files of a process that was killed. :raises OSError:"""
    for path in folder.iterdir():
        if not is_fetching(str(path)):
            path.unlink(missing_ok=True)


@contextmanager
def fetching(path: str, until: float | None = None) -> Iterator[None]:
    """Say that a fetch is under way. A disk that refuses the file is no reason not to fetch.

    :param until: when it will end, most likely; None: at once
    """
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | FLAGS, 0o600)
        if until is not None:
            os.utime(descriptor, (until, until))
        # a reader who looks at this very moment has it locked, and finds nothing
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


def is_fetching(path: str) -> bool:
    """Whether a living process is fetching the object. :raises OSError: where the disk fails"""
    return expected_at(path) is not None


def expected_at(path: str) -> float | None:
    """When a living process expects to have fetched the object; None: none does. :raises OSError: where the disk
    fails"""
    try:
        descriptor = os.open(path, os.O_RDONLY | FLAGS)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
