"""The consumer of the queue: learns from reads, fetches ahead, admits captures, warms and purges.

After a crash this holds: a record is done when its work was done or refused. A record that was under way comes
again when its lease runs out, or at once where the process was stopped.

Until the cache's inventory is whole, reads are learned from and entries are purged, and nothing else: Admits and
Warms wait in the queue, fetches in the schedule. A Forget of that time is handled at once, and again in its turn
once the inventory is whole: an object that was captured before the Forget must not be admitted after it.
"""
import time
from collections.abc import Callable, Iterable

from swift.common.concurrency import Timeout

from ...conf.names import ObjectName
from ...eviction.manager import Stopped
from ...predict import Read
from ...queues import Access, Admit, Forget, Leased, QueueError, Warm
from ...queues.records import PREFETCH_KINDS
from ..async_queue import AsyncQueue
from .fetch_scheduler import Context, FetchScheduler
from .keyed_pool import KeyedPool
from .manifests import Manifests, Reading
from .warmer import Warmer, Warming

BATCH = 1000
LEASE_SECONDS = 60.0
# an older record was queued while no consumer ran: it is worth learning from, but too late to act upon
STALE_SECONDS = 30.0
POSTPONE_SECONDS = 5.0
# Admits and Forgets at the same time, and upper bound on the number that wait before no more are leased
LANES = 4
LANES_LIMIT = 4 * BATCH
# time for jobs under way to end, when the process is stopped
STOP_SECONDS = 2.0


class Consumer:
    """Handles the prefetch records of one process. `step()` is one turn; the daemon has the loop.

    :param concurrency: upper bound on the fetches at the same time
    """

    def __init__(self, context: Context, concurrency: int, logger, clock: Callable[[], float] = time.time):
        self._queue = AsyncQueue(context.queue)
        self._manager = context.manager
        self._learner = context.learner
        self._schedule = context.schedule
        self._count = context.count
        self._execute = context.execute
        self._logger = logger
        self._clock = clock
        self._lanes = KeyedPool(LANES, self._flush)
        self.fetches = FetchScheduler(context, self._lanes.__contains__, concurrency, logger, clock)
        self._manifests = Manifests(self.fetches.small, self._expect, lambda: context.schedule.lead, context.count,
                                    logger, context.look_ahead)
        warmer = Warmer(context.fetcher, context.manager, self.fetches.warm, max(1, concurrency // 2))
        self._warming = Warming(warmer, self._queue, context.count, logger)
        self._in_lanes: set[int] = set()
        # whether the inventory was whole when this turn began; ids of Forgets handled while it was not
        self._is_whole = False
        self._again: list[int] = []
        self._done: set[int] = set()
        self._dead: list[tuple[Leased, str]] = []
        self._has_more = False
        self._stopped = False
        self.waiting_to_warm = 0

    # one turn

    def step(self) -> int:
        """Take a batch of records, handle it, and begin due fetches. Tell how many records there were.

        Admits and Forgets only begin here; `drain` waits for them.

        :raises QueueError: where the queue cannot be read; nothing is lost by that
        """
        self._is_whole = self._manager.is_whole
        self._give_back()
        batch = self._queue.lease(BATCH, LEASE_SECONDS, self._kinds())
        self._has_more = len(batch) >= BATCH
        places = self._places(batch)
        for leased in batch:
            self._handle(leased, places)
        # last, since reads that share a row are done only when all of them were learned from
        self._done.update(leased.id for leased in batch if isinstance(leased.record, Access))
        self.fetches.begin_due()
        self._tell_queue()
        postponed = self._warming.postponed()
        self.waiting_to_warm = len(postponed)
        if postponed:
            self._queue.retry(postponed, self._clock() + POSTPONE_SECONDS)
        return len(batch)

    def _give_back(self):
        """Have Forgets leased again, in the order of the queue, once the inventory is whole."""
        if self._again and self._is_whole:
            again, self._again = self._again, []
            self._in_lanes.difference_update(again)
            self._queue.retry(again, self._clock())

    def _kinds(self):
        """Give the kinds of records that can be handled now."""
        has_place = len(self._lanes) < LANES_LIMIT
        if self._is_whole:
            return PREFETCH_KINDS if has_place else ('Access', 'Warm')
        return ('Access', 'Forget') if has_place else ('Access',)

    def _places(self, batch):
        """Give the entry names of a batch's Admits; an Admit whose name cannot be told is left out."""
        spooled = [leased for leased in batch if isinstance(leased.record, Admit)]
        if not spooled:
            return {}
        names = self._execute(lambda: [self._manager.store.spooled_entry(leased.record.spool_name)
                                       for leased in spooled])
        return {leased.id: name for leased, name in zip(spooled, names, strict=True) if name}

    def _handle(self, leased: Leased, places: dict[int, str]) -> None:
        record = leased.record
        # a record whose lease ran out while it waited comes again, and was counted
        if leased.id not in self._in_lanes:
            self._count('records', reason=type(record).__name__.lower())
        try:
            match record:
                case Access():
                    self._learn(record)
                case Admit():
                    self._begin(leased, places.get(leased.id, f'admit {leased.id}'), self._admit)
                case Forget():
                    self._begin(leased, self._place_of(record), self._forget, again=not self._is_whole)
                case Warm():
                    self._warming.begin(leased)
        except Exception as error:  # noqa: BLE001 - one record must not come back for ever and stop the others
            self._failed(leased, error)

    def _place_of(self, record):
        naming = self._manager.store.naming
        if record.object:
            return naming.entry(ObjectName(record.account, record.container, record.object))
        return naming.container(record.account, record.container)

    def _begin(self, leased, place, job, again=False):
        """Have a job run; jobs for the same object run in the order of their records.

        :param again: the record is to be handled once more, later
        """
        # a record whose lease ran out while it waited comes again, and is here already
        if leased.id not in self._in_lanes:
            self._in_lanes.add(leased.id)
            whole = isinstance(leased.record, Forget) and not leased.record.object
            add = self._lanes.add_after if whole else self._lanes.add
            add(place, lambda: self._run(leased, job, again))

    def _run(self, leased, job, again):
        try:
            job(leased.record)
        except Stopped:
            return
        except OSError as error:
            self._logger.error('record %s (%s) %s: %s', leased.id, type(leased.record).__name__,
                               'handled again later' if again else 'dropped', error)
            self._count('records_failed')
        except Exception as error:  # noqa: BLE001 - as in _handle
            self._failed(leased, error)
            self._in_lanes.discard(leased.id)
            return
        # also after an error: the loader tries an unreadable folder again, and so must a Forget
        if again:
            self._again.append(leased.id)
        else:
            self._done.add(leased.id)
            self._in_lanes.discard(leased.id)

    def _admit(self, record):
        self._manager.admit(record.spool_name)

    def _forget(self, record):
        self._manager.purge(record.account, record.container, record.prefix, record.object, record.identity)

    def _failed(self, leased, error):
        self._logger.exception('record %s (%s) cannot be handled', leased.id, type(leased.record).__name__)
        self._count('records_failed')
        self._dead.append((leased, repr(error)))

    def _tell_queue(self):
        """Tell the queue of records that are done or given up.

        :raises QueueError: then these records come again when their leases run out
        """
        done, self._done = self._done, set()
        dead, self._dead = self._dead, []
        # before its row is done and gone
        for leased, why in dead:
            self._queue.dead([leased], why)
        if done:
            self._queue.done(done)

    def _flush(self):
        """Tell the queue now, and not with the next turn, since no job is under way."""
        try:
            if not self._stopped:
                self._tell_queue()
        except QueueError as error:
            self._logger.error('records that are done come again: %s', error)

    def seconds_to_next(self, most: float) -> float:
        """Give the seconds until there is work to begin; at most `most`."""
        return 0.0 if self._has_more else self.fetches.seconds_to_next(most)

    # reads

    def _learn(self, record: Access):
        name = ObjectName(record.account, record.container, record.object)
        self.fetches.usefulness.read(record.account, (record.container, record.object), record.outcome != 'miss')
        if record.outcome == 'miss':
            if self.fetches.is_under_way(name):
                self._count('prefetched_late')
                self._schedule.late()
        elif fetched := self._manager.touch(self._manager.store.naming.entry(name)):
            self.fetches.used(record.account, fetched)
        if record.fetch:
            self.fetches.want(name, record.at, record.bytes)
        else:
            self._schedule.cancel(record.account, (record.container, record.object))
        if self._learner is not None:
            self._look_ahead(self._learner, record)

    def _look_ahead(self, learner, record):
        read = Read(record.account, record.client, (record.container, record.object), record.at, record.bytes)
        predictions = learner.observe(read)
        if self._clock() - record.at <= STALE_SECONDS:
            self.fetches.guess(predictions)
            self._manifests.observe(Reading(read, record.manifest, not record.cut))

    def _expect(self, predictions):
        """Begin due fetches at once: after a slow manifest, a fetch may be due between two turns."""
        if predictions:
            self.fetches.expect(predictions)
            self.fetches.begin_due()

    # the end

    def settle(self) -> None:
        """Wait until all Admits and Forgets that were begun are handled."""
        self._lanes.wait()

    def drain(self) -> None:
        """Wait until all records, warming and manifests are done, and all fetches, also those due meanwhile."""
        self.settle()
        self._warming.wait()
        self._manifests.wait()
        self.fetches.drain()

    def stop(self) -> None:
        """Begin nothing more, and put back the records that are leased and not done.

        :raises QueueError: then the records come again when their leases run out
        """
        self.fetches.stop()
        self._lanes.stop()
        with Timeout(STOP_SECONDS, False):
            self._lanes.wait()
        # from now on nothing is linked: the next lease of a record finds its spool file as it was
        self._manager.close()
        self._stopped = True
        try:
            self._tell_queue()
            self._put_back([*self._in_lanes, *self._warming])
        finally:
            self._queue.close()

    def _put_back(self, ids: Iterable[int]):
        ids = list(ids)
        if ids:
            self._queue.retry(ids, self._clock())
