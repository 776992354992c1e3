"""Add up the counts of all processes, living and dead.

The sidecar writes ``total.json``, one process at a time. It adds the files of dead processes, so that no counter
goes back when a worker or the sidecar starts anew: Prometheus would take that for a leap. The status app and the
operator's command read the totals.

After a crash: the new total.json names the files whose counts it has, and is in place before they are unlinked. So
each count is in the sum once, wherever folding ended. A damaged total.json is set aside, and the sum begins with
the counts of the living processes.
"""
import contextlib
import errno
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..conf.files import try_lock, write_whole
from .counters import NEW_SUFFIX, SUFFIX, decode
from .table import COUNTERS

TOTAL, LOCK = 'total.json', 'lock'
# a file has its name a moment after it was begun
NEW_SECONDS = 60
TRIES = 20
# far above the size of a file of any version
MOST_BYTES = 2**20
NOT_OURS = (errno.ENOENT, errno.EACCES, errno.ELOOP, errno.ENXIO)


class Total(NamedTuple):
    """Sum of the files of dead processes.

    :param folded: names of the files whose counts are in it
    """
    counts: dict[str, int]
    folded: set[str]


def read_all(folder: Path) -> dict[str, int]:
    """Give every slot of the table, and its count by all processes since the folder was made.

    :raises OSError: where the folder cannot be read; a folder that is not there is all zeros
    """
    for _ in range(TRIES):
        total = _read_total(folder)
        found = Counter({slot: 0 for metric in COUNTERS for slot in metric.slots} | total.counts)
        for name in _files(folder) - total.folded:
            try:
                with _opened(folder / name) as file:
                    found.update(decode(os.pread(file, MOST_BYTES, 0)))
            except OSError as error:
                if error.errno not in NOT_OURS:
                    raise
        # else a file was added to the total meanwhile, and may be missing here
        if _read_total(folder) == total:
            return dict(found)
    raise TimeoutError(f'{folder}: the totals change too fast')


def fold(folder: Path, clock: Callable[[], float] = time.time) -> int:
    """Add the files of dead processes to the totals; tell how many. Do nothing while another process does it.

    :raises OSError:
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        # nobody has counted yet
        return 0
    try:
        return _fold(folder, clock()) if try_lock(lock) else 0
    finally:
        os.close(lock)


def _fold(folder, now):
    total = _read_total(folder, mend=True)
    names = _files(folder)
    left = names & total.folded
    fresh = {name: found for name in names - left if (found := _left_by_the_dead(folder / name)) is not None}
    if fresh:
        _write_total(folder, sum(map(Counter, fresh.values()), Counter(total.counts)), left | fresh.keys())
    for name in left | fresh.keys():
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(f'*{NEW_SUFFIX}'):
        # a process that was killed never finished it
        with contextlib.suppress(OSError):
            if now - path.lstat().st_mtime > NEW_SECONDS:
                path.unlink()
    return len(fresh)


def _left_by_the_dead(path) -> dict[str, int] | None:
    """Read the counts of a dead process's file; None where the process lives, or the file cannot be read now."""
    with contextlib.suppress(OSError), _opened(path) as file:
        # a living process may have put another file in its place before this one could be locked
        if try_lock(file) and os.path.samestat(os.fstat(file), os.lstat(path)):
            return decode(os.pread(file, MOST_BYTES, 0))
    return None


def _files(folder) -> set[str]:
    with contextlib.suppress(FileNotFoundError):
        return {name for name in os.listdir(folder) if name.endswith(SUFFIX)}
    return set()


@contextlib.contextmanager
def _opened(path) -> Iterator[int]:
    """Open a file to read it. :raises OSError: also where it is no regular file"""
    # a FIFO is not waited for, and a link not followed
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.ENXIO, 'not a file', str(path))
        yield file
    finally:
        os.close(file)


def _read_total(folder, mend=False) -> Total:
    path = folder / TOTAL
    try:
        with _opened(path) as file:
            found = json.loads(os.pread(file, os.fstat(file).st_size, 0))
        return Total({slot: count for slot, count in found['counts'].items() if type(count) is int and count >= 0},
                     set(found['folded']))
    except FileNotFoundError:
        pass
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        if mend:
            path.replace(path.with_suffix('.damaged'))
    return Total({}, set())


def _write_total(folder, counts, folded):
    found = json.dumps({'counts': counts, 'folded': sorted(folded)})
    write_whole(folder / TOTAL, [found.encode()], '.writing', durable=True)
