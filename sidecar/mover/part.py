"""The mover's process: work off both queues, with many moves under way at once, and report.

This process alone writes its report, `<queue>.mover.json`, whole or not at all. The status app and the operator's
command read it.
"""
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from swift.common.concurrency import GreenPool, Timeout, sleep, spawn, tpool
from swift.common.utils import EventletRateLimiter

from ...freshness import Token, TokensUnreachable
from ...metrics import Counters, counters_folder
from ...misplaced.servers import is_movable
from ...queues import QueueError, WakeListener, open_queue
from ...queues.wake import MISPLACED
from ..cluster import make_client, token_ring
from ..pacing import paced
from ..settings import SidecarSettings
from ..status.report import mover_report, write
from .local_queue import Backoff, LocalRecords
from .move import Mover, Outcome, Task, Terms, servers_of
from .reconciler_queue import ProcessShare, QueueRow, ReconcilerQueue

AGENT = 'swiftahead-mover'
# where no wake-up came, and for records that are due again
POLL_SECONDS = 1.0
REPORT_SECONDS = 5.0
STATS_SECONDS = 60.0
POP_SECONDS = 1.0


class MoverPart:
    """To be made after the fork. :param logger: one of Swift's"""

    def __init__(self, settings: SidecarSettings, logger):
        own = settings.mover
        self._settings = own
        self._logger = logger
        queue = open_queue(settings.sidecar.queue, logger=logger)
        self._path = queue.path
        self.metrics = Counters(counters_folder(queue.path), logger, tpool.execute)
        self._tokens = token_ring(settings, logger)
        swift = make_client(settings, AGENT, own.request_tries, use_replication_network=True)
        swift_dir = settings.sidecar.swift_dir
        movable = partial(is_movable, swift_dir=swift_dir, ring_check_interval=own.ring_check_interval)
        rate = EventletRateLimiter(own.bytes_per_second)
        terms = Terms(own.reclaim_age, own.dry_run, partial(paced, rate))
        self._mover = Mover(swift, servers_of(swift, swift_dir), movable, logger, terms, self._moved)
        backoff = Backoff(own.retry_backoff)
        share = ProcessShare(own.process, own.processes)
        self._rows = ReconcilerQueue(swift, logger, own.reclaim_age, share, backoff,
                                     on_invalid=lambda: self._met('invalid_record'))
        self._takes_rows = own.swift_queue in ('take', 'both')
        handle = self._hand_over if own.swift_queue in ('give', 'both') else self._move
        self._local = LocalRecords(queue, handle, own.concurrency, backoff, logger)
        # a record of the local queue waits for no row of Swift's
        self._row_pool = GreenPool(own.concurrency)
        self._rows_under_way: set[tuple[str, str]] = set()
        self._stats: Counter[str] = Counter()
        self._stats_at = time.monotonic() + STATS_SECONDS

    def run(self, is_over) -> None:
        """Work until it is over. Finish the moves under way then."""
        listener = WakeListener(self._path, MISPLACED, self._logger)
        loops = [self._tell_often] + ([self._pass_often, self._pop_often] if self._takes_rows else [])
        others = [spawn(loop) for loop in loops]
        failing = ''
        while not is_over():
            try:
                found, error = self._local.take(), ''
            except QueueError as caught:
                found, error = 0, str(caught)
                if error != failing:
                    self._logger.error('misplaced records cannot be read, tried again: %s', error)
            failing = error
            if not found:
                listener.wait(POLL_SECONDS)
        listener.close()
        for other in others:
            other.kill()
        self.close()

    def once(self, is_over: Callable[[], bool]) -> None:
        """Make one whole pass over both queues. :raises QueueError: where the local one cannot be read"""
        try:
            if self._takes_rows:
                self._pass(is_over)
            while not is_over() and self._local.take():
                pass
        finally:
            self.close()

    def close(self) -> None:
        self._row_pool.waitall()
        self._pop()
        self._local.finish()
        self._tell_stats()
        self.metrics.close()
        self._tokens.close()

    # Swift's queue

    def _pass_often(self):
        while True:
            ends = time.monotonic() + self._settings.interval
            # this loop is killed when it is over
            self._pass(lambda: False)
            sleep(max(ends - time.monotonic(), 0))

    def _pass(self, is_over):
        try:
            for row in self._rows.rows():
                if is_over():
                    break
                # the next pass does not wait for a slow row, and meets it again
                if row.key not in self._rows_under_way:
                    self._rows_under_way.add(row.key)
                    self._row_pool.spawn_n(self._handle_row, row)
        except (Exception, Timeout):
            self._logger.exception('the pass over .misplaced_objects ends early')

    def _handle_row(self, row: QueueRow):
        try:
            outcome = self._move(row.task)
            if outcome.is_done or outcome.is_lost:
                # under way until it is taken away
                self._rows.pop(row)
                return
            self._rows.retry(row)
        except (Exception, Timeout):
            self._logger.exception('row %s of %s stays', row.name, row.queue_container)
        self._rows_under_way.discard(row.key)

    def _pop(self):
        self._rows_under_way.difference_update(self._rows.flush())

    def _pop_often(self):
        while True:
            sleep(POP_SECONDS)
            self._pop()

    def _hand_over(self, task: Task) -> Outcome:
        """Put a local record's task into Swift's queue as a row."""
        try:
            is_done = self._rows.put(task)
        except (Exception, Timeout):
            self._logger.exception('%s not handed over', task.name.quoted)
            is_done = False
        self._met(what := 'handed_over' if is_done else 'hand_over_failed')
        return Outcome(is_done, what)

    # moves

    def _move(self, task: Task) -> Outcome:
        outcome = self._mover.move(task)
        self._met(outcome.what)
        return outcome

    def _met(self, what: str):
        self._stats[what] += 1
        self.metrics.count('moves', reason=what.replace('_', '-'))

    def _moved(self, task: Task):
        """Have proxies that hold the object validate it. Have this node's entry purged: it has another policy."""
        try:
            self._tokens.set(task.name, Token.new())
        except TokensUnreachable:
            self.metrics.count('move_tokens_unreachable')
        self._local.forget(task)

    # reports

    def _tell_often(self):
        while True:
            self.metrics.flush()
            self._report()
            if time.monotonic() >= self._stats_at:
                self._tell_stats()
            sleep(REPORT_SECONDS)

    def report(self) -> dict:
        under_way = self._local.under_way + len(self._rows_under_way)
        report = {'pid': os.getpid(), 'at': time.time(), 'under_way': under_way}
        if self._takes_rows and self._rows.seen is not None:
            report |= {'rows': self._rows.seen.rows, 'rows_age': self._rows.seen.age}
        return report

    def _report(self):
        try:
            tpool.execute(write, mover_report(self._path), self.report())
        except OSError as error:
            self._logger.error('report of the mover: %s', error)

    def _tell_stats(self):
        """Log the sums under upstream's names, at most once a minute, as its daemon does."""
        self._stats_at = time.monotonic() + STATS_SECONDS
        if self._stats:
            self._logger.info('Mover Stats: %s', json.dumps(dict(sorted(self._stats.items()))))
            self._stats.clear()
