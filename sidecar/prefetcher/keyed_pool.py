"""A pool that runs jobs at the same time, but jobs of one key one after the other, in their order."""
from collections import deque
from collections.abc import Callable

from swift.common.concurrency import Event, spawn_n

Job = Callable[[], object]


class KeyedPool:
    """Runs jobs of different keys at the same time, and jobs of one key in their order.

    :param size: upper bound on the jobs at the same time
    :param idle: is called when the last job has ended; that job counts as running until `idle` returns
    """

    def __init__(self, size: int, idle: Callable[[], object] = lambda: None):
        self._size = size
        self._idle = idle
        self._jobs: dict[str, deque[Job]] = {}
        self._ready: deque[str] = deque()
        self._running = 0
        self._stopped = False
        self._ended: Event | None = None

    def __len__(self):
        """Count the jobs that wait or run."""
        return sum(map(len, self._jobs.values()))

    def __contains__(self, key):
        """Tell whether a job of this key waits or runs."""
        return key in self._jobs

    def add(self, key: str, job: Job) -> None:
        """Run a job after all others of its key. :param job: must not raise"""
        queue = self._jobs.get(key)
        if queue is None:
            self._jobs[key] = deque([job])
            self._ready.append(key)
            self._start()
        else:
            queue.append(job)

    def add_after(self, prefix: str, job: Job) -> None:
        """Run a job once all jobs have ended that wait or run now under keys with this prefix."""
        keys = [key for key in self._jobs if key.startswith(prefix)]
        left = len(keys)

        def one_ended():
            nonlocal left
            left -= 1
            if not left:
                self.add(f'after {id(job)}', job)

        for key in keys:
            self.add(key, one_ended)
        if not keys:
            self.add(f'after {id(job)}', job)

    def _start(self):
        while self._ready and self._running < self._size and not self._stopped:
            self._running += 1
            spawn_n(self._run, self._ready.popleft())

    def _run(self, key):
        queue = self._jobs[key]
        try:
            queue[0]()
        finally:
            queue.popleft()
            if queue:
                self._ready.append(key)
            else:
                del self._jobs[key]
            if not self._ready and self._running == 1:
                self._idle()
            self._running -= 1
            self._start()
            if not self._running and self._ended is not None:
                ended, self._ended = self._ended, None
                ended.send()

    def wait(self) -> None:
        """Wait until no job runs; after `stop`, waiting jobs do not begin."""
        while self._running:
            self._ended = ended = self._ended or Event()
            ended.wait()

    def stop(self) -> None:
        """Begin no other job."""
        self._stopped = True
