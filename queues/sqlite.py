"""The local queue: one SQLite file in WAL mode.

Who writes: every proxy worker puts; the sidecar's processes lease and finish, each its own kinds.
Who reads: the sidecar. What holds after a crash, of a process or of the machine: a Misplaced record
is there once `put()` returned (synchronous=FULL); of the others the last moments may be lost after a
power cut (NORMAL), and the file is whole in either case. A leased record whose consumer died comes
back when its lease runs out.

Calls block: whoever has an event loop calls through a thread. One instance is used by one thread at
a time; a fork gets a connection of its own.
"""
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .records import Misplaced, Record, decode, encode

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    ready_at REAL NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX by_ready ON records (kind, ready_at, id);
CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
PREFETCH_KINDS = ('Access', 'Warm', 'Forget', 'Fill')
PREFETCH_LIMIT = 100_000
BUSY_SECONDS = 5.0
_INHERITED: list[sqlite3.Connection] = []


class QueueError(Exception):
    """The queue cannot be used now; records that were to be put are not in it."""


@dataclass(frozen=True)
class Leased:
    """A record that is this consumer's until its lease runs out. `tries` counts earlier leases."""
    id: int
    record: Record
    tries: int


class SqliteQueue:
    """
    :param url: ``sqlite:/absolute/path``; the file is made at first use, its folder is not
    :param limit: prefetch records that are kept; the oldest go first and are counted
    """

    def __init__(self, url: str, limit: int = PREFETCH_LIMIT, clock: Callable[[], float] = time.time):
        self.path = Path(url.removeprefix('sqlite:'))
        self._limit = limit
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        self._inode = 0

    def put(self, records: Sequence[Record]) -> None:
        """Append records, all or none.

        :raises QueueError: where none was written
        """
        durable = any(isinstance(record, Misplaced) for record in records)
        with self._transaction('FULL' if durable else 'NORMAL') as db:
            db.executemany('INSERT INTO records (kind, body) VALUES (?, ?)', map(encode, records))
            self._bound(db)

    def _bound(self, db):
        marks = ','.join('?' * len(PREFETCH_KINDS))
        # ids only grow: the distance between the newest and the oldest bounds the count without a scan
        # (asked apart: SQLite answers min or max alone from the tree's ends)
        first, last = db.execute('SELECT (SELECT min(id) FROM records),'
                                 ' (SELECT max(id) FROM records)').fetchone()
        if first is None or last - first < self._limit:
            return
        count, = db.execute(f'SELECT count(*) FROM records WHERE kind IN ({marks})',
                            PREFETCH_KINDS).fetchone()
        if count <= self._limit:
            return
        # some more than need be, so that not every put has to count
        excess = count - self._limit + self._limit // 100
        db.execute(f'DELETE FROM records WHERE id IN (SELECT id FROM records WHERE kind IN ({marks})'
                   f' ORDER BY id LIMIT ?)', (*PREFETCH_KINDS, excess))
        self._count(db, 'dropped', excess)

    def lease(self, n: int, seconds: float, kinds: Iterable[str] = PREFETCH_KINDS) -> list[Leased]:
        """Up to `n` records, oldest first, that nobody else gets for `seconds`.

        A record that cannot be decoded goes to the dead letters.

        :raises QueueError:
        """
        kinds = tuple(kinds)
        now = self._clock()
        with self._transaction('NORMAL') as db:
            rows = db.execute(
                f'SELECT id, kind, body, tries FROM records WHERE kind IN ({",".join("?" * len(kinds))})'
                f' AND ready_at <= ? ORDER BY id LIMIT ?', (*kinds, now, n)).fetchall()
            db.executemany('UPDATE records SET ready_at = ?, tries = tries + 1 WHERE id = ?',
                           [(now + seconds, row[0]) for row in rows])
            return list(self._decoded(db, rows))

    def _decoded(self, db, rows):
        for number, kind, body, tries in rows:
            try:
                yield Leased(number, decode(kind, body), tries)
            except ValueError as error:
                self._bury(db, [number], str(error))

    def done(self, ids: Iterable[int]) -> None:
        """These were handled. :raises QueueError:"""
        with self._transaction('NORMAL') as db:
            db.executemany('DELETE FROM records WHERE id = ?', [(number,) for number in ids])

    def retry(self, ids: Iterable[int], at: float) -> None:
        """Give these back, to be leased again from `at` on. :raises QueueError:"""
        with self._transaction('NORMAL') as db:
            db.executemany('UPDATE records SET ready_at = ? WHERE id = ?', [(at, number) for number in ids])

    def dead(self, ids: Iterable[int], why: str) -> None:
        """These will not be tried again; they are kept for the operator. :raises QueueError:"""
        with self._transaction('FULL') as db:
            self._bury(db, ids, why)

    def _bury(self, db, ids, why):
        for number in ids:
            db.execute('INSERT OR REPLACE INTO dead SELECT id, kind, body, ?, ? FROM records WHERE id = ?',
                       (why, self._clock(), number))
            db.execute('DELETE FROM records WHERE id = ?', (number,))

    def depth(self) -> dict[str, int]:
        """How many records wait or are leased, by kind; 'dead' and 'dropped' beside them."""
        with self._transaction('NORMAL') as db:
            found = dict(db.execute('SELECT kind, count(*) FROM records GROUP BY kind').fetchall())
            found['dead'], = db.execute('SELECT count(*) FROM dead').fetchone()
            dropped = db.execute("SELECT value FROM counters WHERE name = 'dropped'").fetchone()
            found['dropped'] = dropped[0] if dropped else 0
            return found

    def close(self) -> None:
        if self._db is not None and self._pid == os.getpid():
            self._db.close()
        self._db = None

    def _count(self, db, name, by):
        db.execute('INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ?',
                   (name, by, by))

    def _transaction(self, synchronous):
        return _Transaction(self, synchronous)

    def connection(self) -> sqlite3.Connection:
        """This process's connection, to the file that is there now.

        :raises sqlite3.Error:
        :raises QueueError:
        """
        if self._db is not None and self._inode != _inode(self.path):
            # somebody moved the file away: what is put into it now, nobody would ever read
            self.close()
        if self._db is None or self._pid != os.getpid():
            if self._db is not None:
                # the parent's connection must be neither used nor closed in this process
                _INHERITED.append(self._db)
            self._db, self._pid = _connect(self.path), os.getpid()
            self._inode = _inode(self.path)
        return self._db


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT; errors of SQLite come out as QueueError, once."""

    def __init__(self, queue, synchronous):
        self._queue = queue
        self._synchronous = synchronous

    def __enter__(self):
        try:
            db = self._queue.connection()
            db.execute(f'PRAGMA synchronous = {self._synchronous}')
            db.execute('BEGIN IMMEDIATE')
        except sqlite3.Error as error:
            self._queue.close()
            raise QueueError(f'{self._queue.path}: {error}') from None
        self._db = db
        return db

    def __exit__(self, kind, error, _):
        try:
            self._db.execute('COMMIT' if kind is None else 'ROLLBACK')
        except sqlite3.Error as late:
            self._queue.close()
            raise QueueError(f'{self._queue.path}: {late}') from None
        if isinstance(error, sqlite3.Error):
            self._queue.close()
            raise QueueError(f'{self._queue.path}: {error}') from None
        return False


def _inode(path):
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _connect(path):
    # threads of a pool take turns; the one who has the queue sees to that
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # SQLite does not wait when two processes turn a new file into a WAL at once: they take turns here
        with open(f'{path}.lock', 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.chmod(path, 0o600)
            db.execute('PRAGMA journal_mode = WAL')
            _ensure_schema(db, path)
    except OSError as error:
        db.close()
        raise sqlite3.OperationalError(str(error)) from None
    except BaseException:
        db.close()
        raise
    return db


def _ensure_schema(db, path):
    version, = db.execute('PRAGMA user_version').fetchone()
    if version == 0:
        db.execute('BEGIN IMMEDIATE')
        # another process may have made it while this one waited
        if db.execute('PRAGMA user_version').fetchone()[0] == 0:
            for statement in SCHEMA.split(';'):
                db.execute(statement)
            db.execute(f'PRAGMA user_version = {SCHEMA_VERSION}')
        db.execute('COMMIT')
    elif version > SCHEMA_VERSION:
        raise QueueError(f'{path} is of version {version}, this program knows {SCHEMA_VERSION}: '
                         f'move the file away, or start the newer version')
