"""Read and pop Swift's own queue, the account `.misplaced_objects`, as upstream's daemon does it (R1-R6, R23).

Container replicators, sharders and `swift-reconciler-enqueue` write its rows. Movers read and pop them, and so
does upstream's daemon beside them (R27). A row is nobody's: two daemons that handle it do the same, twice. The
time at which a row is tried again is in memory alone: after a restart all rows are tried at once. Rows are popped
many at a time: a row that was handled in the last second before a crash is met again, and found done.
"""
import io
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cachetools import LRUCache
from swift.common.concurrency import Timeout
from swift.common.constraints import CONTAINER_LISTING_LIMIT
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.utils import Timestamp, hash_path
from swift.container.reconciler import (
    MISPLACED_OBJECTS_ACCOUNT,
    add_to_reconciler_queue,
    get_reconciler_container_name,
    parse_raw_obj,
    slightly_later_timestamp,
)

from ...conf.names import ObjectName
from .move import Task

POPPED = 2
# as a container server writes the row of an object that was deleted
GONE = {'deleted': 1, 'size': 0, 'etag': 'noetag', 'content_type': 'application/deleted',
        'storage_policy_index': 0}
POPS = 1000
REMEMBERED = 100_000


@dataclass(frozen=True)
class QueueRow:
    """
    :param queue_container: the hour, and `name` the row in it
    :param written_at: of the row, which may be later than the object's own time (R4)
    """
    queue_container: str
    name: str
    task: Task
    written_at: Timestamp

    @property
    def key(self) -> tuple[str, str]:
        return self.queue_container, self.name


@dataclass
class PassSeen:
    """
    :param rows: number of rows that are this process's
    :param age: seconds since the oldest of them was put; 0 where there is none
    """
    rows: int = 0
    age: float = 0.0


@dataclass(frozen=True)
class ProcessShare:
    """This process's share of the rows: `number` of `count`; all rows where count is 0 (R24)."""
    number: int = 0
    count: int = 0

    def has(self, task: Task) -> bool:
        return not self.count or int(hash_path(*task.name.parts), 16) % self.count == self.number


class ReconcilerQueue:
    """
    :param reclaim_age: seconds after which a container that is empty is deleted
    :param backoff: seconds after which a row is tried again, doubled each time
    """

    def __init__(self, swift: InternalClient, logger, reclaim_age: float, share: ProcessShare,
                 backoff: Callable[[int], float], clock: Callable[[], float] = time.time,
                 on_invalid: Callable[[], None] = lambda: None):
        self._swift = swift
        self._logger = logger
        self._reclaim_age = reclaim_age
        self._share = share
        self._backoff = backoff
        self._clock = clock
        self._on_invalid = on_invalid
        # by the last whole pass
        self.seen: PassSeen | None = None
        # by the queue's container: the rows that `flush` takes away, each with its time
        self._popped: dict[str, dict[str, str]] = {}
        # of each row that failed: its tries, and the time at which it is due
        self._waits: LRUCache[tuple[str, str], tuple[int, float]] = LRUCache(REMEMBERED)

    def rows(self) -> Iterator[QueueRow]:
        """List the rows that are due, of the newest hours first."""
        seen = PassSeen()
        for container in self._containers():
            for raw in self._listing(container):
                row = self._row(container, raw)
                if row and self._share.has(row.task):
                    seen.rows += 1
                    seen.age = max(seen.age, self._clock() - float(row.written_at))
                    if self._is_ready(row):
                        yield row
        self.seen = seen

    def _is_ready(self, row):
        _, at = self._waits.get(row.key, (0, 0.0))
        return at <= self._clock()

    def _row(self, container, raw) -> QueueRow | None:
        try:
            found = parse_raw_obj(raw)
            name = ObjectName(found['account'], found['container'], found['obj'])
            task = Task(name, found['q_policy_index'], found['q_ts'], found['q_op'])
            return QueueRow(container, raw['name'], task, Timestamp(found['q_record']))
        except Exception:  # noqa: BLE001 - a row of any form stays, and the others go on
            self._logger.exception('invalid_record: %r in %s stays', raw, container)
            self._on_invalid()
            return None

    def _containers(self) -> Iterator[str]:
        current = get_reconciler_container_name(self._clock())
        # its listing in the account may be behind
        yield current
        found = self._swift.iter_containers(MISPLACED_OBJECTS_ACCOUNT)
        while page := self._page(found):
            # older ones are mostly empty
            yield from (container for container in reversed(page) if container != current)

    def _page(self, found) -> list[str]:
        try:
            return [container['name'] for container in itertools.islice(found, CONTAINER_LISTING_LIMIT)]
        except UnexpectedResponse as error:
            self._logger.error('containers of %s not listed: %s', MISPLACED_OBJECTS_ACCOUNT, error)
            return []

    def _listing(self, container) -> Iterator[dict]:
        is_empty = True
        try:
            for raw in self._swift.iter_objects(MISPLACED_OBJECTS_ACCOUNT, container):
                is_empty = False
                yield raw
        except UnexpectedResponse as error:
            self._logger.error('%s/%s not listed: %s', MISPLACED_OBJECTS_ACCOUNT, container, error)
        if is_empty and self._is_old(container):
            self._reap(container)

    def _is_old(self, container) -> bool:
        try:
            return float(container) < self._clock() - self._reclaim_age
        except ValueError:
            # somebody's own, and no hour
            return False

    def _reap(self, container):
        try:
            self._swift.delete_container(MISPLACED_OBJECTS_ACCOUNT, container,
                                         acceptable_statuses=(2, 404, 409, 412))
        except UnexpectedResponse as error:
            self._logger.error('%s/%s not deleted: %s', MISPLACED_OBJECTS_ACCOUNT, container, error)

    def pop(self, row: QueueRow) -> None:
        """Have the next `flush` take the row away, unless it was put anew."""
        self._waits.pop(row.key, None)
        at = slightly_later_timestamp(max(row.written_at, row.task.timestamp), offset=POPPED)
        self._logger.log(logging.DEBUG, 'pop_queue: %s/%s (%s)', *row.key, at)
        self._popped.setdefault(row.queue_container, {})[row.name] = at

    def flush(self) -> list[tuple[str, str]]:
        """Take the popped rows away. Give their keys. A row that no majority of servers heard of comes back, as it
        does where a single server did not."""
        popped, self._popped = self._popped, {}
        for container, rows in popped.items():
            found = iter(rows.items())
            while some := list(itertools.islice(found, POPS)):
                self._take_away(container, [{'name': name, 'created_at': at, **GONE} for name, at in some])
        return [(container, name) for container, rows in popped.items() for name in rows]

    def _take_away(self, container, gone):
        """Take rows away by one request for all: single DELETEs were a sixth of all requests of a move."""
        try:
            self._swift.make_request(
                'UPDATE', self._swift.make_path(MISPLACED_OBJECTS_ACCOUNT, container),
                {'X-Backend-Allow-Private-Methods': 'True', 'X-Backend-Storage-Policy-Index': '0',
                 'X-Timestamp': Timestamp.now().internal},
                acceptable_statuses=(2,), body_file=io.BytesIO(json.dumps(gone).encode()))
        except (Exception, Timeout) as error:  # noqa: BLE001 - the rows of other containers go all the same
            self._logger.error('%d rows of %s not popped, they are met again: %s', len(gone), container, error)

    def put(self, task: Task) -> bool:
        """Put the task into this queue, as `swift-reconciler-enqueue` does; False where no majority of the queue's
        servers took it."""
        return bool(add_to_reconciler_queue(self._swift.container_ring, *task.name.parts, task.policy_index,
                                            task.timestamp.internal, task.op))

    def retry(self, row: QueueRow) -> None:
        tries, _ = self._waits.get(row.key, (0, 0.0))
        self._waits[row.key] = tries + 1, self._clock() + self._backoff(tries)
