"""One GET or HEAD of an object: what is known of it, and the ways to answer it that hits and misses share."""
from collections.abc import Callable, Iterable
from functools import partial

from swift.common.request_helpers import append_log_info
from swift.common.swob import Request

from ..cache import Asked, Store
from ..cache.rules import length_of
from ..conf.naming import ObjectName
from ..queues import Access
from .client import NOBODY
from .info import container_info, key_to_ask
from .runtime import Known

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
        self._is_miss = False
        self._asked: Asked | None = None
        self._known: Known | None = None

    @property
    def leaves_traces(self) -> bool:
        """Whether this request may have anything captured, learned or triggered."""
        return self.req.method == 'GET' and not self.client.no_prefetch

    def unseen(self):
        """The app's answer, as if there were no filter."""
        return self.app(self.env, self._start_response)

    def passed(self, status: str):
        """The app's answer; `status` is what Cache-Status tells of it."""
        return self.app(self.env, partial(self.begin, status))

    def missed(self) -> None:
        """From here on, an answer that the app gives is a miss, and is noted as one."""
        self._is_miss = True

    def begin(self, status: str, status_line: str, headers: list, exc_info=None):
        """start_response for what the app answered."""
        if self._is_miss and status_line[0] in '23':
            self.note('miss', length_of(headers))
        # those who may not read learn nothing, not even that there is a cache
        if self.settings.cache_status and status_line[:3] not in ('401', '403'):
            headers = [*headers, ('Cache-Status', f'swiftahead; {status}')]
        append_log_info(self.env, 'pf:' + status.partition('=')[2].partition(';')[0])
        if exc_info:
            return self._start_response(status_line, headers, exc_info)
        return self._start_response(status_line, headers)

    def answer(self, status_line: str, headers: list, body: Iterable[bytes]) -> Iterable[bytes]:
        """A response of our own."""
        append_log_info(self.env, 'pf:hit')
        self._start_response(status_line, headers)
        return body

    def note(self, outcome: str, length: int) -> None:
        """Leave an access record, unless the client wants none."""
        self._count(outcome, length if self.req.method == 'GET' else 0)
        if not self.leaves_traces:
            return
        name = self.name
        self.runtime.recorder.add(Access(name.account, name.container, name.object, self.client.name,
                                         self.runtime.clock(), length, outcome))

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
        return self.passed(f'fwd=bypass; detail={reason}')

    def look_up(self) -> dict:
        """What Swift knows of the container; where a miss needs the object's token too, it is asked for
        in the same go, or at least before other things are done."""
        tokens, answer = self.runtime.tokens, None
        if tokens is not None and self.settings.capture:
            key = key_to_ask(self.env, self.app, tokens.lines, self.name)
            if key is None:
                self._asked = tokens.ask(self.name)
            else:
                self._asked, answer = tokens.ask_with(self.name, key)
        return container_info(self.env, self.app, self.name, answer)

    def known(self) -> Known:
        """The object's token, as of when the container was looked up, or of now; one answer for the request."""
        known = self._known or self.runtime.take(self._asked or self.runtime.ask(self.name))
        self._known = known
        return known
