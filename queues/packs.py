"""Packs: a run of records in one row.

Nearly all that a proxy worker puts are the reads since its last flush: as one row they cost a fraction of what
they cost as one row each. A pack of n records has n ids of its own, up to that of its row, and is as good as
n rows: what is asked of some of its records alone makes smaller packs of it, or rows, first.

Who writes: `SqliteQueue`, in its transactions. Who reads: the same. What holds after a crash: what holds of a
transaction. A pack that cannot be decoded stays one thing, under the id of its row.
"""
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import merge

from .records import Record, decode_many, encode, encode_many

# of which there are many, and all of a batch are done at the same time
KINDS = ('Access',)
# that no single one takes long to be read or written
MOST = 500
COUNTER = 'packed '
# rows of both tables in one form
COLUMNS = {'records': 'id, kind, body, tries, 1', 'packs': 'id, kind, body, tries, records'}


@dataclass(frozen=True, order=True)
class Row:
    """:param id: that of its last record"""
    id: int
    kind: str
    body: str
    tries: int
    records: int
    table: str

    @property
    def ids(self) -> range:
        return range(self.id - self.records + 1, self.id + 1)

    def unpacked(self) -> dict[int, Record]:
        """Ids and records. :raises ValueError: for all of them"""
        return dict(zip(self.ids, decode_many(self.kind, self.body), strict=True))


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Records of each kind in both tables, and what else is counted."""
    found: dict[str, int] = {}
    for name, value in db.execute('SELECT name, value FROM counters WHERE value > 0'):
        kind = name.removeprefix(COUNTER)
        found[kind] = found.get(kind, 0) + value
    return found


def put(db: sqlite3.Connection, records: Sequence[Record], now: float) -> None:
    """Records of one kind. :raises TypeError: for what cannot be encoded"""
    for begin in range(0, len(records), MOST):
        some = records[begin:begin + MOST]
        db.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'records'", (len(some),))
        last, = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        db.execute('INSERT INTO packs (id, kind, body, records, put_at) VALUES (?, ?, ?, ?, ?)',
                   (last, type(some[0]).__name__, encode_many(some), len(some), now))


def rows(db: sqlite3.Connection, kind: str, which: tuple[str, str], n: int, now: float = 0,
         newest: bool = False) -> Iterator[Row]:
    """The first rows of the kind, until there are `n` records; the last ones, last first, where `newest`.

    :param which: SQL: a condition, in which `:now` may be, and the column by which they are in order
    """
    values = {'kind': kind, 'now': now, 'n': n}
    found = [map(partial(_ordered, table), db.execute(_query(table, *which, newest), values))
             for table in (('records', 'packs') if kind in KINDS else ('records',))]
    for _, row in merge(*found, reverse=newest):
        yield row
        n -= row.records
        if n <= 0:
            break


def _query(table, condition, order, newest):
    direction = 'DESC' if newest else 'ASC'
    # what is put into the text is this room's own; values go in as parameters
    return (f'SELECT {order}, {COLUMNS[table]} FROM {table} WHERE kind = :kind AND {condition}'  # nosec B608
            f' ORDER BY {order} {direction}, id {direction} LIMIT :n')


def _ordered(table, found):
    return found[0], Row(*found[1:], table=table)


def first(db: sqlite3.Connection, found: Sequence[Row], n: int) -> list[Row]:
    """The first of these rows, with `n` records; a pack that has more is split."""
    taken = []
    for row in found:
        if n <= 0:
            break
        taken.append(_split(db, row, n) if row.records > n else row)
        n -= taken[-1].records
    return taken


def _split(db, row, n):
    """The first `n` records of a pack, as one; all of them, where it cannot be decoded."""
    try:
        records = list(row.unpacked().values())
    except ValueError:
        return row
    parts = [Row(row.ids[n - 1], row.kind, encode_many(records[:n]), row.tries, n, row.table),
             Row(row.id, row.kind, encode_many(records[n:]), row.tries, row.records - n, row.table)]
    when = _take_out(db, row)
    db.executemany('INSERT INTO packs (id, kind, body, tries, records, put_at, since, due)'
                   ' VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
                   [(part.id, part.kind, part.body, part.tries, part.records, *when) for part in parts])
    return parts[0]


def _scatter(db, row, records):
    when = _take_out(db, row)
    db.executemany('INSERT INTO records (id, kind, body, tries, put_at, since, due) VALUES (?, ?, ?, ?, ?, ?, ?)',
                   [(number, *encode(record), row.tries, *when) for number, record in records.items()])


def _take_out(db, row):
    """When it was put and is held back."""
    when = db.execute('SELECT put_at, since, due FROM packs WHERE id = ?', (row.id,)).fetchone()
    db.execute('DELETE FROM packs WHERE id = ?', (row.id,))
    return when


def delete(db: sqlite3.Connection, gone: Iterable[Row]) -> int:
    """Tells how many records went."""
    count = 0
    for row in gone:
        db.execute(f'DELETE FROM {row.table} WHERE id = ?', (row.id,))  # nosec B608
        count += row.records
    return count


def find(db: sqlite3.Connection, number: int) -> Row | None:
    """The pack that has this id, or else the next one."""
    query = f'SELECT {COLUMNS["packs"]} FROM packs WHERE id >= ? ORDER BY id LIMIT 1'  # nosec B608
    found = db.execute(query, (number,)).fetchone()
    return Row(*found, table='packs') if found else None


def places(db: sqlite3.Connection, ids: Iterable[int], whole: bool = True) -> dict[str, list[int]]:
    """Which rows of which table these are. A pack that is asked for in part is made rows of first.

    :param whole: one that is asked for as a whole stays one
    """
    left = sorted(set(ids), reverse=True)
    found: dict[str, list[int]] = {'records': [], 'packs': []}
    pack, is_last = None, False
    while left:
        if not is_last and (pack is None or pack.id < left[-1]):
            pack = find(db, left[-1])
            is_last = pack is None
        if pack is None or left[-1] < pack.ids[0]:
            found['records'].append(left.pop())
            continue
        asked = []
        while left and left[-1] <= pack.id:
            asked.append(left.pop())
        table, rest = _place(db, pack, asked, whole)
        found[table] += rest
    return found


def _place(db, pack, asked, whole):
    if whole and len(asked) == pack.records:
        return 'packs', [pack.id]
    try:
        _scatter(db, pack, pack.unpacked())
    except ValueError:
        return 'packs', [pack.id]
    return 'records', asked
