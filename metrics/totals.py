"""Adding up what all processes counted, the living and the dead.

Who writes ``total.json``: the sidecar alone, one process at a time. It adds the files of processes that died, so
that no counter goes back when a worker or the sidecar starts anew: Prometheus would take that for a leap. Who
reads: the status app and the operator's command.

What holds after a crash: the new total.json names the files that are in it, and has its name before they are
unlinked; whatever of that came to pass, each count is in the sum once. A total.json that is damaged is set
aside, and the sum begins with what the living have.
"""
import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..conf.files import try_lock
from .counters import NEW_SUFFIX, SUFFIX, slots_of
from .countfile import MOST_BYTES, BadFile, OtherVersion, decode
from .table import COUNTERS

TOTAL = 'total.json'
LOCK = 'lock'
# a process that makes its file locks it a moment later
NEW_SECONDS = 60
# what another version's process left is that version's to add, if it comes back
FOREIGN_SECONDS = 86_400
TRIES = 20
NOT_OURS = (errno.ENOENT, errno.EACCES, errno.ELOOP, errno.ENXIO)


@dataclass
class Total:
    """
    :param generation: grows with each writing
    :param folded: names of the files that are in it
    """
    counts: dict[str, int] = field(default_factory=dict)
    folded: frozenset[str] = frozenset()
    generation: int = 0

    def add(self, counts: dict[str, int]) -> None:
        for slot, count in counts.items():
            self.counts[slot] = self.counts.get(slot, 0) + count


def read_all(folder: Path) -> dict[str, int]:
    """Every slot of the table, and what all processes together counted since the folder was made.

    :raises OSError: where it cannot be read; one that is not there is all zeros
    """
    for _ in range(TRIES):
        total = _read_total(folder)
        found = Total(dict.fromkeys(slots_of(COUNTERS), 0))
        found.add(total.counts)
        for name in _files(folder):
            if name not in total.folded:
                found.add(_counts(folder, name))
        # else a file was added to the total meanwhile, and may be missing here
        if _read_total(folder).generation == total.generation:
            return found.counts
    raise TimeoutError(f'{folder}: the totals change too fast')


def _counts(folder, name):
    """Of one file; none where it is gone, or nothing that a process of ours wrote."""
    try:
        with _opened(folder / name) as file:
            return decode(os.pread(file, MOST_BYTES, 0))
    except BadFile:
        return {}
    except OSError as error:
        if error.errno in NOT_OURS:
            return {}
        raise


def fold(folder: Path, clock: Callable[[], float] = time.time) -> int:
    """Add the files of the dead to the totals; tells how many. Does nothing while another process does it.

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
    # names that are gone need not be told any longer
    folded = set(total.folded.intersection(names))
    fresh = {name for name in names if name not in folded and _take(folder, name, total, now)}
    if fresh:
        _write_total(folder, Total(total.counts, frozenset(folded | fresh), total.generation + 1))
    for name in folded | fresh:
        (folder / name).unlink(missing_ok=True)
    _sweep_new(folder, now)
    return len(fresh)


def _take(folder, name, total, now):
    """Add a file, if its process is dead; tells whether it is done with."""
    path = folder / name
    try:
        with _opened(path) as file:
            # nobody locks a file again that has its name: who is dead stays so
            if not try_lock(file):
                return False
            total.add(decode(os.pread(file, MOST_BYTES, 0)))
    except OtherVersion:
        return now - path.stat().st_mtime > FOREIGN_SECONDS
    except BadFile:
        return True
    except OSError:
        # that one cannot be read: it is left for later, and the others are not
        return False
    return True


def _sweep_new(folder, now):
    """Files that were never finished, of processes that were killed."""
    for path in folder.glob(f'*{NEW_SUFFIX}'):
        with contextlib.suppress(OSError), _opened(path) as file:
            if now - os.fstat(file).st_mtime > NEW_SECONDS and try_lock(file):
                path.unlink()


def _files(folder):
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _opened(path) -> Iterator[int]:
    """:raises OSError: also for what is no regular file"""
    # what waits for a writer, or leads elsewhere, is not ours
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.ENXIO, 'not a file', str(path))
        yield file
    finally:
        os.close(file)


def _read_total(folder, mend=False):
    path = folder / TOTAL
    try:
        with _opened(path) as file:
            found = json.loads(os.pread(file, os.fstat(file).st_size, 0))
        return Total({slot: count for slot, count in found['counts'].items() if type(count) is int and count >= 0},
                     frozenset(found['folded']), int(found['generation']))
    except FileNotFoundError:
        pass
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        if mend:
            path.replace(path.with_suffix('.damaged'))
    return Total()


def _write_total(folder, total):
    path = folder / TOTAL
    new = path.with_suffix('.writing')
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(file, 'w') as text:
        json.dump({'counts': total.counts, 'folded': sorted(total.folded), 'generation': total.generation}, text)
        text.flush()
        os.fsync(file)
    os.replace(new, path)
