"""The tables of the queue's file.

Who writes: the first process that finds an empty file, in one transaction, so that after a crash there are all
tables or none. Who reads: every process that opens the file, before it uses it.
"""
import contextlib
import functools
import random
import sqlite3

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
    """The tables of a file that was just made; more in a file is no harm."""
    with contextlib.closing(sqlite3.connect(':memory:', isolation_level=None)) as db:
        for statement in SCHEMA:
            db.execute(statement)
        return _tables(db)
