"""The calls that every back end of the queue answers.

A new back end is a module or sub-package of this room with a class that has these calls, and a line in `BACKENDS`
(conf/casts.py). tests/helpers/queue/queue_contract.py holds what each call promises.
"""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .records import PREFETCH_KINDS, Record


class QueueError(Exception):
    """The queue cannot be used now. The records of a put that failed are not in it, or will come twice."""


@dataclass(frozen=True)
class Leased:
    """A record that is this consumer's until its lease runs out.

    :param id: of its row; Access records that were put together share a row
    :param tries: earlier leases
    """
    id: int
    record: Record
    tries: int


@dataclass(frozen=True)
class StoredRecord:
    """A record as the operator sees it, undecoded.

    :param body: JSON, if it is whole
    :param why: why the record is dead; empty where it is not
    :param due: when the record may be leased again; 0 where it waits for nothing
    """
    id: int
    kind: str
    body: str
    put_at: float
    tries: int
    why: str = ''
    due: float = 0.0


class Queue(Protocol):
    """Records are handled at least once: a lease that runs out gives its records to the next consumer.

    Each call blocks, and raises QueueError within a bound where it cannot be carried out. One instance is used by
    one thread at a time; after a fork it may be used in both processes. `path` is a place in the file system:
    sockets, counters and reports lie beside it.
    """
    path: Path

    def put(self, records: Sequence[Record]) -> None:
        """Append records, all or none. A Misplaced record is durable when this returns.

        :raises QueueError: where none was written
        """
        ...

    def lease(self, n: int, seconds: float, kinds: Iterable[str] = PREFETCH_KINDS,
              newest: bool = False) -> list[Leased]:
        """Take rows until they have `n` records, oldest or newest first; nobody else has them for `seconds`.

        A row is never taken in part, so the last one may bring more than `n`. A row that cannot be decoded goes
        to the dead letters.
        """
        ...

    def done(self, ids: Iterable[int]) -> None:
        """Delete these rows: all of their records were handled."""
        ...

    def retry(self, ids: Iterable[int], at: float) -> None:
        """Give these rows back, to be leased again from `at` on."""
        ...

    def dead(self, leased: Iterable[Leased], why: str) -> None:
        """Keep these records for the operator; they are not tried again.

        The other records of a row stay in it: `done` tells that they were handled.
        """
        ...

    # the operator's calls neither begin a queue nor change an unusable one

    def is_missing(self) -> bool:
        """Tell whether there is surely no queue yet."""
        ...

    def depth(self) -> dict[str, int]:
        """Count the records that wait or are leased, by kind; 'dead' and 'dropped' beside them."""
        ...

    def oldest(self) -> dict[str, float]:
        """Give the seconds since the oldest record of each kind was put."""
        ...

    def dead_letters(self, n: int, after: int = 0) -> list[StoredRecord]:
        """List up to `n` dead letters, oldest first, from the one after id `after` on."""
        ...

    def waiting(self, kind: str, n: int, after: int = 0) -> list[StoredRecord]:
        """List up to `n` records of a kind other than Access, leased ones too, by id, as `dead_letters` does."""
        ...

    def revive(self, ids: Iterable[int]) -> int:
        """Put dead letters back as untried; return how many."""
        ...

    def drop(self, ids: Iterable[int]) -> int:
        """Delete dead letters; return how many."""
        ...

    def close(self) -> None:
        """Close the queue; the next call opens it again."""
        ...
