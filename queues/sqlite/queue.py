"""The calls of the queue, in SQL."""
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from ..protocol import Leased, Queue, StoredRecord
from ..records import PREFETCH_KINDS, Access, Forget, Misplaced, Record, Warm, decode_row, encode_row
from .connection import QueueFile
from .file import is_missing

PREFETCH_LIMIT = 100_000
DROP_ORDER = ('Access', 'Admit', 'Forget', 'Warm')
SHARES = 20
# a row of that many takes milliseconds to be read or written
ROW_LIMIT = 500
# of each kind of prefetch records
DEAD_LIMIT = 1000
BUSY_SECONDS = 5.0
# a condition and an order; each is answered from an index, and ends after n rows
READY = (('due = 0', 'id'), ('due > 0 AND due <= :now', 'due'), ('since > :now', 'since'))
# waiting rows go before leased ones
DROPPABLE = (('due = 0', 'id'), ('due > 0', 'due'))
STORED = 'SELECT id, kind, body, put_at, tries, '


class RecordRow(NamedTuple):
    id: int
    kind: str
    body: str
    holds: int
    tries: int


class SqliteQueue(Queue):
    """
    :param path: the file, which is made at first use; its folder is not
    :param limit: prefetch records that are kept
    :param logger: is told when a file is set aside
    :param wait: seconds that a call waits for other processes, in all; the disk's time comes on top
    """

    def __init__(self, path: Path, limit: int = PREFETCH_LIMIT, clock: Callable[[], float] = time.time,
                 logger=None, wait: float = BUSY_SECONDS):
        self.path = path
        self._limit = limit
        self._share = max(limit // SHARES, 1)
        self._clock = clock
        self._file = QueueFile(path, clock, logger or logging.getLogger(__name__), wait)

    def put(self, records: Sequence[Record]) -> None:
        durable = any(isinstance(record, Misplaced) for record in records)
        now = self._clock()
        rows = [(*row, now) for row in _rows(records, min(ROW_LIMIT, self._share))]
        with self._file.transaction('FULL' if durable else 'NORMAL') as db:
            db.executemany('INSERT INTO records (kind, body, holds, account, put_at) VALUES (?, ?, ?, ?, ?)', rows)
            self._bound(db, {_account(record) for record in records} - {None})

    def _bound(self, db, accounts):
        for account in accounts:
            _keep_newest(db, 'records', 'account', account, self._share)
        counts = _counts(db)
        excess = sum(counts.get(kind, 0) for kind in PREFETCH_KINDS) - self._limit
        for kind, which in product(DROP_ORDER, DROPPABLE):
            if excess > 0:
                oldest = list(_select(db, kind, which, excess))
                _delete(db, (row.id for row in oldest))
                gone = sum(row.holds for row in oldest)
                _count_dropped(db, gone)
                excess -= gone

    def lease(self, n: int, seconds: float, kinds: Iterable[str] = PREFETCH_KINDS,
              newest: bool = False) -> list[Leased]:
        now = self._clock()
        with self._file.transaction() as db:
            ready = sorted((row for kind in kinds for which in READY
                            for row in _select(db, kind, which, n, now, newest)), reverse=newest)
            rows = list(_first(ready, n))
            db.executemany('UPDATE records SET since = ?, due = ?, tries = tries + 1 WHERE id = ?',
                           [(now - seconds, now + seconds, row.id) for row in rows])
            return [leased for row in rows for leased in self._leased(db, row)]

    def _leased(self, db, row):
        try:
            return [Leased(row.id, record, row.tries) for record in decode_row(row.kind, row.body, row.holds)]
        except ValueError as error:
            self._bury(db, [row.id], str(error))
            return []

    def done(self, ids: Iterable[int]) -> None:
        with self._file.transaction() as db:
            _delete(db, set(ids))

    def retry(self, ids: Iterable[int], at: float) -> None:
        now = self._clock()
        since, due = (2 * now - at, at) if at > now else (None, 0)
        with self._file.transaction() as db:
            db.executemany('UPDATE records SET since = ?, due = ? WHERE id = ?',
                           [(since, due, number) for number in set(ids)])

    def dead(self, leased: Iterable[Leased], why: str) -> None:
        with self._file.transaction('FULL') as db:
            self._bury(db, {_alone(db, one) for one in leased}, why)

    def _bury(self, db, ids, why):
        now = self._clock()
        db.executemany('INSERT INTO dead SELECT id, kind, body, account, put_at, tries, ?, ? FROM records'
                       ' WHERE id = ?', [(why, now, number) for number in ids])
        _delete(db, ids)
        for kind in PREFETCH_KINDS:
            _keep_newest(db, 'dead', 'kind', kind, DEAD_LIMIT)

    def is_missing(self) -> bool:
        return is_missing(self.path)

    def depth(self) -> dict[str, int]:
        with self._file.reading() as db:
            return {'dead': 0, 'dropped': 0, **_counts(db)}

    def oldest(self) -> dict[str, float]:
        now = self._clock()
        with self._file.reading() as db:
            found = {kind: _oldest(db, kind) for kind in _counts(db)}
        return {kind: max(now - put_at, 0.0) for kind, put_at in found.items() if put_at is not None}

    def dead_letters(self, n: int, after: int = 0) -> list[StoredRecord]:
        with self._file.reading() as db:
            return [StoredRecord(*row) for row in db.execute(
                f'{STORED} why FROM dead WHERE id > ? ORDER BY id LIMIT ?', (after, n))]

    def waiting(self, kind: str, n: int, after: int = 0) -> list[StoredRecord]:
        with self._file.reading() as db:
            return [StoredRecord(*row) for row in db.execute(
                f"{STORED} '', due FROM records WHERE kind = ? AND id > ? ORDER BY id LIMIT ?", (kind, after, n))]

    def revive(self, ids: Iterable[int]) -> int:
        with self._file.transaction('FULL', mend=False) as db:
            return sum(_revive(db, number) for number in ids)

    def drop(self, ids: Iterable[int]) -> int:
        with self._file.transaction(mend=False) as db:
            return sum(db.execute('DELETE FROM dead WHERE id = ?', (number,)).rowcount for number in ids)

    def close(self) -> None:
        self._file.close()


def _rows(records: Sequence[Record], most: int) -> Iterator[tuple]:
    """Give kind, body, number of records and account of each row. Access records go together, before the others.

    :raises TypeError: for a record that cannot be encoded
    """
    reads = [record for record in records if isinstance(record, Access)]
    for begin in range(0, len(reads), most):
        some = reads[begin:begin + most]
        yield *encode_row(some), len(some), None
    for record in records:
        if not isinstance(record, Access):
            yield *encode_row([record]), 1, _account(record)


def _account(record):
    return record.account if isinstance(record, Warm | Forget) else None


def _select(db, kind, which, n, now=0.0, newest=False) -> Iterator[RecordRow]:
    """Read the first rows of a kind, or the last, until they have `n` records.

    :param which: condition and order
    """
    (condition, order), direction = which, 'DESC' if newest else 'ASC'
    # the words in the text are this module's own; values go in as parameters
    return _first(map(RecordRow._make, db.execute(
        f'SELECT id, kind, body, holds, tries FROM records WHERE kind = :kind AND {condition}'  # nosec B608
        f' ORDER BY {order} {direction}, id {direction} LIMIT :n', {'kind': kind, 'now': now, 'n': n})), n)


def _first(rows: Iterable[RecordRow], n: int) -> Iterator[RecordRow]:
    """Give rows until they have `n` records."""
    for row in rows:
        if n <= 0:
            break
        yield row
        n -= row.holds


def _alone(db, leased):
    """Give the id of the record's row; where others share the row, the id of a copy with this record alone."""
    copied = db.execute('INSERT INTO records (kind, body, put_at, tries)'
                        ' SELECT kind, ?, put_at, tries FROM records WHERE id = ? AND holds > 1',
                        (encode_row([leased.record])[1], leased.id))
    return copied.lastrowid if copied.rowcount else leased.id


def _delete(db, ids):
    db.executemany('DELETE FROM records WHERE id = ?', [(number,) for number in ids])


def _counts(db):
    return dict(db.execute('SELECT name, value FROM counters WHERE value > 0'))


def _oldest(db, kind):
    """Tell when the oldest record of a kind was put; None where there is none."""
    found = db.execute(
        'SELECT put_at FROM records WHERE id = (SELECT min(id) FROM ('
        '  SELECT * FROM (SELECT id FROM records WHERE kind = :kind AND due = 0 ORDER BY id LIMIT 1)'
        '  UNION ALL SELECT min(id) FROM records WHERE kind = :kind AND due > 0))', {'kind': kind}).fetchone()
    return found and found[0]


def _keep_newest(db, table, column, value, n):
    """Drop all but the newest `n` rows that have the value; the cost is that of `n` rows of an index."""
    # table and column are this module's own words
    last = db.execute(f'SELECT id FROM {table} WHERE {column} = ? ORDER BY id DESC LIMIT 1 OFFSET ?',  # nosec B608
                      (value, n)).fetchone()
    if last is not None:
        old = f'DELETE FROM {table} WHERE {column} = ? AND id <= ?'  # nosec B608
        _count_dropped(db, db.execute(old, (value, last[0])).rowcount)


def _count_dropped(db, by):
    db.execute("INSERT INTO counters VALUES ('dropped', ?) ON CONFLICT (name) DO UPDATE SET value = value + ?",
               (by, by))


def _revive(db, number):
    db.execute('INSERT INTO records (id, kind, body, account, put_at)'
               ' SELECT id, kind, body, account, put_at FROM dead WHERE id = ?', (number,))
    return db.execute('DELETE FROM dead WHERE id = ?', (number,)).rowcount
