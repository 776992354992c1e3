"""One GET or HEAD of an object, and the ways to answer it that hits and misses share."""
from collections.abc import Callable, Iterable
from functools import partial

from swift.common.request_helpers import append_log_info
from swift.common.swob import Request
from swift.common.utils import config_true_value

from ..cache import Damaged, Entry, Stamp, Store
from ..cache.headers import Headers, find, is_older, length_of, wishes_of
from ..conf import FilterSettings
from ..conf.names import ObjectName
from ..freshness import PendingToken, TokenReading
from ..queues import Access
from .authorize import NOBODY, ReadingClient
from .decide import is_manifest, is_worth_fetching, part_of
from .detector import Detector, serve
from .runtime import Runtime
from .subrequests import container_info, key_to_ask, look_up

# every decision is made before the answer begins
Answer = Callable[[], Iterable[bytes]]


class Exchange:
    """
    :param app: the app on the filter's right
    :param runtime: everything of the filter that outlives the request
    """

    def __init__(self, app: Callable, runtime: Runtime, store: Store, req: Request, name: ObjectName,
                 start_response: Callable):
        self.app = app
        self.runtime = runtime
        self.settings: FilterSettings = runtime.settings
        self.store = store
        self.req = req
        self.env: dict = req.environ
        self.wishes = wishes_of(self.env.get('HTTP_CACHE_CONTROL'))
        self.name = name
        self.client: ReadingClient = NOBODY
        self.policy_index = 0
        self._start_response = start_response
        # the version that a HEAD of this request told; None where there was no HEAD
        self.newest: tuple[str, str] | None = None
        self._is_miss = False
        # whether the app's answer is compared with the entry, which it may show to be outdated
        self.looks_back = False
        # whether the answer comes from another policy than the container's
        self.is_misplaced = False
        self._asked: PendingToken | None = None
        self._known: TokenReading | None = None

    @property
    def detector(self) -> Detector | None:
        """The detector of misplaced objects; None where it is turned off."""
        return self.runtime.detector

    @property
    def leaves_traces(self) -> bool:
        """Tell whether this request may have anything captured, learned or triggered."""
        return self.req.method == 'GET' and not self.client.no_prefetch

    def unseen(self):
        """Give the app's answer, as if there were no filter."""
        return self.app(self.env, self._start_response)

    def passed(self, status: str):
        """Give the app's answer; Cache-Status tells `status` of it."""
        return self.send(partial(self.begin, status))

    def send(self, start_response):
        """Ask the app this very request."""
        if self._is_miss and self.detector is not None and self.detector.serves:
            return serve(self, self.detector, start_response)
        return self.app(self.env, start_response)

    def missed(self) -> None:
        """Note from here on the app's answer as a miss."""
        self._is_miss = True

    def begin(self, status: str, status_line: str, headers: list, exc_info=None):
        """Begin the app's answer, in place of start_response."""
        if self.is_misplaced:
            status = 'fwd=miss; detail=misplaced'
        elif self._is_miss and status_line[0] in '23':
            self.note('miss', length_of(headers), status_line, headers)
        elif self._is_miss and status_line.startswith('404'):
            self._look_elsewhere()
        if self.looks_back:
            end_outdated(self, status_line, headers)
        # each client gets a list of its own: middleware to the left adds to it, and other readers share the first
        headers = list(headers)
        # a client that may not read learns nothing, not even that there is a cache
        if self.settings.cache_status and status_line[:3] not in ('401', '403'):
            headers.append(('Cache-Status', f'swiftahead; {status}'))
        append_log_info(self.env, 'pf:' + status.partition('=')[2].partition(';')[0])
        if exc_info:
            return self._start_response(status_line, headers, exc_info)
        return self._start_response(status_line, headers)

    def _look_elsewhere(self):
        # a detector that serves has searched already
        if self.detector is not None and not self.detector.serves and not self.client.no_prefetch:
            self.detector.sight(self.app, self.env, self.name, self.policy_index)

    def answer(self, status_line: str, headers: list, body: Iterable[bytes]) -> Iterable[bytes]:
        """Give a response from the cache."""
        append_log_info(self.env, 'pf:hit')
        self._start_response(status_line, headers)
        return body

    def note(self, outcome: str, length: int, status_line: str, headers: Headers) -> None:
        """Count the answer, and leave an access record, unless the client wants none.

        :param length: bytes to count
        """
        self._count(outcome, length if self.req.method == 'GET' else 0)
        if not self.leaves_traces:
            return
        try:
            self.runtime.recorder.add(self._access(outcome, part_of(status_line, headers), headers))
        except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
            self.runtime.failed('record', f'read of {self.name.quoted} not recorded', error)

    def _access(self, outcome, part, headers):
        name = self.name
        # an object that another reader's miss captures meanwhile need not be fetched
        fetch = (outcome == 'miss' and self.runtime.collapsed_reads.get(name) is None
                 and is_worth_fetching(part, headers, self.env, self.settings, self.runtime.clock()))
        return Access(name.account, name.container, name.object, self.client.name, self.runtime.clock(),
                      part.length, outcome, is_manifest(headers), not part.to_end, fetch)

    def _count(self, outcome, length):
        count = self.runtime.count
        if outcome == 'miss':
            count('misses')
            count('bytes_missed', length)
            return
        count('hits')
        count('bytes_hit', length)
        if outcome == 'prefetched':
            count('hits_prefetched')

    def bypassed(self, reason: str):
        """Give the app's answer to a request that the cache is not for."""
        self.runtime.count('bypassed', reason=reason)
        self.looks_back = True
        return self.passed(f'fwd=bypass; detail={reason}')

    def look_up(self) -> dict:
        """Return the container's info, and ask for the object's token in the same go where a miss needs it."""
        tokens, answer = self.runtime.tokens.ring, None
        if tokens is None or not self.settings.capture:
            return look_up(self.env, self.app, tokens and tokens.client, self.name)
        key = key_to_ask(self.env, self.app, tokens.client, self.name)
        if key is None:
            self._asked = tokens.ask(self.name)
        else:
            self._asked, answer = tokens.ask_with(self.name, key)
        return container_info(self.env, self.app, self.name, answer)

    def known(self) -> TokenReading:
        """Return the object's token, read once for the request: when the container is looked up, or now."""
        known = self._known or self.runtime.tokens.take(self._asked or self.runtime.tokens.ask(self.name))
        self._known = known
        return known


# no token has this value and no clock this time: the next reader validates the entry
ENDED = Stamp('', 0.0, 0.0)


def end_outdated(exchange: Exchange, status_line: str, headers: Headers) -> None:
    """End the object's entry where an answer of the app's shows a newer version, or that there is none.

    An answer that shows an older one came from a replica that lags behind, and says nothing of the entry.
    """
    is_gone = status_line.startswith('404') and config_true_value(exchange.env.get('HTTP_X_NEWEST'))
    timestamp = find(headers, 'x-backend-timestamp')
    if timestamp is None and not is_gone:
        return
    try:
        entry = exchange.store.entry(exchange.name)
        if entry is None:
            return
        with entry:
            if is_gone or is_older(entry.meta.headers, timestamp or ''):
                _end(exchange, entry)
    except Damaged:
        # the next reader of the entry reports the damage
        return
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        exchange.runtime.failed('entry', f'entry of {exchange.name.quoted} cannot be compared', error)


def _end(exchange: Exchange, entry: Entry):
    exchange.runtime.count('stale', reason='changed')
    # the stamp ends the entry at once for all workers, before the sidecar purges it
    try:
        entry.restamp(ENDED)
    except OSError as error:
        exchange.runtime.failed('stamp', f'entry of {exchange.name.quoted} cannot be stamped', error)
    exchange.runtime.forget(exchange.name, entry.identity)
