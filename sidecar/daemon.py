"""The daemon: worker processes, their loops, and how they stop."""
import os
import signal
import sys
import time
from typing import NoReturn

from swift.common.concurrency import sleep, spawn, tpool
from swift.common.daemon import Daemon
from swift.common.utils import get_logger

from ..cache import Store, Unavailable
from ..eviction.evictor import CacheLimits, Tools
from ..eviction.manager import CacheManager
from ..eviction.spool_sweep import SpoolSweep
from ..metrics import Counters, Metrics, counters_folder
from ..metrics.totals import fold
from ..predict import Schedule, SequenceLearner
from ..queues import QueueError, SqliteQueue
from ..queues.wake import PREFETCH
from .listening import listen
from .memcached import token_ring, with_proxys_servers
from .mover import MoverPart
from .prefetcher.backend_client import BackendClient, FetchLimits
from .prefetcher.congestion import Congestion
from .prefetcher.consumer import Consumer, Parts
from .prefetcher.listings import Listings
from .prefetcher.snapshot_file import SnapshotFile
from .settings import read_settings
from .status.app import StatusServer
from .status.report import spool_size, write_report
from .swift_client import make_client

UPKEEP_SECONDS = 5.0
RETRY_SECONDS = 1.0
PARTS = ('prefetcher', 'mover', 'status')


class Sidecar(Daemon):
    """One worker process per part: the prefetcher, which fills, keeps and evicts; the mover; the status app."""

    WORKERS_HEALTHCHECK_INTERVAL = 1.0

    def __init__(self, conf):
        logger = get_logger(conf, log_route='sidecar')
        self.settings = with_proxys_servers(read_settings(conf['__file__']), logger)
        super().__init__({**conf, 'user': self.settings.user})
        self.logger = logger
        self._stopping = False

    def get_worker_args(self, once=False, **kwargs):
        parts = [part for part in PARTS if getattr(self.settings, part).enabled]
        return [] if once else [{'part': part} for part in parts]

    def run(self, once=False, **kwargs):
        # Swift's own handler exits at once, with records leased and fetches half done
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, self._stop)
        # names of what is read are nobody else's business, whatever the umask was
        os.umask(0o077)
        try:
            super().run(once=once, **kwargs)
        except KeyboardInterrupt:
            self._stopping = True

    def _stop(self, *_):
        self._stopping = True

    def run_once(self, **_):
        # the mover first: what it moved is dropped from the cache in the same pass
        if self.settings.mover.enabled:
            self._move_once()
        if self.settings.prefetcher.enabled:
            self._prefetch_once()

    def _move_once(self):
        try:
            MoverPart(self.settings, self.logger).once()
        except (QueueError, OSError) as error:
            self._end(f'queue cannot be read: {error}')

    def _prefetch_once(self):
        try:
            worker = Worker(self.settings, self.logger)
        except Unavailable as error:
            self._end(f'no cache folder: {error}')
        try:
            worker.finish_index()
            while worker.prefetcher.step() or worker.prefetcher.waiting_to_warm:
                worker.prefetcher.drain()
            worker.prefetcher.drain()
        except (QueueError, OSError) as error:
            self._end(f'queue or cache folder cannot be read: {error}')
        worker.upkeep()
        worker.close()

    def _end(self, why) -> NoReturn:
        """The pass cannot be made."""
        self.logger.error(why)
        sys.exit(why)

    def run_forever(self, part='', **_):
        """One part's whole life; without a part, the wait of a daemon that has none."""
        parent = os.getppid()

        def is_over():
            # a worker whose parent was killed has nobody who would stop it, or start another after it
            return self._stopping or os.getppid() != parent

        if part == 'prefetcher':
            self._prefetch(is_over)
        elif part == 'mover':
            MoverPart(self.settings, self.logger).run(is_over)
        elif part == 'status':
            StatusServer(self.settings, self.logger, is_over).run()
        else:
            self.logger.info('no part is enabled')
            while not self._stopping:
                sleep(RETRY_SECONDS)
            return
        self.logger.info('%s stopped', part)

    def _prefetch(self, is_over):
        worker = self._worker()
        while worker is not None and not is_over() and worker.turn():
            pass
        if worker is not None:
            worker.close()

    def _worker(self):
        """A worker as soon as there can be one; made after the fork. None when stopped before."""
        said = ''
        while not self._stopping:
            try:
                return Worker(self.settings, self.logger)
            except Unavailable as error:
                if str(error) != said:
                    self.logger.error('no cache folder, tried again each second: %s', error)
                said = str(error)
                sleep(RETRY_SECONDS)
        return None


class Worker:
    """The prefetcher's process: what it has open, and one turn of its loop."""

    def __init__(self, settings, logger):
        own, prefetcher = settings.sidecar, settings.prefetcher
        self._settings = settings
        self._logger = logger
        self._upkeep_at = 0.0
        self._failing = False
        queue = SqliteQueue(own.queue, logger=logger)
        store = Store.create(own.cache_dir, queue.path.name)
        self._lock = store.lock()
        self.metrics = Metrics(Counters(counters_folder(queue.path)), logger, tpool.execute)
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
        learner = SequenceLearner(
            prefetcher.threshold, prefetcher.window, prefetcher.look_ahead, prefetcher.max_contexts,
            names if prefetcher.neighbours else None) if prefetcher.learn else None
        self._learned = SnapshotFile(store.layout.objects.parent, learner, logger) if learner else None
        parts = Parts(queue, self.manager, fetcher, learner, Schedule(prefetcher.queue_limit), self.pace, count,
                      look_ahead=prefetcher.look_ahead)
        self.prefetcher = Consumer(parts, prefetcher.concurrency, logger)
        if self._learned:
            self._learned.read()
        # reads are learned from, and entries forgotten, from the first moment on
        self.rebuilding = spawn(self.manager.rebuild)
        self._listener = listen(queue.path, PREFETCH, logger)

    def finish_index(self) -> None:
        """Know all that is in the folder before anything else is done. :raises OSError: where it cannot be read"""
        self.rebuilding.kill()
        self.manager.load()

    def turn(self) -> bool:
        """Wait for a wake-up or for what is due, then do it.

        False where the cache folder is another by now: the daemon then starts a worker anew.
        """
        wait = self.prefetcher.seconds_to_next(self._settings.prefetcher.poll_interval)
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
        self.metrics.flush()
        if time.monotonic() >= self._upkeep_at:
            self._upkeep_at = time.monotonic() + UPKEEP_SECONDS
            if not self.manager.store.is_current():
                self._logger.error('the cache folder is gone or another: starting anew')
                return False
            self.upkeep()
        return True

    def upkeep(self) -> None:
        """What need not be done for every record."""
        try:
            self.manager.upkeep()
            tpool.execute(self._spool.look)
            write_report(self.manager, backing_off=self.pace.is_stopped)
            tpool.execute(fold, self.metrics.counters.folder)
            if self._learned:
                self._learned.write_if_due()
        except OSError as error:
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

