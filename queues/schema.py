"""The tables of the SQLite queue, and whether a file has them.

Who writes: the first process that finds an empty file; one transaction, so that after a crash there
are all tables or none. Who reads: every process that opens the file, before it uses it.
"""
import contextlib
import functools
import random
import sqlite3

VERSION = 1

# A record waits (due = 0, since NULL) or is held back, leased or to be retried: then it is nobody's
# while since <= now < due. `since` lies as long before the moment it was held back as `due` lies after
# it: a clock that was set back by more than that length does not hold a record any longer.
# `account` is set where records are bounded by account. The triggers keep count, so that nobody scans.
SCHEMA = (
    """CREATE TABLE records (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
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
    """CREATE TRIGGER record_comes AFTER INSERT ON records BEGIN
        INSERT INTO counters VALUES (NEW.kind, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1;
    END""",
    """CREATE TRIGGER record_goes AFTER DELETE ON records BEGIN
        UPDATE counters SET value = value - 1 WHERE name = OLD.kind;
    END""",
    """CREATE TRIGGER letter_comes AFTER INSERT ON dead BEGIN
        INSERT INTO counters VALUES ('dead', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1;
    END""",
    """CREATE TRIGGER letter_goes AFTER DELETE ON dead BEGIN
        UPDATE counters SET value = value - 1 WHERE name = 'dead';
    END""",
)

# What came after the first programs of this version, which do not mind what they do not know: they and later
# ones use one file together. See `packs.py`; `id` is that of the last record in the row. The count has a name
# of its own, so that a program which knows no packs does not drop other records to make room for them.
ADDED = (
    """CREATE TABLE packs (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        records INTEGER NOT NULL,
        put_at REAL NOT NULL,
        since REAL,
        due REAL NOT NULL DEFAULT 0,
        tries INTEGER NOT NULL DEFAULT 0
    )""",
    'CREATE INDEX packs_by_due ON packs (kind, due)',
    'CREATE INDEX packs_by_since ON packs (kind, since) WHERE since IS NOT NULL',
    """CREATE TRIGGER pack_comes AFTER INSERT ON packs BEGIN
        INSERT INTO counters VALUES ('packed ' || NEW.kind, NEW.records)
            ON CONFLICT (name) DO UPDATE SET value = value + NEW.records;
    END""",
    """CREATE TRIGGER pack_goes AFTER DELETE ON packs BEGIN
        UPDATE counters SET value = value - OLD.records WHERE name = 'packed ' || OLD.kind;
    END""",
)


class Unusable(Exception):
    """The file is not what this program can use, now or later.

    :param word: 'damaged' or 'version-<n>'
    """

    def __init__(self, word: str, why: str):
        super().__init__(why)
        self.word = word


def ensure_schema(db: sqlite3.Connection) -> None:
    """Make the tables that are missing. To be called by one process at a time.

    :raises Unusable: for a file of a later version, or with other tables than these
    :raises sqlite3.Error:
    """
    version, = db.execute('PRAGMA user_version').fetchone()
    found = _tables(db)
    if not version and not found:
        _make(db)
    elif version > VERSION:
        raise Unusable(f'version-{version}', f'of version {version}, this program knows {VERSION}')
    elif version != VERSION or not _expected(SCHEMA) <= found:
        raise Unusable('damaged', f'not a queue: version {version}, or other tables')
    elif not _names(_added()) & _names(found):
        _add(db)
    elif not _added() <= found:
        raise Unusable('damaged', 'not a queue: packs of another form')


def _add(db):
    db.execute('BEGIN IMMEDIATE')
    for statement in ADDED:
        db.execute(statement)
    db.execute('COMMIT')


def _make(db):
    db.execute('BEGIN IMMEDIATE')
    for statement in SCHEMA + ADDED:
        db.execute(statement)
    # no id of a file that was moved away comes again: who still holds such a one must not finish
    # another record with it. 2**32 ids per file, and all below 2**53, which any reader of JSON can take; no secret
    db.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (random.getrandbits(21) << 32,))  # nosec B311
    db.execute(f'PRAGMA user_version = {VERSION}')
    db.execute('COMMIT')


def _tables(db):
    return set(db.execute('SELECT type, name, tbl_name, sql FROM sqlite_master'))


def _names(tables):
    return {name for _, name, _, _ in tables}


def _added():
    return _expected(SCHEMA + ADDED) - _expected(SCHEMA)


@functools.lru_cache(maxsize=2)
def _expected(statements):
    """What a file has after these; more is no harm."""
    with contextlib.closing(sqlite3.connect(':memory:', isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
        return _tables(db)
