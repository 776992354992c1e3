"""One queue, many green threads: each call in a thread of the pool, one after the other."""
from collections.abc import Callable, Iterable, Sequence

from swift.common.concurrency import Semaphore, tpool

from ..queues import Leased, Queue, Record
from ..queues.records import PREFETCH_KINDS


class AsyncQueue:
    """A queue that green threads share. It must not be in two threads at once, and must not block the event loop.

    The calls are those of `Queue`, with its errors.
    """

    def __init__(self, queue: Queue):
        self._queue = queue
        self._turn = Semaphore()

    def put(self, records: Sequence[Record]) -> None:
        self._call(self._queue.put, records)

    def lease(self, n: int, seconds: float, kinds: Iterable[str] = PREFETCH_KINDS,
              newest: bool = False) -> list[Leased]:
        return self._call(self._queue.lease, n, seconds, kinds, newest)

    def done(self, ids: Iterable[int]) -> None:
        self._call(self._queue.done, list(ids))

    def retry(self, ids: Iterable[int], at: float) -> None:
        self._call(self._queue.retry, list(ids), at)

    def dead(self, leased: Iterable[Leased], why: str) -> None:
        self._call(self._queue.dead, list(leased), why)

    def close(self) -> None:
        self._call(self._queue.close)

    def _call(self, method: Callable, *args):
        with self._turn:
            return tpool.execute(method, *args)
