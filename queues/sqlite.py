"""The local queue: one SQLite file in WAL mode.

Who writes: every proxy worker puts; the sidecar's processes lease and finish, each its own kinds; the
operator's command revives and drops dead letters. Who reads: the sidecar, and the command.

What holds after a crash, of a process or of the machine: a Misplaced record is there once `put()`
returned (synchronous=FULL); of the others the last moments may be lost after a power cut (NORMAL), and
the file is whole in either case. A leased record whose consumer died comes back when its lease runs out;
so does one whose consumer is too slow, which then has it twice: handling a record twice must do no harm.
Reads that were put together lie in one row (`packs.py`), and are single records to all who use the queue.
A file that cannot be used is set aside and a new one begins, see `file.py`.

How full: at most `limit` prefetch records. What is more goes, oldest first and counted: Access before
Admit, Admit before Forget, Forget before Warm; Misplaced never. An account has at most 1 / SHARES of `limit`
as Warm and Forget records, of which its own oldest go: it cannot push another's out, nor all Access records.

The clock: a lease or a wait for a retry holds while the clock is within its length of when it began,
before or after. Set back by less, it holds at most twice as long; set back by more, it is over at once.

Calls block: whoever has an event loop calls through a thread. One instance is used by one thread at
a time; a fork gets a connection of its own. A call fails after `wait` seconds and what the disk takes.
"""
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from . import packs
from .connection import QueueFile
from .packs import Row
from .records import PREFETCH_KINDS, Forget, Misplaced, Record, Warm, decode, encode

PREFETCH_LIMIT = 100_000
DROP_ORDER = ('Access', 'Admit', 'Forget', 'Warm')
SHARES = 20
# of each kind of prefetch records
DEAD_LIMIT = 1000
BUSY_SECONDS = 5.0
# which, and in what order; each is answered from an index, and ends after n records
READY = (('due = 0', 'id'), ('due > 0 AND due <= :now', 'due'), ('since > :now', 'since'))
# what waits goes before what is leased
DROPPABLE = (('due = 0', 'id'), ('due > 0', 'due'))
LETTER = 'SELECT id, kind, body, put_at, tries, '


@dataclass(frozen=True)
class Leased:
    """A record that is this consumer's until its lease runs out. `tries` counts earlier leases."""
    id: int
    record: Record
    tries: int


@dataclass(frozen=True)
class Letter:
    """A record as the operator sees it, undecoded.

    :param body: JSON, if it is whole
    :param why: why it is dead; empty where it is not
    :param due: until when it is held back, as `waiting` tells; 0 where it is not
    """
    id: int
    kind: str
    body: str
    put_at: float
    tries: int
    why: str = ''
    due: float = 0.0


class SqliteQueue:
    """
    :param url: ``sqlite:/absolute/path``; the file is made at first use, its folder is not
    :param limit: prefetch records that are kept
    :param logger: is told when a file is set aside
    :param wait: seconds that a call waits for other processes, in all
    """

    def __init__(self, url: str, limit: int = PREFETCH_LIMIT, clock: Callable[[], float] = time.time,
                 logger=None, wait: float = BUSY_SECONDS):
        self.path = Path(url.removeprefix('sqlite:'))
        self._limit = limit
        self._clock = clock
        self._file = QueueFile(self.path, clock, logger or logging.getLogger(__name__), wait)

    # the producers' and the consumers' calls

    def put(self, records: Sequence[Record]) -> None:
        """Append records, all or none.

        :raises QueueError: where none was written
        """
        durable = any(isinstance(record, Misplaced) for record in records)
        now = self._clock()
        with self._file.transaction('FULL' if durable else 'NORMAL') as db:
            for some in _groups(records):
                if len(some) > 1 and type(some[0]).__name__ in packs.KINDS:
                    packs.put(db, some, now)
                else:
                    db.executemany('INSERT INTO records (kind, body, account, put_at) VALUES (?, ?, ?, ?)',
                                   ((*encode(record), _account(record), now) for record in some))
            self._bound(db, {_account(record) for record in records} - {None})

    def _bound(self, db, accounts):
        for account in accounts:
            _keep_newest(db, 'records', 'account', account, max(self._limit // SHARES, 1))
        counts = packs.counts(db)
        excess = sum(counts.get(kind, 0) for kind in PREFETCH_KINDS) - self._limit
        for kind, which in product(DROP_ORDER, DROPPABLE):
            if excess > 0:
                oldest = list(packs.rows(db, kind, which, excess))
                gone = packs.delete(db, packs.first(db, oldest, excess))
                excess -= gone
                _count_dropped(db, gone)

    def lease(self, n: int, seconds: float, kinds: Iterable[str] = PREFETCH_KINDS,
              newest: bool = False) -> list[Leased]:
        """Up to `n` records, oldest first, or newest first, that nobody else gets for `seconds`.

        A record that cannot be decoded goes to the dead letters.

        :raises QueueError:
        """
        now = self._clock()
        with self._file.transaction() as db:
            ready = sorted((row for kind in kinds for which in READY
                            for row in packs.rows(db, kind, which, n, now, newest)), reverse=newest)
            rows = packs.first(db, ready, n)
            for row in rows:
                db.execute(f'UPDATE {row.table} SET since = ?, due = ?, tries = tries + 1 WHERE id = ?',  # nosec B608
                           (now - seconds, now + seconds, row.id))
            return [leased for row in rows for leased in self._decoded(db, row)]

    def _decoded(self, db, row: Row):
        try:
            records = row.unpacked() if row.table == 'packs' else {row.id: decode(row.kind, row.body)}
        except ValueError as error:
            self._bury(db, {row.table: [row.id]}, str(error))
            return []
        return [Leased(number, record, row.tries) for number, record in records.items()]

    def done(self, ids: Iterable[int]) -> None:
        """These were handled. :raises QueueError:"""
        with self._file.transaction() as db:
            for table, found in packs.places(db, ids).items():
                db.executemany(f'DELETE FROM {table} WHERE id = ?', [(number,) for number in found])  # nosec B608

    def retry(self, ids: Iterable[int], at: float) -> None:
        """Give these back, to be leased again from `at` on. :raises QueueError:"""
        now = self._clock()
        since, due = (2 * now - at, at) if at > now else (None, 0)
        with self._file.transaction() as db:
            for table, found in packs.places(db, ids).items():
                db.executemany(f'UPDATE {table} SET since = ?, due = ? WHERE id = ?',  # nosec B608
                               [(since, due, number) for number in found])

    def dead(self, ids: Iterable[int], why: str) -> None:
        """These will not be tried again; they are kept for the operator. :raises QueueError:"""
        with self._file.transaction('FULL') as db:
            self._bury(db, packs.places(db, ids, whole=False), why)

    def _bury(self, db, places, why):
        for table, ids in places.items():
            account = 'account' if table == 'records' else 'NULL'
            copy = (f'INSERT INTO dead SELECT id, kind, body, {account}, put_at, tries, ?, ? FROM {table}'  # nosec B608
                    ' WHERE id = ?')
            for number in ids:
                db.execute(copy, (why, self._clock(), number))
                db.execute(f'DELETE FROM {table} WHERE id = ?', (number,))  # nosec B608
        for kind in PREFETCH_KINDS:
            _keep_newest(db, 'dead', 'kind', kind, DEAD_LIMIT)

    # the operator's calls: they neither begin a file nor set one aside

    def depth(self) -> dict[str, int]:
        """How many records wait or are leased, by kind; 'dead' and 'dropped' beside them.

        :raises QueueError:
        """
        with self._file.reading() as db:
            return {'dead': 0, 'dropped': 0, **packs.counts(db)}

    def oldest(self) -> dict[str, float]:
        """Seconds since the oldest record of each kind was put. :raises QueueError:"""
        now = self._clock()
        with self._file.reading() as db:
            found = {kind: _oldest(db, kind) for kind in packs.counts(db)}
        return {kind: max(now - put_at, 0.0) for kind, put_at in found.items() if put_at is not None}

    def dead_letters(self, n: int, after: int = 0) -> list[Letter]:
        """Up to `n`, oldest first, from the one after id `after` on. :raises QueueError:"""
        with self._file.reading() as db:
            return [Letter(*row) for row in db.execute(
                f'{LETTER} why FROM dead WHERE id > ? ORDER BY id LIMIT ?', (after, n))]

    def waiting(self, kind: str, n: int, after: int = 0) -> list[Letter]:
        """Up to `n` of the records of a kind that lie in rows of their own, as Misplaced do, leased ones too;
        in the order of their ids, from the one after id `after` on. :raises QueueError:
        """
        with self._file.reading() as db:
            return [Letter(*row) for row in db.execute(
                f"{LETTER} '', due FROM records WHERE kind = ? AND id > ? ORDER BY id LIMIT ?", (kind, after, n))]

    def show(self, number: int) -> Letter | None:
        """A record, dead or alive. :raises QueueError:"""
        with self._file.reading() as db:
            row = db.execute(f"{LETTER} '' FROM records WHERE id = ? UNION ALL {LETTER} why FROM dead"
                             " WHERE id = ?", (number, number)).fetchone()
            return Letter(*row) if row else _packed(db, number)

    def revive(self, ids: Iterable[int]) -> int:
        """Have dead letters tried again, as if they had never been. Tells how many. :raises QueueError:"""
        with self._file.transaction('FULL', mend=False) as db:
            return sum(_revive(db, number) for number in ids)

    def drop(self, ids: Iterable[int]) -> int:
        """Forget dead letters. Tells how many. :raises QueueError:"""
        with self._file.transaction(mend=False) as db:
            return sum(db.execute('DELETE FROM dead WHERE id = ?', (number,)).rowcount for number in ids)

    def close(self) -> None:
        self._file.close()


def _account(record):
    return record.account if isinstance(record, Warm | Forget) else None


def _groups(records):
    """Runs of records in their order, but that all which can be a pack stand where the first of them does."""
    groups, of_kind = [[]], {}
    for record in records:
        kind = type(record).__name__
        if kind in of_kind:
            of_kind[kind].append(record)
        elif kind in packs.KINDS:
            of_kind[kind] = [record]
            groups += [of_kind[kind], []]
        else:
            groups[-1].append(record)
    return filter(None, groups)


def _oldest(db, kind):
    """When it was put; None where there is none."""
    found = []
    for table in ('records', 'packs'):
        found += db.execute(
            f'SELECT put_at FROM {table} WHERE id = (SELECT min(id) FROM ('  # nosec B608
            f'  SELECT * FROM (SELECT id FROM {table} WHERE kind = :kind AND due = 0 ORDER BY id LIMIT 1)'
            f'  UNION ALL SELECT min(id) FROM {table} WHERE kind = :kind AND due > 0))', {'kind': kind}).fetchall()
    return min((put_at for put_at, in found), default=None)


def _packed(db, number):
    """As it would be in a row of its own."""
    pack = packs.find(db, number)
    if pack is None or number not in pack.ids:
        return None
    put_at, = db.execute('SELECT put_at FROM packs WHERE id = ?', (pack.id,)).fetchone()
    return Letter(number, *encode(pack.unpacked()[number]), put_at, pack.tries)


def _keep_newest(db, table, column, value, n):
    """Of the rows that have the value; the cost is that of `n` rows of an index."""
    # table and column are this module's own words
    last = db.execute(f'SELECT id FROM {table} WHERE {column} = ? ORDER BY id DESC LIMIT 1 OFFSET ?',  # nosec B608
                      (value, n)).fetchone()
    if last is not None:
        old = f'DELETE FROM {table} WHERE {column} = ? AND id <= ?'  # nosec B608
        gone = db.execute(old, (value, last[0])).rowcount
        _count_dropped(db, gone)


def _count_dropped(db, by):
    db.execute("INSERT INTO counters VALUES ('dropped', ?) ON CONFLICT (name) DO UPDATE SET value = value + ?",
               (by, by))


def _revive(db, number):
    db.execute('INSERT INTO records (id, kind, body, account, put_at)'
               ' SELECT id, kind, body, account, put_at FROM dead WHERE id = ?', (number,))
    return db.execute('DELETE FROM dead WHERE id = ?', (number,)).rowcount
