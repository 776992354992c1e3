"""One process's connection to the queue's file, and transactions on it.

The instance of `SqliteQueue` that owns the connection uses it alone. After a crash a transaction is there whole or
not at all. Errors of SQLite and of the disk come out as QueueError; the next call connects anew, so that a passing
fault needs nobody to mend it.
"""
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..protocol import QueueError
from .file import Unusable, ensure_schema, identity, is_damage, is_missing, open_file, set_aside, turn

_INHERITED: list[sqlite3.Connection] = []


class QueueFile:
    """
    :param wait: seconds that a transaction waits for other processes, in all
    """

    def __init__(self, path: Path, clock: Callable[[], float], logger, wait: float):
        self._path = path
        self._clock = clock
        self._logger = logger
        self._wait = wait
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        self._identity: tuple[int, int] | None = None

    @contextlib.contextmanager
    def transaction(self, synchronous: str = 'NORMAL', mend: bool = True,
                    begin: str = 'BEGIN IMMEDIATE') -> Iterator[sqlite3.Connection]:
        """Begin a transaction, and commit it, or roll it back where the block fails.

        :param mend: set aside a file that cannot be used
        :raises QueueError:
        """
        until = time.monotonic() + self._wait
        try:
            db = self._connection(until, mend)
            db.execute(f'PRAGMA synchronous = {synchronous}')
            db.execute(f'PRAGMA busy_timeout = {max(int(1000 * (until - time.monotonic())), 0)}')
            db.execute(begin)
            with _rolled_back(db):
                yield db
                db.execute('COMMIT')
        except (sqlite3.Error, OSError, Unusable) as error:
            self._failed(error, mend, until)
            raise QueueError(f'{self._path}: {error}') from None
        if self._identity != identity(self._path):
            self.close()
            raise QueueError(f'{self._path}: was moved away meanwhile')

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Look at the file, or at an empty queue where there is none. Makes no file, sets none aside.

        :raises QueueError:
        """
        if self._db is None and is_missing(self._path):
            with contextlib.closing(sqlite3.connect(':memory:', isolation_level=None)) as db:
                ensure_schema(db)
                yield db
        else:
            with self.transaction(mend=False, begin='BEGIN') as db:
                yield db

    def close(self, until: float | None = None) -> None:
        db, self._db = self._db, None
        if db is None or self._pid != os.getpid():
            return
        with contextlib.ExitStack() as stack:
            # the last connection removes the -wal by its name: not while another process takes that name
            with contextlib.suppress(OSError):
                stack.enter_context(turn(self._path, until or time.monotonic() + self._wait))
            db.close()

    def _connection(self, until, mend):
        """Give this process's connection to the file that is there now."""
        if self._db is not None and self._pid != os.getpid():
            # the parent's connection must be neither used nor closed in this process
            _INHERITED.append(self._db)
            self._db = None
        if self._db is not None and self._identity != identity(self._path):
            # the file was moved away: nobody would ever read a record that is put into it now
            self.close(until)
        if self._db is None:
            with turn(self._path, until):
                self._db, self._pid = self._open(until, mend), os.getpid()
                self._identity = identity(self._path)
        return self._db

    def _open(self, until, mend):
        try:
            return open_file(self._path, until)
        except Unusable as error:
            if not mend:
                raise
            self._set_aside(error.word, error)
            return open_file(self._path, until)

    def _failed(self, error, mend, until):
        """Close the connection; where the open file turned out to be damaged, set it aside."""
        used, was_open = self._identity, self._db is not None
        self.close(until)
        if was_open and mend and is_damage(error):
            with contextlib.suppress(OSError), turn(self._path, until):
                # else another process has set it aside by now
                if used == identity(self._path):
                    self._set_aside('damaged', error)

    def _set_aside(self, word, why):
        aside = set_aside(self._path, word, self._clock())
        self._logger.error('the queue %s cannot be used (%s): kept as %s, a new one begins; records that waited '
                           'in it are not handled', self._path, why, aside)


@contextlib.contextmanager
def _rolled_back(db):
    """Roll back where the block fails."""
    try:
        yield
    except BaseException:
        # SQLite may have done so itself
        with contextlib.suppress(sqlite3.Error):
            db.execute('ROLLBACK')
        raise
