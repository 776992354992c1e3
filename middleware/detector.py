"""Detect objects that lie in another policy than their container's, when a read of them is answered 404.

After the 404 a green thread asks the other policies. The client waits for it only where `serve_misplaced` is on.
A copy that may be brought home becomes a Misplaced record. The detector writes it through the recorder; the
sidecar's mover reads it. A sighting that is lost before its record is in the queue costs nothing: the next read
sees the object again.
"""
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cachetools import TTLCache
from swift.common.concurrency import Event, Timeout, spawn_n
from swift.common.storage_policy import POLICIES
from swift.common.utils import EventletRateLimiter, close_if_possible

from ..conf.names import ObjectName
from ..misplaced.search import Finding, Search
from ..misplaced.servers import Judge, StorageServers
from ..queues import Misplaced, QueueError
from .subrequests import head_in_policy

if TYPE_CHECKING:
    from .exchange import Exchange
    from .runtime import Runtime

# the most names whose outcome is remembered
REMEMBERED = 10_000
# seconds for which it is remembered
REMEMBERED_SECONDS = 300.0
# searches at the same time in one process: where the backend is slow, others wait for the next read
RUNNING = 4
# seconds that a client waits for a search, where it does, before it gets Swift's 404 all the same
SERVE_SECONDS = 5.0
POLICY_KEY = 'HTTP_X_BACKEND_STORAGE_POLICY_INDEX'
# outcomes besides the outcomes of `Finding`, and the outcomes after which no copy may be shown
ASKING = 'asking'
RECORDED = 'recorded'
IN_VAIN = ('nothing', 'old', 'deleted', 'settled')


class Detector:
    """The detector of one process."""

    def __init__(self, runtime: 'Runtime', timer: Callable[[], float] = time.monotonic):
        settings = runtime.settings
        self.serves = settings.serve_misplaced
        self.running = 0
        self._runtime = runtime
        self._logger = runtime.logger
        self._timer = timer
        self._limiter = _limiter(settings.detect_rate)
        self._known: TTLCache[ObjectName, str] = TTLCache(REMEMBERED, REMEMBERED_SECONDS, timer)

    def sight(self, app, env: dict, name: ObjectName, policy_index: int) -> None:
        """Search the name after the answer: an authorised read of it was answered 404."""
        try:
            if name not in self._known:
                self._begin(app, env, name, policy_index, records=True)
        except Exception:  # noqa: BLE001 - the client has its answer
            self._logger.exception('misplaced copies of %s not looked for', name.quoted)

    def servable(self, app, env: dict, name: ObjectName, policy_index: int, records: bool) -> int | None:
        """Tell the policy whose copy the client may be shown now; None: the client gets Swift's 404.

        :param records: whether a copy that is found is recorded, too
        """
        try:
            if self._known.get(name) in IN_VAIN:
                return None
            found = self._begin(app, env, name, policy_index, records)
            with Timeout(SERVE_SECONDS, False):
                return found and found.wait().servable
        except Exception:  # noqa: BLE001 - the client gets Swift's answer
            self._logger.exception('misplaced copies of %s not looked for', name.quoted)
        return None

    def written(self, name: ObjectName) -> None:
        """Forget the name's outcome: clients that look before a PUT often read after it."""
        self._known.pop(name, None)

    def _begin(self, app, env, name, policy_index, records) -> Event | None:
        """Begin a search; its Finding comes with the event. None where none begins now."""
        if len(POLICIES) < 2:
            return None
        if self.running >= RUNNING or not self._is_allowed():
            self._runtime.count('detections', reason='limited')
            return None
        self.running += 1
        self._known.setdefault(name, ASKING)
        found = Event()
        judge = Judge(StorageServers.of_proxy(app), self._runtime.settings.reclaim_age, self._runtime.clock)
        search = Search(judge, partial(head_in_policy, app, env))
        spawn_n(self._search, partial(search.find, name, policy_index), name, records, found,
                self._logger.thread_locals)
        return found

    def _is_allowed(self) -> bool:
        # the limiter itself takes 0 for no limit
        return bool(self._limiter.max_rate) and self._limiter.is_allowed(now=self._timer())

    def _search(self, find, name, records, found, thread_locals):
        """Search, and remember the outcome. Runs in a green thread of its own and raises nothing."""
        # Swift's loggers share these: proxy-server's log lines keep the transaction id
        self._logger.thread_locals = thread_locals
        finding = Finding('fault')
        try:
            finding = find()
            found.send(finding)
            if finding.copies:
                outcome = self._recorded(name, finding.copies) if records else 'unrecorded'
                finding = replace(finding, outcome=outcome)
        except BaseException:  # noqa: BLE001 - timeouts of eventlet and Swift are no Exceptions
            finding = Finding('fault')
            self._logger.exception('misplaced copies of %s not looked for', name.quoted)
        finally:
            self.running -= 1
            self._remember(name, finding)
            if not found.ready():
                found.send(finding)

    def _remember(self, name, finding):
        outcome = finding.outcome
        log = self._logger.info if finding.copies else self._logger.debug
        log('%s was looked for in other policies: %s', name.quoted, outcome)
        self._runtime.count('detections', reason=outcome)
        if outcome in (*IN_VAIN, RECORDED):
            # an object that was recorded long ago is recorded again, however often it is shown meanwhile
            if self._known.get(name) != outcome:
                self._known[name] = outcome
        else:
            # the search had no outcome: the next read searches again
            self._known.pop(name, None)

    def _recorded(self, name: ObjectName, copies) -> str:
        """Record the copies; tell the outcome."""
        if self._known.get(name) == RECORDED:
            return RECORDED
        try:
            for copy in copies:
                self._runtime.recorder.put(Misplaced(*name.parts, copy.policy_index, copy.timestamp.internal,
                                                     at=self._runtime.clock()))
        except QueueError as error:
            self._logger.error('misplaced object %s not recorded: %s', name.quoted, error)
            return 'unrecorded'
        return RECORDED


def _limiter(per_second: float) -> EventletRateLimiter:
    """Limit searches to so many in a second, and as many at once after a pause; one at least."""
    buffer = max(1 - 1 / per_second, 0) if per_second else 0
    return EventletRateLimiter(per_second, rate_buffer=buffer, burst_after_idle=True)


def serve(exchange: 'Exchange', detector: Detector, start_response: Callable) -> Iterable[bytes]:
    """Give the app's answer to the exchange's request. Where that is 404 and a copy elsewhere may be shown, give
    the app's answer from there; the app authorises anew."""
    # a copy, since the app changes the one that it gets
    env = dict(exchange.env)
    begun: list = []
    body = exchange.app(exchange.env, partial(keep, begun))
    if begun[0].startswith('404'):
        index = detector.servable(exchange.app, env, exchange.name, exchange.policy_index,
                                  records=not exchange.client.no_prefetch)
        if index is not None:
            # the newest is the copy that was judged; a replica may have an older one
            body = show(exchange, {**env, POLICY_KEY: str(index), 'HTTP_X_NEWEST': 'true'}, begun, body)
    start_response(*begun)
    return body


def keep(begun: list, status_line: str, headers: list, exc_info=None) -> None:
    begun[:] = [status_line, headers, exc_info]


def show(exchange: 'Exchange', env: dict, begun: list, body: Iterable[bytes]) -> Iterable[bytes]:
    """Give the other policy's answer in place of the 404, unless that is a 404, too."""
    other: list = []
    shown = exchange.app(env, partial(keep, other))
    if other[0].startswith('404'):
        close_if_possible(shown)
        return body
    close_if_possible(body)
    begun[:] = other
    # proxy-logging looks for the policy there
    exchange.env[POLICY_KEY] = env[POLICY_KEY]
    exchange.is_misplaced = True
    exchange.runtime.count('misplaced_served')
    return shown
