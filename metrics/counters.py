"""Counting, without the request waiting for it.

Who writes: each process that counts has one small file of its own in ``<queue>.counters/``. Who reads: the
sidecar's status app and the operator's command (`totals.py`). Counts are kept in a list in memory, and written
with one pwrite, at most once a second.

A mapped file would make a count a memory write too, and lose nothing at kill -9. It was rejected: a page
that cannot be had (a full disk, a file that somebody cut short, a device that went away) is then SIGBUS, which
kills the worker and all its requests, where a pwrite is an error that is tried again in a second.

What holds after a crash: a process that is killed loses what it counted since the last write, a second's worth
if its owner flushes each second. A file is whole under its final name, or not there. Its writer holds a flock
on it for life, so that the dead can be told from the living without pids.
"""
import contextlib
import fcntl
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

from .countfile import Format
from .table import COUNTERS, OTHER, UNKNOWN, Metric

FLUSH_SECONDS = 1.0
SUFFIX = '.counts'
NEW_SUFFIX = '.new'


def counters_folder(queue_path: Path) -> Path:
    return queue_path.with_name(queue_path.name + '.counters')


def slots_of(table: Iterable[Metric]) -> tuple[str, ...]:
    return tuple(slot for metric in table for slot in metric.slots)


class Counters:
    """This process's counts, and its file. Nothing is opened or made before the first flush.

    A fork begins at zero, with a file of its own. Counting is for one thread at a time (the event loop's);
    `flush` may run in another meanwhile.
    """

    def __init__(self, folder: Path, table: Iterable[Metric] = COUNTERS):
        self.folder = folder
        self.slots = slots_of(table := tuple(table))
        self.values = [0] * len(self.slots)
        self.index = _index(table)
        self._format = Format(self.slots)
        self._written = list(self.values)
        self._told = list(self.values)
        self._sequence = 0
        self._name = ''
        self._file: int | None = None
        # taken by a pop, which is atomic: eventlet would make a lock of threading one of green threads
        self._turn = [None]
        _ALL.add(self)

    def slot(self, name: str, reason: str | None = None) -> int:
        """Where that is counted; whatever it is, there is a place."""
        index = self.index
        found = index.get((name, reason))
        if found is None:
            found = index.get((name, OTHER), index.get((name, None), index[UNKNOWN, None]))
        return found

    def count(self, name: str, by: int = 1, reason: str | None = None) -> None:
        """Never waits, never raises."""
        self.values[self.slot(name, reason)] += by

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to flush."""
        return self.values != self._written

    def untold(self) -> list[tuple[str, int]]:
        """Slots and what they grew by since this was asked last."""
        before, self._told = self._told, list(self.values)
        return [(slot, value - old) for slot, value, old in zip(self.slots, self._told, before, strict=True)
                if value != old]

    def flush(self) -> bool:
        """Write what was counted; to be called through a thread, as it blocks for as long as the disk does.

        Never raises. Tells whether all is written; what is not is kept, for the next time.
        """
        if not self._turn:
            return False
        try:
            turn = self._turn.pop()
        except IndexError:
            return False
        try:
            return self._flush()
        except OSError:
            return False
        finally:
            self._turn.append(turn)

    def _flush(self):
        values = list(self.values)
        if self._file is not None and not self._is_there(self._file):
            self._let_go()
        if self._file is not None:
            if values != self._written:
                self._overwrite(self._file, values)
        elif any(values):
            self._make(values)
        self._written = values
        return True

    def _is_there(self, file):
        """Whether our file still is what its name leads to; somebody may have cleared the folder."""
        path = self.folder / self._name
        try:
            own, there = os.fstat(file), os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if own.st_size < self._format.size:
            # cut short: a new one takes its place, and nobody may add up both
            path.unlink(missing_ok=True)
            return False
        return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)

    def _overwrite(self, file, values):
        sequence = self._sequence + 1
        numbers = self._format.numbers(sequence, values)
        # the place of an attempt that failed is used again, the other is whole
        if os.pwrite(file, numbers, self._format.place(sequence)) != len(numbers):
            raise OSError('short write')
        self._sequence = sequence

    def _make(self, values):
        """A file of our own, whole and locked before it gets its name."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.folder, 0o700)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            name = f'{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}{SUFFIX}'
            self._file = _new_file(folder, name, self._format.whole(self._sequence, values))
            self._name = name
        finally:
            os.close(folder)

    def _let_go(self):
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def close(self) -> None:
        """Write what is left, and leave the file to the sidecar, which adds it to the totals."""
        self.flush()
        self._let_go()
        # whoever counts on begins a new file, which must not hold these counts again
        self._forget()

    def _forget(self):
        self.values[:] = [0] * len(self.values)
        self._written, self._told = list(self.values), list(self.values)
        self._sequence, self._turn[:] = 0, [None]

    def after_fork(self) -> None:
        """In the child: the counts are the parent's, and so is the file. Closing it leaves the lock alone."""
        with contextlib.suppress(OSError):
            self._let_go()
        self._forget()


_ALL: 'weakref.WeakSet[Counters]' = weakref.WeakSet()


def _begin_anew():
    for counters in list(_ALL):
        counters.after_fork()


os.register_at_fork(after_in_child=_begin_anew)


def _index(table):
    places = enumerate((metric.name, value) for metric in table for value in metric.values or (None,))
    return {key: place for place, key in places}


def _new_file(folder, name, data):
    """:raises OSError: then there is no file"""
    new = name.removesuffix(SUFFIX) + NEW_SUFFIX
    file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.write(file, data) != len(data):
            raise OSError('short write')
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.close(file)
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=folder)
        raise
    return file


class Metrics:
    """What filter and sidecar count with: the counters, and statsd through Swift's logger.

    A count is an addition in memory. statsd is told with each flush, of the sums since the last: Swift's logger
    makes a socket for every number, and takes a microsecond where no host is set at all.

    :param logger: one of Swift's; None: no statsd
    :param execute: runs a blocking call; a process with an event loop gives `tpool.execute`
    """

    def __init__(self, counters: Counters, logger=None, execute: Callable = lambda call: call(),
                 clock: Callable[[], float] = time.monotonic):
        self.counters = counters
        self._index = counters.index
        self._values = counters.values
        self._logger = logger
        self._execute = execute
        self._clock = clock
        self._flush_at = float('-inf')

    def count(self, name: str, by: int = 1, reason: str | None = None) -> None:
        """Never waits, never raises.

        :param reason: of a metric that has reasons, one of its values
        """
        slot = self._index.get((name, reason))
        self._values[self.counters.slot(name, reason) if slot is None else slot] += by

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to flush: whoever has a timer may let it rest else."""
        return self.counters.is_dirty

    def flush(self, now: bool = False) -> bool:
        """Write the counts and tell statsd, unless that was done less than a second ago.

        To be called by the event loop's own green threads. Tells whether all is written.
        """
        if not now and self._clock() < self._flush_at:
            return not self.is_dirty
        self._flush_at = self._clock() + FLUSH_SECONDS
        try:
            self._tell()
            return self._execute(self.counters.flush)
        except OSError:
            # no file descriptor left for a socket, no thread for the file
            return False

    def _tell(self):
        for slot, by in self.counters.untold():
            if self._logger is not None:
                self._logger.update_stats(f'prefetch.{slot}', by)

    def close(self) -> None:
        self.flush(now=True)
        self._execute(self.counters.close)
