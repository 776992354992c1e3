"""Consuming the queue: learn from reads, fetch ahead, admit what was captured, warm and forget."""
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from swift.common.concurrency import GreenPool, Timeout, spawn_n, tpool

from ..conf.naming import ObjectName
from ..predict import Learner, Prediction, Read, Schedule
from ..queues import Access, Fill, Forget, Leased, QueueError, SqliteQueue, Warm
from .fetcher import Fetcher, NotFetched
from .keeper import Keeper
from .turns import QueueInTurns
from .warmer import Warmer

BATCH = 1000
LEASE_SECONDS = 60.0
# what is older was queued while nobody consumed: still worth learning from, too late to act upon
STALE_SECONDS = 30.0
# containers that are warmed at the same time; others wait their turn in the queue
WARM_AT_A_TIME = 2
WARM_TRIES = 5
POSTPONE_SECONDS = 5.0


@dataclass(frozen=True)
class Parts:
    """What a prefetcher works with."""
    queue: SqliteQueue
    keeper: Keeper
    fetcher: Fetcher
    learner: Learner | None
    schedule: Schedule


class Prefetcher:
    """One process's work on prefetch records. `step()` is one turn; the daemon has the loop.

    :param concurrency: fetches at the same time
    """

    def __init__(self, parts: Parts, concurrency: int, logger, clock: Callable[[], float] = time.time):
        self._queue = QueueInTurns(parts.queue)
        self._keeper = parts.keeper
        self._fetcher = parts.fetcher
        self._learner = parts.learner
        self._schedule = parts.schedule
        self._logger = logger
        self._clock = clock
        self._pool = GreenPool(concurrency)
        self._fetching: set[ObjectName] = set()
        self._warmer = Warmer(parts.fetcher, parts.keeper, self._fetch_into, max(1, concurrency // 2))
        self._warming: dict[int, Leased] = {}
        self._warm_pool = GreenPool(WARM_AT_A_TIME)
        self._warm_failures: Counter = Counter()
        self._postponed: list[int] = []
        self.waiting_to_warm = 0
        self.counts: Counter = Counter()

    # one turn

    def step(self) -> int:
        """Take a batch of records, handle it, begin what is due. Tells how many records there were.

        :raises QueueError: where the queue cannot be read; nothing is lost by that
        """
        batch = self._queue.lease(BATCH, LEASE_SECONDS)
        handled = [leased.id for leased in batch if self._handle(leased)]
        self.begin_due()
        if handled:
            self._queue.done(handled)
        self.waiting_to_warm = len(self._postponed)
        if self._postponed:
            postponed, self._postponed = self._postponed, []
            self._queue.retry(postponed, self._clock() + POSTPONE_SECONDS)
        return len(batch)

    def _handle(self, leased: Leased) -> bool:
        """Tells whether the record is done with; a Warm is not until all is fetched."""
        record = leased.record
        self.counts[type(record).__name__.lower()] += 1
        try:
            match record:
                case Access():
                    self._learn(record)
                case Fill():
                    self._admit(record.spool_name)
                case Forget():
                    self.counts['forgotten'] += self._keeper.forget(record)
                case Warm():
                    return self._warm(leased)
        except OSError as error:
            self._logger.error('record %s (%s) dropped: %s', leased.id, type(record).__name__, error)
            self.counts['failed'] += 1
        except Exception as error:  # noqa: BLE001 - one record must not come back for ever and stop the others
            self._logger.exception('record %s (%s) cannot be handled', leased.id, type(record).__name__)
            self.counts['failed'] += 1
            self._queue.dead([leased.id], repr(error))
        return True

    def seconds_to_next(self, most: float) -> float:
        """How long there is nothing to begin; at most `most`."""
        start_at = self._schedule.next_start()
        if start_at is None or not self._pool.free():
            return most
        return min(max(start_at - self._clock(), 0.0), most)

    # reads

    def _learn(self, record: Access):
        name = ObjectName(record.account, record.container, record.object)
        if record.outcome != 'miss':
            self._keeper.index.touch(self._keeper.store.naming.entry(name))
        if record.outcome == 'prefetched':
            self.counts['prefetched_used'] += 1
        if self._learner is None:
            return
        read = Read(record.account, record.client, (record.container, record.object), record.at)
        self._schedule.cancel(read.account, read.key)
        predictions = self._learner.observe(read)
        if self._clock() - record.at <= STALE_SECONDS:
            for prediction in predictions:
                if not self._is_here(_name(prediction)):
                    self._schedule.add(prediction)

    def _is_here(self, name):
        return name in self._fetching or self._keeper.store.naming.entry(name) in self._keeper.index

    def begin_due(self) -> None:
        """Begin the fetches whose time has come, as far as the pool has places."""
        for prediction in self._schedule.due(self._clock(), self._pool.free()):
            name = _name(prediction)
            if not self._is_here(name):
                self._fetching.add(name)
                self._pool.spawn_n(self._prefetch, name)

    def _prefetch(self, name):
        began_at = self._clock()
        try:
            if self._fetch_into(name, 'prefetch'):
                self.counts['prefetched'] += 1
                self._schedule.fetched(self._clock() - began_at)
        finally:
            self._fetching.discard(name)
            # when this one's place in the pool is free
            spawn_n(self.begin_due)

    def _fetch_into(self, name: ObjectName, origin: str) -> bool:
        """Fetch and admit; what goes wrong is logged and counted here."""
        if not self._keeper.keep_free():
            self.counts['no_room'] += 1
            return False
        try:
            spool_name, length = self._fetcher.fetch(name, origin)
        except NotFetched as error:
            self.counts['not_fetched'] += 1
            self._logger.debug('%s not fetched: %s', name.path, error)
            return False
        except (Exception, Timeout) as error:  # noqa: BLE001 - whatever one object meets, the others go on
            self.counts['failed'] += 1
            self._logger.warning('%s not fetched: %r', name.path, error)
            return False
        self.counts['fetched_bytes'] += length
        return self._admit(spool_name)

    def _admit(self, spool_name):
        admitted = self._keeper.admit(spool_name, tpool.execute)
        self.counts['admitted' if admitted else 'refused'] += 1
        return admitted

    # warming

    def _warm(self, leased):
        # a long warming outlives its lease: it comes again, and is under way already
        if leased.id not in self._warming:
            if len(self._warming) < WARM_AT_A_TIME:
                self._warming[leased.id] = leased
                self._warm_pool.spawn_n(self._run_warm, leased)
            else:
                self._postponed.append(leased.id)
        return False

    def _run_warm(self, leased):
        try:
            fetched = self._warmer.run(leased.record)
            self.counts['warmed'] += fetched
            self._logger.info('warmed %s/%s: %d objects', leased.record.account, leased.record.container,
                              fetched)
            self._queue.done([leased.id])
            self._warm_failures.pop(leased.id, None)
        except (Exception, Timeout) as error:  # noqa: BLE001 - one container's failure is not the daemon's
            self._warm_failed(leased, error)
        finally:
            self._warming.pop(leased.id, None)

    def _warm_failed(self, leased, error):
        self.counts['failed'] += 1
        self._logger.error('warming %s/%s: %r', leased.record.account, leased.record.container, error)
        self._warm_failures[leased.id] += 1
        if self._warm_failures[leased.id] >= WARM_TRIES:
            del self._warm_failures[leased.id]
            try:
                self._queue.dead([leased.id], repr(error))
            except QueueError as late:
                self._logger.error('record %s stays in the queue: %s', leased.id, late)

    # the end

    def drain(self) -> None:
        """Wait until what was begun is done: fetches, and what became due meanwhile, and all warming."""
        self._warm_pool.waitall()
        while self._pool.running():
            self._pool.waitall()
            self.begin_due()

    def stop(self) -> None:
        """Put back what is leased and not done."""
        if self._warming:
            self._queue.retry(list(self._warming), self._clock())
        self._queue.close()


def _name(prediction: Prediction) -> ObjectName:
    return ObjectName(prediction.account, *prediction.key)
