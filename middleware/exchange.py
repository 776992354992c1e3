"""One GET or HEAD of an object: what is known of it, and the ways to answer it that hits and misses share."""
from dataclasses import dataclass
from functools import partial

from swift.common.request_helpers import append_log_info
from swift.common.swob import Request

from ..cache import Store, Token, TokensUnreachable
from ..cache.rules import length_of
from ..conf.naming import ObjectName
from ..queues import Access, Forget
from .client import NOBODY


@dataclass(frozen=True)
class Known:
    """What memcached knew of the object after the request had come.

    :param reachable: False where memcached did not answer, or is not asked in this mode
    """
    token: Token | None
    reachable: bool

    @property
    def settled(self) -> Token | None:
        return self.token if self.token is not None and not self.token.pending else None


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

    def answer(self, response):
        """A response of our own."""
        append_log_info(self.env, 'pf:hit')
        return response(self.env, self._start_response)

    def note(self, outcome: str, length: int) -> None:
        """Leave an access record, unless the client wants none."""
        self.runtime.logger.increment(f'prefetch.{outcome}')
        if not self.leaves_traces:
            return
        name = self.name
        self.runtime.recorder.add(Access(name.account, name.container, name.object, self.client.name,
                                         self.runtime.clock(), length, outcome))

    def forget(self, identity: str = '') -> None:
        """Have the sidecar drop the object's entry; with `identity` only if it is still that file."""
        name = self.name
        self.runtime.recorder.add(Forget(name.account, name.container, object=name.object,
                                         identity=identity, at=self.runtime.clock()))

    def known(self) -> Known:
        """The object's token now."""
        if self.runtime.tokens is None:
            return Known(None, False)
        try:
            return Known(self.runtime.tokens.get(self.name), True)
        except TokensUnreachable:
            self.runtime.logger.increment('prefetch.tokens.unreachable')
            return Known(None, False)
