"""A filter that stands directly left of the prefetch filter and has every object GET meet a warm cache.

It sends a GET of its own first, of the whole object, with the request's own rights, and waits until the sidecar
has admitted what was captured of it. Of each GET it leaves a line with what the filter told of both.
"""
import os
import time

from swift.common.concurrency import sleep
from swift.common.swob import Request
from swift.common.utils import drain_and_close

WAIT_SECONDS = 10.0
STEP_SECONDS = 0.005
CONDITIONAL = ('HTTP_RANGE', 'HTTP_IF_MATCH', 'HTTP_IF_NONE_MATCH', 'HTTP_IF_MODIFIED_SINCE',
               'HTTP_IF_UNMODIFIED_SINCE', 'HTTP_IF_RANGE')
CACHED = ('hit', 'stored', 'collapsed')


def is_cacheable(told: str) -> bool:
    """Whether an answer with this Cache-Status came from the cache, or is on its way into it."""
    return any(word in told for word in CACHED)


class WarmingFilter:
    """:param counts: file that gets the lines"""

    def __init__(self, app, counts: str):
        self.app = app
        self._counts = counts

    def __call__(self, env, start_response):
        if not self._is_object_get(env):
            return self.app(env, start_response)
        first = self._ask(env, 'GET')
        if is_cacheable(first):
            self._await_hit(env, first)
        return self.app(env, self._noting(first, start_response))

    def _is_object_get(self, env):
        try:
            return env['REQUEST_METHOD'] == 'GET' and bool(Request(env).split_path(4, 4, True))
        except ValueError:
            return False

    def _ask(self, env, method):
        """Cache-Status of an answer to a request of our own; '' where it is no 200, or has none."""
        own = {key: value for key, value in env.items() if key not in CONDITIONAL}
        response = Request({**own, 'REQUEST_METHOD': method}).get_response(self.app)
        drain_and_close(response)
        return response.headers.get('Cache-Status', '') if response.status_int == 200 else ''

    def _await_hit(self, env, told):
        deadline = time.monotonic() + WAIT_SECONDS
        while 'hit' not in told and time.monotonic() < deadline:
            sleep(STEP_SECONDS)
            # which leaves nothing of its own to wait for
            told = self._ask(env, 'HEAD')

    def _noting(self, first, start_response):
        def note(status, headers, exc_info=None):
            told = dict(headers).get('Cache-Status', '')
            line = f'{first or "-"}\t{status[:3]}\t{told or "-"}\n'.encode()
            descriptor = os.open(self._counts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                # one write: several workers append
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
        return note


def filter_factory(global_conf, counts, **local_conf):
    def warming(app):
        return WarmingFilter(app, counts)
    return warming
