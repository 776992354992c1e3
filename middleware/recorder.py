"""Bring records from requests to the queue; no read waits for that."""
import time
from collections import deque
from collections.abc import Callable

from swift.common.concurrency import Event, Timeout, sleep, spawn_n, tpool

from ..queues import Queue, QueueError, Record, Waker

# bounds the records that a worker holds in memory while the queue takes none
BUFFER_RECORDS = 10_000
# seconds of pause after a flush, for each of its records
GATHER_SECONDS = 0.01
RETRY_SECONDS = 1.0
PUT_SECONDS = 10.0
# The more records a flush had, the longer the pause after it: a flush costs a millisecond, however many they
# are. At a hundred reads a second and more the pause comes to this; a prediction can wait so long.
LONGEST_PAUSE = 0.1


class Recorder:
    """A buffer in memory, and one green thread at a time that writes it to the queue in batches.

    That green thread alone writes the queue in this process, through a thread of the pool. Records in the buffer
    are lost when the process dies; records that do not fit are dropped and counted.
    """

    def __init__(self, queue: Queue, logger, count: Callable[..., None] = lambda *args: None,
                 limit: int = BUFFER_RECORDS, interval: float = GATHER_SECONDS):
        self._queue = queue
        self._waker = Waker(queue.path)
        self.limit = limit
        self._interval = interval
        self._logger = logger
        self._buffer: deque[Record] = deque()
        self._waiting: list[Event] = []
        self._running = False
        self._failing = False
        self._next_flush_at = 0.0
        self.dropped = 0
        self._count = count

    def add(self, record: Record) -> None:
        """Take a record that may be lost."""
        if len(self._buffer) >= self.limit:
            self.dropped += 1
            self._count('records_dropped')
            return
        self._buffer.append(record)
        self._start()

    def put(self, record: Record) -> None:
        """Put a record into the queue; return when it is there.

        :raises QueueError: where it is not there, or nobody knows in time
        """
        written = Event()
        self._waiting.append(written)
        self._buffer.append(record)
        self._start()
        with Timeout(PUT_SECONDS, False):
            written.wait()
            return
        raise QueueError(f'{self._queue.path}: no answer within {PUT_SECONDS:g} s')

    @property
    def idle(self) -> bool:
        return not self._running and not self._buffer

    def close(self) -> None:
        self._waker.close()

    def _start(self):
        if not self._running:
            self._running = True
            spawn_n(self._flush_all)

    def _flush_all(self):
        try:
            while self._buffer:
                # the first record after a pause goes at once, the records of a busy time go together
                pause = self._next_flush_at - time.monotonic()
                if pause > 0 and not self._waiting:
                    sleep(pause)
                pause = min(self._interval * len(self._buffer), max(self._interval, LONGEST_PAUSE))
                flushed = self._flush()
                self._next_flush_at = time.monotonic() + pause
                if not flushed:
                    sleep(RETRY_SECONDS)
        finally:
            self._running = False

    def _flush(self):
        batch, waiting = list(self._buffer), self._waiting
        self._waiting = []
        try:
            tpool.execute(self._queue.put, batch)
        except QueueError as error:
            self._failed(error, batch, waiting)
            return False
        for _ in batch:
            self._buffer.popleft()
        for written in waiting:
            written.send()
        if self._failing:
            self._failing = False
            self._logger.info('the queue takes records again')
        self._waker.wake({type(record).__name__ for record in batch})
        return True

    def _failed(self, error, batch, waiting):
        self._count('queue_errors')
        if not self._failing:
            self._failing = True
            self._logger.error('the queue takes no records, reads are not learned from: %s', error)
        if waiting:
            # a waiting caller learns of the failure, so its record must not be written later
            for _ in batch:
                self._buffer.popleft()
            self.dropped += len(batch) - len(waiting)
            self._count('records_dropped', len(batch) - len(waiting))
            for written in waiting:
                written.send_exception(error)
