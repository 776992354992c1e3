"""The mover's process: takes from both queues, and has many moves under way at once.

Who writes the local queue's Misplaced records: the filter and the operator's command. Who leases them: processes
of this kind, however many; a lease that runs out is another's to take, and a move that is made twice does no
harm. What holds after a crash: a record goes only when its object is where it belongs.
"""
import random
import time
from collections.abc import Iterable, Iterator

from swift.common.concurrency import GreenPool, Semaphore, sleep, spawn, tpool
from swift.common.internal_client import InternalClient
from swift.common.utils import EventletRateLimiter
from swift.common.wsgi import loadapp

from ...cache import Token, TokenRing, TokensUnreachable
from ...conf.memcache import memcache_conf
from ...queues import Counters, Forget, Leased, Metrics, Misplaced, QueueError, SqliteQueue, counters_folder
from ..settings import SidecarSettings, client_config
from .move import Mover, Terms
from .places import Places
from .swiftqueue import Part, Row, SwiftQueue
from .task import Outcome, Task

AGENT = 'swiftahead-mover'
KINDS = ('Misplaced',)
# renewed while a move is under way: who was killed does not keep others from it for long
LEASE_SECONDS, RENEW_SECONDS = 30.0, 10.0
POLL_SECONDS = 0.25
LONGEST_WAIT = 3600.0
# what one look at the queue takes at most
BATCH = 100


class MoverPart:
    """To be made after the fork. :param logger: one of Swift's"""

    def __init__(self, settings: SidecarSettings, logger):
        own = settings.mover
        self._settings = own
        self._logger = logger
        self._queue = SqliteQueue(settings.sidecar.queue, logger=logger)
        # it is one thread's at a time
        self._turn = Semaphore()
        self.metrics = Metrics(Counters(counters_folder(self._queue.path)), logger, tpool.execute)
        self._tokens = TokenRing(memcache_conf({**settings.memcache, 'swift_dir': settings.sidecar.swift_dir}),
                                 logger)
        app = loadapp(client_config(settings), {'log_name': f'{AGENT}-ic'}, allow_modify_pipeline=False)
        swift = InternalClient(None, AGENT, own.request_tries, use_replication_network=True, app=app)
        places = Places(swift.container_ring, settings.sidecar.swift_dir, own.ring_check_interval)
        terms = Terms(own.reclaim_age, own.dry_run, self._paced)
        self._mover = Mover(swift, places, logger, terms, self._moved)
        self._rows = SwiftQueue(swift, logger, own.reclaim_age, Part(own.process, own.processes), self._backoff)
        self._rate = EventletRateLimiter(own.bytes_per_second)
        self._pool = GreenPool(own.concurrency)
        # a record of the local queue waits for no row of Swift's
        self._row_pool = GreenPool(own.concurrency)
        self._under_way: set[int] = set()
        self._renewing = spawn(self._renew)

    # the loop

    def run(self, is_over) -> None:
        """Until it is over; what is under way is finished then."""
        pass_at = 0.0
        passing = GreenPool(1)
        while not is_over():
            if self._settings.swift_queue and not passing.running() and time.monotonic() >= pass_at:
                pass_at = time.monotonic() + self._settings.interval
                passing.spawn_n(self._pass)
            if not self._take():
                sleep(POLL_SECONDS)
            self.metrics.flush()
        self.close()

    def once(self) -> None:
        """One whole pass over both queues. :raises QueueError:"""
        if self._settings.swift_queue:
            self._pass()
        while self._take(raising=True):
            pass
        self.close()

    def close(self) -> None:
        self._pool.waitall()
        self._row_pool.waitall()
        self._renewing.kill()
        self.metrics.close()
        self._tokens.close()
        self._queue.close()

    def _take(self, raising=False) -> int:
        """Lease and begin as many as there is place for; tells how many."""
        most = min(self._pool.free(), BATCH)
        if not most:
            # one of them ends first
            sleep(POLL_SECONDS / 10)
            return 1
        try:
            found = self._call(self._queue.lease, most, LEASE_SECONDS, KINDS)
        except QueueError as error:
            if raising:
                raise
            self._logger.error('misplaced records cannot be read: %s', error)
            return 0
        # the newest first: what was seen just now is likely to be read again
        for leased in sorted(found, key=_seen_at, reverse=True):
            self._under_way.add(leased.id)
            self._pool.spawn_n(self._handle, leased)
        return len(found)

    def _renew(self):
        while True:
            sleep(RENEW_SECONDS)
            if self._under_way:
                self._finish(self._queue.retry, list(self._under_way), time.time() + LEASE_SECONDS)

    def _handle(self, leased: Leased):
        try:
            self._handle_leased(leased)
        finally:
            self._under_way.discard(leased.id)

    def _handle_leased(self, leased):
        try:
            task = Task.of(leased.record)
        except ValueError as error:
            self._finish(self._queue.dead, [leased.id], str(error))
            return
        outcome = self._move(task)
        # not to be renewed any more, whatever becomes of it now
        self._under_way.discard(leased.id)
        if outcome.is_lost:
            self._finish(self._queue.dead, [leased.id], 'lost_source: it is in no policy any more')
        elif outcome.is_done:
            self._finish(self._queue.done, [leased.id])
        else:
            self._finish(self._queue.retry, [leased.id], time.time() + self._backoff(leased.tries))

    def _call(self, call, *args):
        with self._turn:
            return tpool.execute(call, *args)

    def _finish(self, call, *args):
        try:
            self._call(call, *args)
        except QueueError as error:
            # its lease runs out, and it is moved again, which finds it moved
            self._logger.error('a misplaced record is handled, and stays in the queue: %s', error)

    def _pass(self):
        """One pass over Swift's queue."""
        try:
            for row in self._rows.rows():
                self._row_pool.spawn_n(self._handle_row, row)
        except Exception:
            self._logger.exception('the pass over .misplaced_objects ends early')
        self._row_pool.waitall()

    def _handle_row(self, row: Row):
        outcome = self._move(row.task)
        if outcome.is_done or outcome.is_lost:
            self._rows.pop(row)
        else:
            self._rows.retry(row)

    def _move(self, task) -> Outcome:
        outcome = self._mover.move(task)
        self.metrics.count('moves', reason=outcome.what.replace('_', '-'))
        return outcome

    def _backoff(self, tries: int) -> float:
        """Seconds, somewhat apart for those that failed together."""
        wait = min(self._settings.retry_backoff * 2 ** min(tries, 20), LONGEST_WAIT)
        return wait * random.uniform(0.8, 1.2)

    def _paced(self, body: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in body:
            self._rate.wait(incr_by=len(chunk))
            yield chunk

    def _moved(self, task: Task):
        """Proxies that hold it must ask again, and this node's entry has another policy."""
        try:
            self._tokens.set(task.name, Token.new())
        except TokensUnreachable:
            self.metrics.count('move_tokens_unreachable')
        try:
            self._call(self._queue.put, [Forget(task.account, task.container, object=task.object, at=time.time())])
        except QueueError as error:
            self._logger.error('entry of %s not dropped: %s', task.name.quoted, error)


def _seen_at(leased: Leased) -> float:
    return leased.record.at if isinstance(leased.record, Misplaced) else 0.0
