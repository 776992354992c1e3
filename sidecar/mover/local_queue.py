"""Handle the local queue's Misplaced records, many at a time: lease each, move its object home, then end it.

The filter and the operator's command write the records. Movers lease them, however many there are. A lease is
renewed while a move is under way. After a crash the leases run out, and another mover takes the records; a move
that is made twice does no harm.
"""
import random
import time
from collections.abc import Callable

from swift.common.concurrency import Semaphore, sleep, spawn, spawn_n

from ...queues import Forget, Leased, Queue, QueueError, Waker
from ..async_queue import AsyncQueue
from .move import GIVEN_UP, Outcome, Task

# renewed while a move is under way: a mover that was killed does not keep others from it for long
LEASE_SECONDS, RENEW_SECONDS = 30.0, 10.0
LONGEST_WAIT = 3600.0


class Backoff:
    """:param first: seconds after which a failed task is tried again; doubled each time"""

    def __init__(self, first: float):
        self._first = first

    def __call__(self, tries: int) -> float:
        """Give seconds, somewhat apart for tasks that failed together. :param tries: earlier failures"""
        wait = min(self._first * 2 ** min(tries, 20), LONGEST_WAIT)
        # nobody gains by foreseeing it
        return wait * random.uniform(0.8, 1.2)  # nosec B311


class LocalRecords:
    """
    :param handle: moves a task or hands it over
    :param concurrency: records that are handled at the same time
    """

    def __init__(self, queue: Queue, handle: Callable[[Task], Outcome], concurrency: int, backoff: Backoff,
                 logger):
        self._queue = AsyncQueue(queue)
        self._handle = handle
        self._backoff = backoff
        self._logger = logger
        self._waker = Waker(queue.path)
        self._concurrency = concurrency
        self._places = Semaphore(concurrency)
        self._under_way: set[int] = set()
        self._renewing = spawn(self._renew)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def take(self) -> int:
        """Lease as many records as there is place for, the newest first, and begin with them: an object that was
        seen just now is likely to be read again. Wait until there is place for one. Tell how many were leased.

        :raises QueueError:
        """
        self._places.acquire()
        most = 1
        while self._places.acquire(blocking=False):
            most += 1
        found: list[Leased] = []
        try:
            found = self._queue.lease(most, LEASE_SECONDS, ['Misplaced'], newest=True)
        finally:
            for _ in range(most - len(found)):
                self._places.release()
        for leased in found:
            self._under_way.add(leased.id)
            spawn_n(self._in_place, leased)
        return len(found)

    def finish(self) -> None:
        """Wait for the moves under way, and close the queue."""
        for _ in range(self._concurrency):
            self._places.acquire()
        self._renewing.kill()
        self._waker.close()
        self._queue.close()

    def forget(self, task: Task) -> None:
        """Have this node's entry of the object purged."""
        name = task.name
        record = Forget(name.account, name.container, object=name.object, at=time.time())
        try:
            self._queue.put([record])
        except QueueError as error:
            self._logger.error('entry of %s not dropped: %s', name.quoted, error)
        self._waker.wake()

    def _renew(self):
        while True:
            sleep(RENEW_SECONDS)
            if self._under_way:
                self._end(self._queue.retry, list(self._under_way), time.time() + LEASE_SECONDS)

    def _in_place(self, leased: Leased):
        try:
            self._handle_leased(leased)
        finally:
            self._under_way.discard(leased.id)
            self._places.release()

    def _handle_leased(self, leased):
        try:
            task = Task.of(leased.record)
        except ValueError as error:
            self._end(self._queue.dead, [leased], str(error))
            return
        outcome = self._handle(task)
        # its lease is not renewed any more, even where the queue takes no answer
        self._under_way.discard(leased.id)
        if outcome.is_lost:
            self._end(self._queue.dead, [leased], f'{outcome.what}: {GIVEN_UP[outcome.what]}')
        elif outcome.is_done:
            self._end(self._queue.done, [leased.id])
        else:
            self._end(self._queue.retry, [leased.id], time.time() + self._backoff(leased.tries))

    def _end(self, call, *args):
        try:
            call(*args)
        except QueueError as error:
            # its lease runs out, and the next move finds the object at home
            self._logger.error('a misplaced record is handled, and stays in the queue: %s', error)
