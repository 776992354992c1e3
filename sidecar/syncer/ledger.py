"""The syncer's ledger: one small file per device, beside Swift's folders and none of them.

It keeps the rows that could not be sent, when each is due again, how far the second look came, and the figures
of each container. Swift's sync points alone say what was sent for certain: a ledger that is lost, or that does not
fit them, costs work that is done again, and skips no row.

One process writes it, the syncer of this node, and holds the lock of its folder. Others read, as `figures` does.
After a crash it holds what was there after some earlier batch of rows.
"""
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ...conf.files import FLAGS, try_lock
from .figures import FILE, FOLDER, WAIT_SECONDS, LedgerError, SyncFigures, figures_of, read_gone

LOCK = 'lock'
# rows of one container that are remembered as failed; at more, the second look waits until some are sent
MOST_FAILURES = 1000
SCHEMA = """
    CREATE TABLE IF NOT EXISTS containers (
        path TEXT PRIMARY KEY, db_id TEXT NOT NULL, sync_to TEXT NOT NULL, point2 INTEGER NOT NULL,
        seen INTEGER NOT NULL, figures TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS failures (
        path TEXT NOT NULL, row INTEGER NOT NULL, tries INTEGER NOT NULL, due REAL NOT NULL, why TEXT NOT NULL,
        remedy TEXT NOT NULL, PRIMARY KEY (path, row));
    CREATE TABLE IF NOT EXISTS passes (
        id INTEGER PRIMARY KEY CHECK (id = 0), at REAL NOT NULL, gone TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Failure:
    """A row that could not be sent.

    :param due: time at which it is tried again
    """
    tries: int
    due: float
    why: str
    remedy: str


@dataclass
class SyncProgress:
    """How far the second look came, and what it left out.

    :param seen: ROWID up to which each row was sent, but for the failed ones
    :param failed: ROWID -> its failure; each is above the second sync point
    """
    seen: int = -1
    failed: dict[int, Failure] = field(default_factory=dict)
    figures: SyncFigures = field(default_factory=SyncFigures)

    @property
    def point2(self) -> int:
        """Give the second sync point: no row up to it is left to send."""
        return min(self.failed, default=self.seen + 1) - 1


class Ledger:
    """The ledger of one device, to be written.

    :param device: folder of the device
    :raises LedgerError:
    """

    def __init__(self, device: Path):
        self._folder = Path(device) / FOLDER
        try:
            self._folder.mkdir(mode=0o755, exist_ok=True)
            self._lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | FLAGS, 0o600)
        except OSError as error:
            raise LedgerError(f'{self._folder}: {error.strerror}; the user of the syncer must be able to write to '
                              'the device') from None
        if not try_lock(self._lock):
            os.close(self._lock)
            raise LedgerError(f'another syncer works on {device}: stop it first')
        self._connection = self._opened()

    def _opened(self):
        path = self._folder / FILE
        try:
            try:
                return _connection(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                # damaged: what it knew is found out again
                for name in (path, f'{path}-wal', f'{path}-shm'):
                    if os.path.lexists(name):
                        os.replace(name, f'{name}.damaged')
                return _connection(path)
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise LedgerError(f'{path}: {error}') from None

    def progress(self, path: str, db_id: str, sync_to: str, point1: int, point2: int) -> SyncProgress:
        """Read the progress of a container; what does not fit its database is left out.

        :param path: account and container, quoted
        :param db_id: of the database: in another copy of it the same row has another ROWID
        :param point1: first sync point in the database, which no second look came beyond
        :param point2: second sync point; a server sets both back where the destination changes
        """
        with self._told():
            kept = self._connection.execute('SELECT db_id, sync_to, point2, seen, figures FROM containers '
                                            'WHERE path = ?', (path,)).fetchone()
            failed = self._connection.execute('SELECT row, tries, due, why, remedy FROM failures WHERE path = ? '
                                              'AND row > ?', (path, point2)).fetchall()
        if kept is None:
            return SyncProgress(point2)
        figures = _figures(kept[4])
        if kept[:2] != (db_id, sync_to) or kept[2] > point2 or kept[3] > max(point1, point2):
            return SyncProgress(point2, figures=figures)
        return SyncProgress(max(kept[3], point2), {row: Failure(*rest) for row, *rest in failed}, figures)

    def write(self, path: str, db_id: str, sync_to: str, progress: SyncProgress) -> None:
        """Keep the progress of a container, after its sync points are in its database."""
        with self._told(), self._connection:
            self._connection.execute(
                'INSERT OR REPLACE INTO containers VALUES (?, ?, ?, ?, ?, ?)',
                (path, db_id, sync_to, progress.point2, progress.seen, json.dumps(asdict(progress.figures))))
            self._connection.execute('DELETE FROM failures WHERE path = ?', (path,))
            self._connection.executemany(
                'INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?)',
                ((path, row, one.tries, one.due, one.why, one.remedy) for row, one in progress.failed.items()))

    def tell(self, path: str, figures: SyncFigures) -> None:
        """Keep the figures of a container that is not synced. What was counted of it stays."""
        with self._told(), self._connection:
            if before := self._known(path):
                figures = replace(figures, **before.counts())
            self._connection.execute(
                "INSERT INTO containers VALUES (?, '', '', -1, -1, ?) ON CONFLICT (path) "
                'DO UPDATE SET figures = excluded.figures', (path, json.dumps(asdict(figures))))

    def keep_only(self, paths: set[str], at: float) -> None:
        """Forget containers that are no longer synced from this device, but for their counts.

        :param at: time of the pass that has found this out
        """
        with self._told(), self._connection:
            known = {path for path, in self._connection.execute('SELECT path FROM containers')}
            gone = read_gone(self._connection)
            for path in known - paths:
                if before := self._known(path):
                    gone.update(before.counts())
            for table in ('containers', 'failures'):
                self._connection.executemany(f'DELETE FROM {table} WHERE path = ?',  # nosec B608
                                             ((path,) for path in known - paths))
            self._connection.execute('INSERT OR REPLACE INTO passes VALUES (0, ?, ?)', (at, json.dumps(gone)))

    def _known(self, path) -> SyncFigures | None:
        found = self._connection.execute('SELECT figures FROM containers WHERE path = ?', (path,)).fetchone()
        return found and _figures(found[0])

    def close(self) -> None:
        self._connection.close()
        os.close(self._lock)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(f'{self._folder / FILE}: {error}; it may be removed: what it knew is found out '
                              'again') from None


def _connection(path):
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS)
    try:
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = NORMAL')
        connection.executescript(SCHEMA)
        connection.execute('SELECT count(*) FROM failures').fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _figures(text):
    """Read figures; where a fault of the disk changed them, begin anew."""
    try:
        return figures_of(json.loads(text))
    except (ValueError, TypeError, AttributeError):
        return SyncFigures()
