"""One GET or HEAD of an object: what is known of it, and the ways to answer it that hits and misses share."""
from collections.abc import Callable, Iterable
from functools import partial

from swift.common.request_helpers import append_log_info
from swift.common.swob import Request

from ..cache import Store
from ..cache.headers import Headers, length_of, wanted_age
from ..conf.names import ObjectName
from ..freshness import PendingToken, TokenReading
from ..queues import Access
from .client import NOBODY
from .container_info import container_info, key_to_ask, look_up
from .decide import is_manifest, is_worth_fetching, part_of
from .detector import serve
from .outdated import end_outdated

# what is to be done is decided before anything is answered
Answer = Callable[[], Iterable[bytes]]


class Exchange:
    """
    :param app: what stands on the filter's right
    :param runtime: everything of the filter that outlives the request
    """

    def __init__(self, app, runtime, store: Store, req: Request, name: ObjectName, start_response):
        self.app = app
        self.runtime = runtime
        self.settings = runtime.settings
        self.store = store
        self.req = req
        self.env = req.environ
        self.name = name
        self.client = NOBODY
        self.policy_index = 0
        self._start_response = start_response
        # what a HEAD of this request's own told, where there was one
        self.newest: tuple[str, str] | None = None
        self._is_miss = False
        # whether the app's answer may show that an entry is outdated which nobody compares it with otherwise
        self.looks_back = False
        # whether the answer comes from another policy than the container's
        self.is_misplaced = False
        self._asked: PendingToken | None = None
        self._known: TokenReading | None = None

    @property
    def detector(self):
        """Of misplaced objects; None where that is turned off."""
        return self.runtime.detector

    @property
    def wanted_age(self) -> float:
        """The age in seconds of an answer that the client accepts at most."""
        return wanted_age(self.env.get('HTTP_CACHE_CONTROL'))

    @property
    def leaves_traces(self) -> bool:
        """Whether this request may have anything captured, learned or triggered."""
        return self.req.method == 'GET' and not self.client.no_prefetch

    def unseen(self):
        """The app's answer, as if there were no filter."""
        return self.app(self.env, self._start_response)

    def passed(self, status: str):
        """The app's answer; `status` is what Cache-Status tells of it."""
        return self.send(partial(self.begin, status))

    def send(self, start_response):
        """The app's answer to this very request."""
        if self._is_miss and self.detector is not None and self.detector.serves:
            return serve(self, start_response)
        return self.app(self.env, start_response)

    def missed(self) -> None:
        """From here on, an answer that the app gives is a miss, and is noted as one."""
        self._is_miss = True

    def begin(self, status: str, status_line: str, headers: list, exc_info=None):
        """start_response for what the app answered."""
        if self.is_misplaced:
            status = 'fwd=miss; detail=misplaced'
        elif self._is_miss and status_line[0] in '23':
            self.note('miss', length_of(headers), status_line, headers)
        elif self._is_miss and status_line.startswith('404'):
            self._look_elsewhere()
        if self.looks_back:
            end_outdated(self, status_line, headers)
        # a list of this client's own: middleware to the left adds to it, and others may read along
        headers = list(headers)
        # those who may not read learn nothing, not even that there is a cache
        if self.settings.cache_status and status_line[:3] not in ('401', '403'):
            headers.append(('Cache-Status', f'swiftahead; {status}'))
        append_log_info(self.env, 'pf:' + status.partition('=')[2].partition(';')[0])
        if exc_info:
            return self._start_response(status_line, headers, exc_info)
        return self._start_response(status_line, headers)

    def _look_elsewhere(self):
        # where it may be shown, that was looked for already
        if self.detector is not None and not self.detector.serves and not self.client.no_prefetch:
            self.detector.sight(self.app, self.env, self.name, self.policy_index)

    def answer(self, status_line: str, headers: list, body: Iterable[bytes]) -> Iterable[bytes]:
        """A response of our own."""
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
        # what is captured meanwhile for another need not be fetched
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
        """The app's answer, since this is none of the cache's business."""
        self.runtime.count('bypassed', reason=reason)
        self.looks_back = True
        return self.passed(f'fwd=bypass; detail={reason}')

    def look_up(self) -> dict:
        """What Swift knows of the container; where a miss needs the object's token too, it is asked for
        in the same go, or at least before other things are done."""
        tokens, answer = self.runtime.tokens, None
        if tokens is None or not self.settings.capture:
            return look_up(self.env, self.app, tokens and tokens.client, self.name)
        key = key_to_ask(self.env, self.app, tokens.client, self.name)
        if key is None:
            self._asked = tokens.ask(self.name)
        else:
            self._asked, answer = tokens.ask_with(self.name, key)
        return container_info(self.env, self.app, self.name, answer)

    def known(self) -> TokenReading:
        """The object's token, as of when the container was looked up, or of now; one answer for the request."""
        known = self._known or self.runtime.take(self._asked or self.runtime.ask(self.name))
        self._known = known
        return known
