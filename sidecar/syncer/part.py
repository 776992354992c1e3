"""The syncer's process: passes over the containers of this node, with fair turns among them.

Each pass takes the containers with the newest lag first, and gives each a short turn after the other, so that a
large container holds up no small one. A container has at most `container_time` in one pass.
"""
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import random

from swift.common.concurrency import Timeout
from swift.common.utils import EventletRateLimiter, get_logger

from ..pacing import LOOK_SECONDS, paced, pause
from ..settings import SECTION, SidecarSettings
from .books import Books, oldest
from .client import source_client
from .ledger import SyncProgress
from .remote import Limits, Remote, RemoteFailed
from .row import Sender
from .source import Containers, NotSynced, SourceObjects, SyncedContainer
from .turn import FAILURES_IN_A_ROW, Tally, Turn, TurnTerms
from .upstream import running_on

# part of the names in statsd; upstream's daemon has it too
LOG_NAME = 'container-sync'
SLICE_SECONDS = 5.0


@dataclass
class Waiting:
    """A container that waits for its next turn in this pass.

    :param database: path of its database
    :param seconds: what is left of its time
    :param second_look_to: its first sync point when the pass began: what is newer is left to the other nodes until
        the next pass. None: it had no turn yet
    """
    database: str
    seconds: float
    second_look_to: int | None = None


class SyncerPart:
    """To be made after the fork.

    :param logger: one of Swift's
    :param clock: tells when a failed row is due
    """

    def __init__(self, settings: SidecarSettings, logger, clock: Callable[[], float] = time.time):
        own = self._settings = settings.syncer
        self._clock = clock
        conf = dict(settings.client.parser.items(SECTION))
        self._logger = get_logger(conf, log_route=LOG_NAME, statsd_tail_prefix=LOG_NAME)
        swift_dir = settings.sidecar.swift_dir
        self._containers = Containers(own, swift_dir, self._logger)
        self._books = Books(own.devices, self._logger, own.dry_run)
        self._remote = Remote(Limits.of(own), self._logger)
        self._sender = Sender(SourceObjects(source_client(settings)), self._remote,
                              partial(paced, EventletRateLimiter(own.bytes_per_second)),
                              self._told if own.dry_run else None)
        # containers and their destinations that are not the same
        self._known_others: set[tuple[str, str]] = set()
        self._terms = TurnTerms(own.sync_row_concurrency, own.interval, own.dry_run)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Make passes until it is over. Finish the rows under way then, if that takes no more than moments."""
        # nodes that are started together are not to come all at once
        pause(random() * self._settings.interval, is_over)  # nosec B311
        while not is_over():
            ends = time.monotonic() + self._settings.interval
            self._pass(is_over)
            pause(ends - time.monotonic(), is_over)
        self._close()

    def once(self, is_over: Callable[[], bool]) -> None:
        self._pass(is_over)
        self._books.tell_stats()
        self._close()

    def report(self) -> dict:
        return {'pid': os.getpid(), 'at': time.time(), **self._books.totals}

    def _close(self):
        self._remote.close()
        self._books.close()

    # passes

    def _pass(self, is_over):
        if pid := running_on(self._settings.devices):
            self._books.say('', f'swift-container-sync, pid {pid}, works on {self._settings.devices}: stop it, or '
                                'set enabled = off in [syncer]; both would send the same rows')
            return
        self._books.say('', '')
        waiting = deque(Waiting(path, self._settings.container_time) for path in self._with_work(is_over))
        while waiting and not is_over():
            one = waiting.popleft()
            tally = self._turn(one, is_over)
            if tally and tally.has_more and one.seconds > 0 and tally.failed < FAILURES_IN_A_ROW:
                waiting.append(one)
            self._books.tell_stats_if_due()

    def _with_work(self, is_over) -> list[str]:
        """Give the databases that have rows to send, those first whose oldest one is the newest."""
        found: list[tuple[float, str]] = []
        self._books.begin_pass()
        for path in self._containers:
            if is_over():
                return []
            container = self._opened(path)
            at = self._oldest(container) if container else None
            if at is not None:
                found.append((at, path))
        self._books.all_met()
        return [path for _, path in sorted(found, reverse=True)]

    def _opened(self, path) -> SyncedContainer | None:
        try:
            container = self._containers.open(path)
        except NotSynced as error:
            self._not_synced(path, error)
        except (Exception, Timeout) as error:  # noqa: BLE001 - one container must not keep the others waiting
            self._not_synced(path, NotSynced(repr(error), 'see the log'))
        else:
            if container:
                self._books.meet(container.device, container.path)
            return container
        return None

    def _not_synced(self, path, error):
        self._books.not_synced(path, self._containers.device(path), error)

    def _oldest(self, container) -> float | None:
        """Give the time of the oldest row that is to be sent; None where there is none."""
        progress = self._books.progress(container)
        if progress is None:
            return None
        now = self._clock()
        is_due = any(failure.due <= now for failure in progress.failed.values())
        # a turn without rows tells that a container is in step that could not be synced before
        if not is_due and progress.seen >= container.max_row() and progress.figures.is_synced:
            return None
        return oldest(container, progress) or now

    # turns

    def _turn(self, one: Waiting, is_over) -> Tally | None:
        container = self._opened(one.database)
        progress = self._books.progress(container) if container else None
        if not container or not progress:
            return None
        is_first = one.second_look_to is None
        if one.second_look_to is None:
            one.second_look_to = container.point1
        # a dry run begins anew with each turn
        seconds = one.seconds if self._terms.dry_run else min(SLICE_SECONDS, one.seconds)
        try:
            self._refuse_itself(container)
            tally = self._sent(container, progress, seconds, one.second_look_to, is_over)
        except NotSynced as error:
            self._not_synced(one.database, error)
            return None
        except (Exception, Timeout) as error:  # noqa: BLE001 - as above: a database may vanish in the middle
            self._not_synced(one.database, NotSynced(f'its turn ended early: {error!r}', 'it is tried again'))
            return None
        if is_first:
            self._books.add('syncs')
        one.seconds -= max(tally.seconds, LOOK_SECONDS)
        return tally

    def _sent(self, container: SyncedContainer, progress: SyncProgress, seconds, second_look_to, is_over) -> Tally:
        begin = time.time()
        turn = Turn(container, progress, self._sender, self._terms,
                    lambda progress: self._books.keep(container, progress), self._books.count_row, self._logger,
                    self._clock)
        tally = turn.run(seconds, is_over, second_look_to)
        self._books.enter(container, progress, tally, begin)
        return tally

    def _refuse_itself(self, container: SyncedContainer):
        """Refuse a container that is its own destination.

        Clusters do not know their own names here: a container of the same name is the same one if it was made at
        the same moment.
        """
        own = container.path, container.sync_to
        if own in self._known_others or container.destination.path(None) != f'/v1/{container.path}':
            return
        try:
            created = self._remote.created(container.destination)
        except RemoteFailed:
            # its rows meet the same trouble, and tell it
            return
        if created == container.created:
            error = NotSynced('its X-Container-Sync-To is the container itself',
                              'name the container of the other cluster')
            error.named = container.account, container.name, container.sync_to
            raise error
        self._known_others.add(own)

    def _told(self, method, container, name):
        self._logger.info('dry run: %s %s to %s', method, f'{container.account}/{container.name}/{name}',
                          container.sync_to)
