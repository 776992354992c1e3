"""One queue, many green threads: each call in a thread of the pool, one after the other."""
from collections.abc import Callable, Iterable

from swift.common.concurrency import Semaphore, tpool

from ..queues import Leased, SqliteQueue
from ..queues.records import PREFETCH_KINDS


class QueueInTurns:
    """SQLite's connection must not be in two threads at once, and the loop must not wait for the disk.

    The calls are those of `SqliteQueue`, with its errors.
    """

    def __init__(self, queue: SqliteQueue):
        self._queue = queue
        self._turn = Semaphore()

    def lease(self, n: int, seconds: float, kinds: Iterable[str] = PREFETCH_KINDS) -> list[Leased]:
        return self._call(self._queue.lease, n, seconds, kinds)

    def done(self, ids: Iterable[int]) -> None:
        self._call(self._queue.done, list(ids))

    def retry(self, ids: Iterable[int], at: float) -> None:
        self._call(self._queue.retry, list(ids), at)

    def dead(self, ids: Iterable[int], why: str) -> None:
        self._call(self._queue.dead, list(ids), why)

    def close(self) -> None:
        self._call(self._queue.close)

    def _call(self, method: Callable, *args):
        with self._turn:
            return tpool.execute(method, *args)
