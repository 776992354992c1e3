"""Count without keeping a request waiting.

Each process that counts writes one small file of its own in ``<queue>.counters/``. The sidecar and the operator's
command read it (`totals`). Counts are kept in a list in memory. At most once a second they are written to a new
file, which then takes the name of the one before.

A mapped file would lose nothing at kill -9. It was rejected: a page that cannot be had (a full disk, a file cut
short) is SIGBUS, which kills the worker and all its requests. A write that fails is an error, and is tried again.

After a crash: a killed process loses the counts of its last second. A file is whole under its name, or not there.
Its process holds a flock on it before it gets the name and until the next file has the name. So the files of dead
processes can be told from the files of living ones without pids.
"""
import contextlib
import json
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

from ..conf.files import try_lock
from .table import COUNTERS, OTHER, UNKNOWN_NAME, Metric

FLUSH_SECONDS = 1.0
SUFFIX, NEW_SUFFIX = '.counts', '.new'
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def counters_folder(queue_path: Path) -> Path:
    return queue_path.with_name(queue_path.name + '.counters')


def encode(counts: dict[str, int]) -> bytes:
    """Give the bytes of a process's file. Slots go by their names, so that generations with other slots add up."""
    text = json.dumps(counts).encode()
    return b'%08x %b' % (crc32(text), text)


def decode(data: bytes) -> dict[str, int]:
    """Read the slots and counts of a process's file; none where it is damaged, or no such file."""
    checksum, _, text = data.partition(b' ')
    return json.loads(text) if text and checksum == b'%08x' % crc32(text) else {}


class Counters:
    """This process's counts, its file, and statsd. Nothing is opened or made before the first flush.

    A forked child begins at zero, with a file of its own. Counting is for one thread at a time (the event loop's).
    """

    def __init__(self, folder: Path, logger=None, execute: Callable = lambda call: call(),
                 table: Iterable[Metric] = COUNTERS):
        """
        :param logger: one of Swift's, which tells statsd; None: no statsd
        :param execute: runs a blocking call; a process with an event loop gives `tpool.execute`
        """
        self.folder = folder
        keys = [(metric.name, value, slot) for metric in table
                for value, slot in zip(metric.values or (None,), metric.slots, strict=True)]
        self._index = {(name, value): place for place, (name, value, _) in enumerate(keys)}
        self.slots = [slot for *_, slot in keys]
        self.values = [0] * len(keys)
        self._logger = logger
        self._execute = execute
        self._file: int | None = None
        self._begin()
        _ALL.add(self)

    def _begin(self):
        self.values[:] = [0] * len(self.values)
        self._written, self._told = list(self.values), list(self.values)
        self._name = ''
        self._flush_at = float('-inf')
        # taken by a pop, which is atomic: eventlet would make a lock of threading one of green threads
        self._turn = [None]

    def slot(self, name: str, reason: str | None = None) -> int:
        """Give the place of a count. A name or a reason that the table lacks has a place, too."""
        index = self._index
        found = index.get((name, reason))
        if found is None:
            found = index.get((name, OTHER), index.get((name, None), index[UNKNOWN_NAME, None]))
        return found

    def count(self, name: str, by: int = 1, reason: str | None = None) -> None:
        """Add to a count in memory. Never waits, never raises.

        :param reason: one of the metric's values, where it has any
        """
        self.values[self.slot(name, reason)] += by

    @property
    def is_dirty(self) -> bool:
        return self.values != self._written

    def flush_if_due(self, now: float) -> None:
        """Flush, unless that was done less than a second ago."""
        if now >= self._flush_at:
            self._flush_at = now + FLUSH_SECONDS
            self.flush()

    def flush(self) -> bool:
        """Tell statsd, write the counts, and tell whether all is written. Never raises. The rest is kept."""
        try:
            self._tell()
            return self._execute(self._write)
        except OSError:
            # no file descriptor left for a socket, no thread for the file
            return False

    def _tell(self):
        """Tell statsd the sums since the last time: Swift's logger makes a socket for every number."""
        before, self._told = self._told, list(self.values)
        for slot, value, old in zip(self.slots, self._told, before, strict=True):
            if value != old and self._logger is not None:
                self._logger.update_stats(f'prefetch.{slot}', value - old)

    def _write(self) -> bool:
        """Write the counts if they have changed, unless another thread is about to."""
        try:
            turn = self._turn.pop()
        except IndexError:
            return False
        try:
            values = list(self.values)
            if values != self._written:
                named = zip(self.slots, values, strict=True)
                self._replace(encode({slot: value for slot, value in named if value}))
            self._written = values
            return True
        finally:
            self._turn.append(turn)

    def _replace(self, data):
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.folder, 0o700)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._name = self._name or f'{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}{SUFFIX}'
            new = _new_file(folder, self._name, data)
        finally:
            os.close(folder)
        self._let_go()
        self._file = new

    def _let_go(self):
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def close(self) -> None:
        """Write the rest, and leave the file to the sidecar. Later counts go to another file."""
        self.flush()
        self._let_go()
        self._begin()

    def after_fork(self) -> None:
        """Begin anew in the child: counts and file are the parent's. Closing the file here leaves its lock."""
        with contextlib.suppress(OSError):
            self._let_go()
        self._begin()


_ALL: 'weakref.WeakSet[Counters]' = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [counters.after_fork() for counters in list(_ALL)])


def _new_file(folder, name, data):
    """Write a locked file, then give it its name. :raises OSError: the file before still has the name"""
    new = f'{name}-{secrets.token_hex(4)}{NEW_SUFFIX}'
    file = os.open(new, NEW_FILE, 0o600, dir_fd=folder)
    try:
        if not try_lock(file) or os.write(file, data) != len(data):
            raise OSError('not written')
        # or a power cut could leave the name with no counts
        os.fdatasync(file)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.close(file)
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=folder)
        raise
    return file
