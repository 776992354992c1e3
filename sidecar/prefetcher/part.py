"""The prefetcher's process: its loop, its open resources, and its upkeep."""
import os
import time
from collections.abc import Callable
from pathlib import Path

from swift.common.concurrency import sleep, spawn, tpool

from ...cache import Store, Unavailable
from ...conf.files import read_own, write_whole
from ...eviction.admission import SpoolSweep
from ...eviction.evictor import CacheLimits, Tools
from ...eviction.manager import CacheManager
from ...metrics import Counters, counters_folder
from ...metrics.totals import fold
from ...predict import LEARNERS, DamagedSnapshot, Learner, Schedule
from ...queues import QueueError, WakeListener, open_queue
from ...queues.wake import PREFETCH
from ..cluster import make_client, token_ring
from ..settings import SidecarSettings
from ..status.report import cache_report, for_filter, spool_size, write
from .backend_client import BackendClient, FetchLimits
from .congestion import Congestion
from .consumer import Consumer
from .fetch_scheduler import Context
from .listings import Listings

UPKEEP_SECONDS = 5.0
# between two leases from the queue where no wake-up came
POLL_SECONDS = 1.0
RETRY_SECONDS = 1.0
# between two looks whether a pass is to end early
PASS_LOOK_SECONDS = 0.05
# the learner's snapshot: its file names, and the seconds between two writes
FILE = 'learned'
ASIDE = 'learned.damaged'
SNAPSHOT_SECONDS = 600.0


class PrefetcherPart:
    """Runs the prefetcher as a part of the sidecar. :param logger: one of Swift's"""

    def __init__(self, settings: SidecarSettings, logger):
        self._settings = settings
        self._logger = logger
        self._worker: Worker | None = None

    def run(self, is_over: Callable[[], bool]) -> None:
        self._worker = self._make(is_over)
        if self._worker is not None:
            while not is_over() and self._worker.turn():
                pass
            self._worker.close()

    def _make(self, is_over):
        """Make a worker as soon as there is a cache folder; give None when stopped before."""
        said = ''
        while not is_over():
            try:
                return Worker(self._settings, self._logger)
            except Unavailable as error:
                if str(error) != said:
                    self._logger.error('no cache folder, tried again each second: %s', error)
                said = str(error)
                sleep(RETRY_SECONDS)
        return None

    def once(self, is_over: Callable[[], bool]) -> None:
        worker = self._worker = Worker(self._settings, self._logger)
        work = spawn(worker.whole_pass)
        while not work.dead and not is_over():
            sleep(PASS_LOOK_SECONDS)
        if work.dead:
            work.wait()
        worker.close()

    def report(self) -> dict:
        return self._worker.report() if self._worker is not None else {}


class Worker:
    """Holds the open resources of the process, and does one turn of its loop."""

    def __init__(self, settings, logger, poll_seconds: float = POLL_SECONDS):
        own, prefetcher = settings.sidecar, settings.prefetcher
        self._logger = logger
        self._poll_seconds = poll_seconds
        self._for_filter = for_filter(settings)
        self._upkeep_at = 0.0
        self._failing = False
        queue = open_queue(own.queue, logger=logger)
        store = Store.create(own.cache_dir, queue.path.name)
        self._lock = store.lock()
        self.metrics = Counters(counters_folder(queue.path), logger, tpool.execute)
        count = self.metrics.count
        limits = CacheLimits(own.cache_size, own.high_water, own.low_water, own.free_space, own.eviction,
                             own.admit)
        self.manager = CacheManager(store, limits, logger, Tools(tpool.execute, count), prefetcher.window)
        self._spool = SpoolSweep(store, spool_size(own.cache_size), own.spool_age, logger)
        fetcher = BackendClient(make_client(settings), store, token_ring(settings, logger),
                                FetchLimits(prefetcher.max_object_size, spool_size(own.cache_size)))
        self.pace = Congestion(prefetcher.concurrency, prefetcher.bytes_per_second, prefetcher.slow_factor,
                               lambda: count('backoffs'))
        names = Listings(fetcher, prefetcher.max_contexts, lambda: not self.pace.is_stopped, count, logger)
        learner = LEARNERS[prefetcher.learner](
            prefetcher.threshold, prefetcher.window, prefetcher.look_ahead, prefetcher.max_contexts,
            names if prefetcher.neighbours else None) if prefetcher.learner != 'off' else None
        self._learned = SnapshotFile(store.layout.objects.parent, learner, logger) if learner else None
        context = Context(queue, self.manager, fetcher, learner, Schedule(), self.pace, count,
                          look_ahead=prefetcher.look_ahead)
        self.prefetcher = Consumer(context, prefetcher.concurrency, logger)
        if self._learned:
            self._learned.read()
        # now, since the filter may use the folder from here on, and needs the report
        self._write_report()
        # records are handled from the first moment on
        self.rebuilding = spawn(self.manager.rebuild)
        self._listener = WakeListener(queue.path, PREFETCH, logger)

    def whole_pass(self) -> None:
        """Make the inventory whole, and then do all that is in the queue.

        :raises QueueError, OSError: where queue or folder cannot be read
        """
        self.rebuilding.kill()
        self.manager.load()
        while self.prefetcher.step() or self.prefetcher.waiting_to_warm:
            self.prefetcher.drain()
        self.prefetcher.drain()
        self.upkeep()

    def turn(self) -> bool:
        """Wait for a wake-up or a due fetch, then do one turn.

        :returns: False where the cache folder is gone or another by now; the daemon then starts a worker anew
        """
        wait = self.prefetcher.seconds_to_next(self._poll_seconds)
        self._listener.wait(wait)
        try:
            self.prefetcher.step()
        except QueueError as error:
            if not self._failing:
                self._logger.error('queue cannot be read, tried again each second: %s', error)
            self._failing = True
            self.metrics.count('queue_errors')
            sleep(RETRY_SECONDS)
        else:
            self._failing = False
        self.metrics.flush_if_due(time.monotonic())
        if time.monotonic() >= self._upkeep_at:
            self._upkeep_at = time.monotonic() + UPKEEP_SECONDS
            if not self.manager.store.is_current():
                self._logger.error('the cache folder is gone or another: starting anew')
                return False
            self.upkeep()
        return True

    def upkeep(self) -> None:
        """Do the work that need not be done for every record; log disk errors."""
        try:
            self.manager.upkeep()
            tpool.execute(self._spool.look)
            self._write_report()
            tpool.execute(fold, self.metrics.folder)
            if self._learned:
                self._learned.write_if_due()
        except OSError as error:
            self._logger.error('cache folder: %s', error)

    def report(self) -> dict:
        return cache_report(self.manager, backing_off=self.pace.is_stopped, **self._for_filter)

    def _write_report(self):
        try:
            write(self.manager.store.layout.report, self.report())
        except OSError as error:
            # only logged, since eviction deals with a full disk
            self._logger.error('cache folder: %s', error)

    def close(self) -> None:
        try:
            self.prefetcher.stop()
        except QueueError as error:
            self._logger.error('leases are left to run out: %s', error)
        if self._learned:
            self._learned.write()
        self.metrics.close()
        self.rebuilding.kill()
        self._listener.close()
        self._lock.close()


class SnapshotFile:
    """The learner's snapshot on disk: read at the start, written from time to time and at a stop.

    The prefetcher's process alone writes it, under another name, and renames it: a crash leaves the old file.
    A damaged file is set aside, and learning begins with the part of it that could be read.

    :param folder: the folder of the cache
    """

    def __init__(self, folder: Path, learner: Learner, logger,
                 clock: Callable[[], float] = time.monotonic):
        self._path = Path(folder) / FILE
        self._learner = learner
        self._logger = logger
        self._clock = clock
        self._written_at = clock()

    def read(self) -> None:
        try:
            contexts = self._learner.restore(read_own(self._path, os.lstat(self._path).st_size))
        except FileNotFoundError:
            return
        except DamagedSnapshot as error:
            self._logger.error('%s set aside as %s: %s', self._path, ASIDE, error)
            self._set_aside()
        except OSError as error:
            self._logger.error('%s cannot be read: %s', self._path, error)
        else:
            self._logger.info('what followed %d objects is known from before', contexts)

    def _set_aside(self):
        try:
            self._path.replace(self._path.with_name(ASIDE))
        except OSError as error:
            self._logger.error('%s cannot be renamed: %s', self._path, error)

    def write_if_due(self) -> None:
        """Do as `write`, at most once in ten minutes."""
        if self._clock() - self._written_at >= SNAPSHOT_SECONDS:
            self.write()

    def write(self) -> bool:
        """Write the snapshot, and tell whether it was written. Other green threads run between two parts of it."""
        self._written_at = self._clock()
        try:
            # under one fixed name, since one process writes it, and a crash may leave a large file
            write_whole(self._path, self._parts(), '.tmp', durable=True)
        except OSError as error:
            self._logger.error('%s cannot be written: %s', self._path, error)
            return False
        return True

    def _parts(self):
        for part in self._learner.snapshot():
            yield part
            sleep(0)
