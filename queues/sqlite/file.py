"""Open the queue's file with its tables, begin it anew, set it aside.

Processes do so in turns (`<path>.lock`, held for moments only and freed by the kernel when its holder dies). An
unusable file is renamed to `<path>.damaged-<time>` or `<path>.version-<n>-<time>`, with its -wal and -shm, and a
new file begins. After any crash a new file never meets the -wal or -shm of an old one, and the old one keeps its
own. The tables are made in one transaction.

A process that has the old file open goes on with it until its next transaction. There it sees that the path
leads to another file by now, and follows (see `identity`). A put that it commits in between ends in an error.

A file of another version may be in use. Its workers follow in the same way, and set aside the file of this
version in their turn, so two versions must not run together for long. Records in a file that was set aside are
handled by nobody until an operator moves it back. At most one file is set aside in PAUSE seconds, and KEPT of
them are kept.

SQLite alone opens the file itself: closing it by other means would drop the locks that SQLite holds for this
process.
"""
import contextlib
import errno
import functools
import os
import random
import re
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ...conf.files import try_lock
from ..protocol import QueueError

PAUSE = 60
KEPT = 8
POLL_SECONDS = 0.01
# files that SQLite makes beside its own, and that go where it goes
BESIDE = ('-journal', '-wal', '-shm')
VERSION = 2

# A row waits (due = 0, since NULL) or is held back, leased or to be retried: then it is nobody's while
# since <= now < due. `since` lies as long before the moment it was held back as `due` lies after it: a clock that
# was set back by more than that length does not hold the row any longer. `holds` is the number of records in the
# row. `account` is set where records are bounded by account. The triggers keep count, so that nobody scans.
SCHEMA = (
    """CREATE TABLE records (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        holds INTEGER NOT NULL DEFAULT 1,
        account TEXT,
        put_at REAL NOT NULL,
        since REAL,
        due REAL NOT NULL DEFAULT 0,
        tries INTEGER NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX by_due ON records (kind, due)',
    'CREATE INDEX by_since ON records (kind, since) WHERE since IS NOT NULL',
    'CREATE INDEX by_account ON records (account) WHERE account IS NOT NULL',
    """CREATE TABLE dead (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        account TEXT,
        put_at REAL NOT NULL,
        tries INTEGER NOT NULL,
        why TEXT NOT NULL,
        died_at REAL NOT NULL
    )""",
    'CREATE INDEX dead_by_kind ON dead (kind)',
    'CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID',
    """CREATE TRIGGER row_comes AFTER INSERT ON records BEGIN
        INSERT INTO counters VALUES (NEW.kind, NEW.holds)
            ON CONFLICT (name) DO UPDATE SET value = value + NEW.holds;
    END""",
    """CREATE TRIGGER row_goes AFTER DELETE ON records BEGIN
        UPDATE counters SET value = value - OLD.holds WHERE name = OLD.kind;
    END""",
    """CREATE TRIGGER letter_comes AFTER INSERT ON dead BEGIN
        INSERT INTO counters VALUES ('dead', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1;
    END""",
    """CREATE TRIGGER letter_goes AFTER DELETE ON dead BEGIN
        UPDATE counters SET value = value - 1 WHERE name = 'dead';
    END""",
)


class Unusable(Exception):
    """The file is not one that this program can use, now or later.

    :param word: 'damaged' or 'version-<n>'
    """

    def __init__(self, word: str, why: str):
        super().__init__(why)
        self.word = word


def identity(path: Path) -> tuple[int, int] | None:
    """Tell which file is there now; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_missing(path: Path) -> bool:
    """Tell whether there is surely no file, not one out of reach."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def is_damage(error: BaseException) -> bool:
    """Tell whether SQLite found the file's content wrong.

    Python raises SQLITE_CORRUPT and SQLITE_NOTADB as DatabaseError itself. Locks, a full or failing disk and
    missing permissions are OperationalError: they pass, the file stays.
    """
    return type(error) is sqlite3.DatabaseError


@contextlib.contextmanager
def turn(path: Path, until: float) -> Iterator[None]:
    """Be the only process to open, close or set aside the file.

    SQLite does not wait when two processes turn a new file into a WAL at once.

    :param until: by the monotonic clock
    :raises OSError: TimeoutError where another had it for too long
    """
    # read-only, so that it works on a file system that is mounted so
    lock = os.open(f'{path}.lock', os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        _own(f'{path}.lock')
        while not try_lock(lock):
            if time.monotonic() >= until:
                raise TimeoutError(f'{path}.lock is held by another process')
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(lock)


def open_file(path: Path, until: float) -> sqlite3.Connection:
    """Connect to a file that has the tables. To be called in one's turn.

    :raises Unusable:
    :raises OSError:
    :raises sqlite3.Error: for a fault that may pass
    """
    if is_missing(path):
        # the -wal and -shm of a file that was moved away are not for the next
        _unlink_beside(path)
    # threads of a pool take turns; the owner of the queue sees to that
    _refuse_link(path)
    db = sqlite3.connect(path, timeout=max(until - time.monotonic(), 0), isolation_level=None,
                         check_same_thread=False)
    try:
        _own(path)
        db.execute('PRAGMA journal_mode = WAL')
        ensure_schema(db)
    except BaseException as error:
        db.close()
        if is_damage(error):
            raise Unusable('damaged', str(error)) from None
        raise
    return db


def _refuse_link(path):
    """Refuse a link: SQLite would follow it, and make the file that it names. :raises OSError:"""
    if os.path.islink(path):
        raise OSError(errno.ELOOP, 'must be a file of its own, not a link', str(path))


def _own(path):
    """Make the file readable by its owner alone; one that root made by looking goes to the folder's owner.

    :raises OSError: for a link: root must not give away the file that it leads to
    """
    # such a descriptor may be closed: it drops none of SQLite's locks
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status, same = os.fstat(descriptor), f'/proc/self/fd/{descriptor}'
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.ELOOP, 'must be a file of its own, not a link', str(path))
        if status.st_mode & 0o777 != 0o600:
            os.chmod(same, 0o600)
        folder = os.stat(os.path.dirname(path))
        if os.geteuid() == 0 and status.st_uid != folder.st_uid:
            os.chown(same, folder.st_uid, folder.st_gid)
    finally:
        os.close(descriptor)


def set_aside(path: Path, word: str, now: float) -> Path:
    """Rename the file with its -wal and -shm, and give its new name. To be called in one's turn.

    :raises QueueError: where one was set aside moments ago
    :raises OSError:
    """
    earlier = _set_aside_before(path)
    if any(abs(now - at) < PAUSE for at, _ in earlier):
        raise QueueError(f'{path} is {word}, and the last such file was set aside less than {PAUSE} s ago')
    aside = _free_name(path, f'{word}-{int(now)}')
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            os.link(f'{path}{suffix}', f'{aside}{suffix}')
    # from here on the file is set aside; the old names of -wal and -shm go when a file is begun
    os.rename(path, aside)
    for _, old in earlier[:-KEPT + 1]:
        _unlink_beside(old)
        old.unlink(missing_ok=True)
    return aside


def _unlink_beside(path):
    for suffix in BESIDE:
        Path(f'{path}{suffix}').unlink(missing_ok=True)


def _free_name(path, word):
    """Find a name that no file has, nor a -wal that a killed process linked."""
    name, number = Path(f'{path}.{word}'), 1
    while any(os.path.lexists(f'{name}{suffix}') for suffix in ('', *BESIDE)):
        number += 1
        name = Path(f'{path}.{word}-{number}')
    return name


def _set_aside_before(path):
    """List time and path of each file that was set aside, oldest first."""
    pattern = re.compile(re.escape(path.name) + r'\.(?:damaged|version-\d+)-(\d+)(?:-\d+)?')
    matches = filter(None, map(pattern.fullmatch, os.listdir(path.parent)))
    return sorted((int(match[1]), path.with_name(match[0])) for match in matches)


# -- tables ------------------------------------------------------------------------------------------------

def ensure_schema(db: sqlite3.Connection) -> None:
    """Make the tables in an empty file. To be called by one process at a time.

    :raises Unusable: for a file of another version, or with other tables than these
    :raises sqlite3.Error:
    """
    version, = db.execute('PRAGMA user_version').fetchone()
    found = _tables(db)
    if not version and not found:
        _make(db)
    elif version > 0 and version != VERSION:
        raise Unusable(f'version-{version}', f'of version {version}, this program knows {VERSION}')
    elif version != VERSION or not _expected() <= found:
        raise Unusable('damaged', f'not a queue: version {version}, or other tables')


def _make(db):
    db.execute('BEGIN IMMEDIATE')
    for statement in SCHEMA:
        db.execute(statement)
    # No id of a file that was moved away comes again: a consumer that still holds one must not finish another row
    # with it. 2**32 ids per file, and all below 2**53, which any reader of JSON can take; no secret.
    db.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (random.getrandbits(21) << 32,))  # nosec B311
    db.execute(f'PRAGMA user_version = {VERSION}')
    db.execute('COMMIT')


def _tables(db):
    return set(db.execute('SELECT type, name, tbl_name, sql FROM sqlite_master'))


@functools.lru_cache(maxsize=1)
def _expected():
    """Give the tables of a file that was just made. More tables in a file do no harm."""
    with contextlib.closing(sqlite3.connect(':memory:', isolation_level=None)) as db:
        for statement in SCHEMA:
            db.execute(statement)
        return _tables(db)
