"""Objects that lie in another policy than their container's: seen when someone asks for them in vain.

After a read was answered 404 the other policies are asked, in a green thread that the client does not wait for;
what is found, and may be brought home, becomes a Misplaced record. Who writes: this, through the recorder. Who
reads: the sidecar's mover. What is lost before a record is in the queue costs nothing: the next read sees it
again.
"""
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from cachetools import TTLCache
from swift.common.concurrency import Event, Timeout, spawn_n
from swift.common.storage_policy import POLICIES
from swift.common.utils import close_if_possible

from ..conf.names import ObjectName
from ..misplaced import servers
from ..misplaced.verdict import Copy
from ..queues import Misplaced, QueueError
from . import looking
from .looking import Question

# names of which it is remembered what came of asking
REMEMBERED = 10_000
# for how long
REMEMBERED_SECONDS = 300.0
# looks at the same time in one process: where the backend is slow, others wait for the next read
RUNNING = 4
# how long a client waits, where it does, before it gets Swift's 404 all the same
SERVE_SECONDS = 5.0
POLICY_KEY = 'HTTP_X_BACKEND_STORAGE_POLICY_INDEX'
# what is remembered of a name: the words of `conf.metrics`, but for the first
ASKING = 'asking'
RECORDED = 'recorded'
IN_VAIN = ('nothing', 'old', 'deleted', 'settled')


@dataclass(frozen=True)
class Finding:
    """
    :param outcome: as the counter `detections` has it
    :param copies: that may be brought home, newest first
    :param servable: the policy whose copy may be shown to who asked; None where none may
    """
    outcome: str
    copies: tuple[Copy, ...] = ()
    servable: int | None = None


class Rate:
    """So many in a second, and as many at once; one at least, unless there are to be none."""

    def __init__(self, per_second: float, timer: Callable[[], float]):
        self._per_second = per_second
        self._timer = timer
        self._most = max(per_second, 1.0) if per_second else 0.0
        self._left = self._most
        self._at = timer()

    def take(self) -> bool:
        now = self._timer()
        self._left = min(self._left + (now - self._at) * self._per_second, self._most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Detector:
    """One process's own.

    :param runtime: of the same process
    """

    def __init__(self, runtime, timer: Callable[[], float] = time.monotonic):
        settings = runtime.settings
        self.serves = settings.serve_misplaced
        self.running = 0
        self._runtime = runtime
        self._logger = runtime.logger
        self._rate = Rate(settings.detect_rate, timer)
        self._known: TTLCache[ObjectName, str] = TTLCache(REMEMBERED, REMEMBERED_SECONDS, timer)

    def sight(self, app, env: dict, name: ObjectName, policy_index: int) -> None:
        """A read of the name, which was authorised, was answered 404: have a look elsewhere after the answer."""
        try:
            if name not in self._known:
                self._begin(Question(app, env, name, policy_index), records=True)
        except Exception:  # noqa: BLE001 - the client has its answer
            self._logger.exception('misplaced copies of %s not looked for', name.quoted)

    def servable(self, app, env: dict, name: ObjectName, policy_index: int, records: bool) -> int | None:
        """The policy whose copy the client may be shown now; None: Swift's 404 it is.

        :param records: whether what is found is recorded, too
        """
        try:
            if self._known.get(name) in IN_VAIN:
                return None
            found = self._begin(Question(app, env, name, policy_index), records)
            with Timeout(SERVE_SECONDS, False):
                return found and found.wait().servable
        except Exception:  # noqa: BLE001 - the client gets Swift's answer
            self._logger.exception('misplaced copies of %s not looked for', name.quoted)
        return None

    def written(self, name: ObjectName) -> None:
        """What was written since may be found where it was not: who looks before a PUT often reads after it."""
        self._known.pop(name, None)

    def _begin(self, question: Question, records: bool) -> Event | None:
        """What is found, as soon as it is; None where nobody looks now."""
        if len(POLICIES) < 2:
            return None
        if self.running >= RUNNING or not self._rate.take():
            self._runtime.count('detections', reason='limited')
            return None
        self.running += 1
        self._known.setdefault(question.name, ASKING)
        found = Event()
        spawn_n(self._look, question, records, found, self._logger.thread_locals)
        return found

    def _look(self, question, records, found, thread_locals):
        """Runs in a green thread of its own and raises nothing."""
        # Swift's loggers share these: what proxy-server logs keeps its transaction id
        self._logger.thread_locals = thread_locals
        finding = Finding('fault')
        try:
            finding = self.find(question)
            found.send(finding)
            if finding.copies:
                outcome = self._recorded(question.name, finding.copies) if records else 'unrecorded'
                finding = replace(finding, outcome=outcome)
        except BaseException:  # noqa: BLE001 - timeouts of eventlet and Swift are no Exceptions
            finding = Finding('fault')
            self._logger.exception('misplaced copies of %s not looked for', question.name.quoted)
        finally:
            self.running -= 1
            self._remember(question.name, finding)
            if not found.ready():
                found.send(finding)

    def _remember(self, name, finding):
        outcome = finding.outcome
        log = self._logger.info if finding.copies else self._logger.debug
        log('%s was looked for in other policies: %s', name.quoted, outcome)
        self._runtime.count('detections', reason=outcome)
        if outcome in (*IN_VAIN, RECORDED):
            # what was recorded long ago is recorded again, however often it is shown meanwhile
            if self._known.get(name) != outcome:
                self._known[name] = outcome
        else:
            # nobody knows: the next read finds out
            self._known.pop(name, None)

    def _recorded(self, name, copies) -> str:
        """What came of having them recorded."""
        if self._known.get(name) == RECORDED:
            return RECORDED
        try:
            for copy in copies:
                self._runtime.recorder.put(Misplaced(
                    name.account, name.container, name.object, copy.policy_index, copy.timestamp.internal,
                    at=self._runtime.clock()))
        except QueueError as error:
            self._logger.error('misplaced object %s not recorded: %s', name.quoted, error)
            return 'unrecorded'
        return RECORDED

    def find(self, question: Question) -> Finding:
        """Ask the other policies; what they have is judged by what container and object servers say."""
        copies, known = looking.copies(question)
        if not copies:
            return Finding('nothing' if known else 'unknown')
        try:
            container = servers.container_facts(question.app, question.name.account, question.name.container)
        except servers.Unknown:
            container = None
        if container is None:
            return Finding('unknown')
        found = servers.judge(question, copies, container, self._runtime.settings.reclaim_age,
                              self._runtime.clock())
        if not found.good:
            return Finding(found.reasons[0] or '')
        home = found.replicas[container.policy_index]
        is_servable = home.is_whole and not home.has_any
        return Finding('found', found.good, found.good[0].policy_index if is_servable else None)


def serve(exchange, start_response) -> Iterable[bytes]:
    """The app's answer to the exchange's request; where that is 404 and there is a copy elsewhere that may be
    shown, what the app answers when it is told to look there. It authorises anew."""
    # the app changes its own
    env = dict(exchange.env)
    begun: list = []
    body = exchange.app(exchange.env, partial(keep, begun))
    if begun[0].startswith('404'):
        index = exchange.detector.servable(exchange.app, env, exchange.name, exchange.policy_index,
                                           records=not exchange.client.no_prefetch)
        if index is not None:
            # the newest: what was judged, not what a replica may have had before
            body = show(exchange, {**env, POLICY_KEY: str(index), 'HTTP_X_NEWEST': 'true'}, begun, body)
    start_response(*begun)
    return body


def keep(begun: list, status_line: str, headers: list, exc_info=None) -> None:
    begun[:] = [status_line, headers, exc_info]


def show(exchange, env: dict, begun: list, body: Iterable[bytes]) -> Iterable[bytes]:
    """The other policy's answer in place of the 404, unless that is one, too."""
    other: list = []
    shown = exchange.app(env, partial(keep, other))
    if other[0].startswith('404'):
        close_if_possible(shown)
        return body
    close_if_possible(body)
    begun[:] = other
    # where proxy-logging looks for it
    exchange.env[POLICY_KEY] = env[POLICY_KEY]
    exchange.is_misplaced = True
    exchange.runtime.count('misplaced_served')
    return shown
