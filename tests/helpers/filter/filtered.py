"""The filter whole, in front of a backend that can be made to misbehave."""
import json
import traceback
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.common.builders import FakeSwift, ListLogger, container_info, infocache
from helpers.common.faults import PATH
from swift.common.concurrency import Timeout, sleep
from swift.common.swob import Request
from swift.common.utils import close_if_possible

from swiftahead.conf import FILTER
from swiftahead.middleware import recorder
from swiftahead.middleware.filter import PrefetchFilter
from swiftahead.queues import Admit, open_queue


class ProxyLog(ListLogger):
    """A ListLogger that keeps errors apart, and has what proxy-server's logger has besides."""
    thread_locals = None

    def update_stats(self, name, by):
        pass

    def __init__(self):
        super().__init__()
        self.errors: list[str] = []

    def error(self, text, *args):
        self.errors.append(text % args)

    warning = error

    def exception(self, text, *args):
        self.errors.append(f'{text % args}: {traceback.format_exc()}')


class Backend(FakeSwift):
    """Sends bodies in pieces, each after a switch of green threads; `before(number)` is called before each piece,
    and what it returns is sent instead where it is not None."""
    piece = 50_000

    def __init__(self):
        super().__init__()
        self.before = lambda number: None
        self.open = 0

    def __call__(self, env, start_response):
        body = super().__call__(env, start_response)
        if env['REQUEST_METHOD'] != 'GET' or 'HTTP_RANGE' in env:
            return body
        self.open += 1
        return _Pieces(self, body)


class _Pieces:
    def __init__(self, backend, body):
        self._backend = backend
        self._body = body
        self._closed = False

    def __iter__(self):
        data = b''.join(self._body)
        for number, start in enumerate(range(0, len(data), self._backend.piece)):
            sleep()
            instead = self._backend.before(number)
            if isinstance(instead, BaseException):
                raise instead
            yield data[start:start + self._backend.piece] if instead is None else instead

    def close(self):
        if not self._closed:
            self._closed = True
            self._backend.open -= 1
            close_if_possible(self._body)


class Odd(Backend):
    """Answers what `odd` makes of a request, or else as ever; writes have their effect.

    :param other: the body that a PUT brings
    """

    def __init__(self, other=b'other'):
        super().__init__()
        self.other = other
        self.odd = lambda env: None

    def __call__(self, env, start_response):
        response = self.odd(env)
        if response is not None:
            self.requests.append((env['REQUEST_METHOD'], env['PATH_INFO'], {}))
            return response(env, start_response)
        answer = super().__call__(env, start_response)
        if env['REQUEST_METHOD'] in ('PUT', 'POST'):
            body = self.other if env['REQUEST_METHOD'] == 'PUT' else self.objects[env['PATH_INFO']][1]
            self.put(env['PATH_INFO'], body, timestamp=env['HTTP_X_TIMESTAMP'], X_Object_Meta_A='b')
        if env['REQUEST_METHOD'] == 'DELETE':
            self.objects.pop(env['PATH_INFO'])
        return answer


def allow(req):
    return None


def tell(folder: Path, **values) -> None:
    """As the sidecar's report tells the filter."""
    (folder / 'sidecar.json').write_text(json.dumps(values))


class Proxy:
    """The filter in front of a backend, as one worker process has it.

    :param folder: the cache's
    :param swifts_cache: what requests carry as the ring of Swift's cache filter
    """

    def __init__(self, folder: Path, queue: Path, backend=None, tokens=None, begin=True, swifts_cache=None,
                 **conf):
        self.swift = backend or Backend()
        self.log = ProxyLog()
        self.counts: list[str] = []
        self.folder = folder
        self.swifts_cache = swifts_cache
        self.queue = open_queue(f'sqlite:{queue}')
        conf = {'cache_dir': str(folder), 'queue': f'sqlite:{queue}', 'freshness': 'max-age',
                # where nobody listens: tests that want tokens bring their own
                'memcache_servers': '127.0.0.1:1', **conf}
        self.app = PrefetchFilter(self.swift, FILTER.read(conf), conf, self.log)
        # tests that wait for records need not wait for what spares a busy worker
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(recorder, 'LONGEST_PAUSE', 0)
        if begin:
            self.ready(tokens)

    @property
    def runtime(self):
        assert self.app._runtime is not None
        return self.app._runtime

    def ready(self, tokens=None) -> 'Proxy':
        """As after the first request."""
        assert self.app._ready(self.swifts_cache) is not None
        if tokens is not None:
            self.runtime.tokens.ring = tokens
        if 'count' not in vars(self.runtime):
            self.runtime.count = self.runtime.tokens._count = partial(self._count, self.runtime.count)
        return self

    def _count(self, count, name, by=1, reason=None):
        self.counts.append(f'{name}.{reason}' if reason else name)
        count(name, by, reason)

    @property
    def errors(self) -> list[str]:
        """What was counted of what failed."""
        return [name for name in self.counts if name.startswith('errors.') or name == 'entries_damaged']

    def clear(self) -> None:
        """Forget what was counted, said and asked so far."""
        for kept in (self.counts, self.log.errors, self.swift.requests):
            kept.clear()

    def begin(self, method='GET', path=PATH, info=None, **headers):
        """A response whose body has not been read."""
        env = {'REQUEST_METHOD': method, 'REMOTE_ADDR': '10.0.0.1', 'swift.authorize': allow,
               'swift.infocache': infocache(info or container_info()), 'swift.cache': self.swifts_cache}
        req = Request.blank(path, environ=env, headers={key.replace('_', '-'): headers[key] for key in headers})
        return req.get_response(self.app)

    def request(self, *args, **more):
        """A response that was read whole and closed, as a server does it."""
        resp = self.begin(*args, **more)
        body, headers = resp.app_iter, dict(resp.headers)
        try:
            resp.body = b''.join(body)
        finally:
            close_if_possible(body)
        # what came, and not what swob makes of the body
        resp.headers.clear()
        resp.headers.update(headers)
        return resp

    def plain(self, *args, **more):
        """What the backend says, without the filter."""
        app, self.app = self.app, self.swift
        try:
            return self.request(*args, **more)
        finally:
            self.app = app

    def look_again(self) -> None:
        """As if the second were over for which a folder that failed is left alone."""
        self.runtime._look_at = self.runtime.spool._room_at = 0.0
        self.runtime.captured.clear()
        self.runtime._say_at.clear()

    def asked(self, method='GET') -> int:
        count = sum(asked == method for asked, _, _ in self.swift.requests)
        self.swift.requests.clear()
        return count

    def settle(self) -> None:
        """Wait until no request to the app is under way that others might join, nor one that lingers."""
        with Timeout(20):
            while self.runtime.collapsed_reads.running:
                sleep()
        self.runtime.collapsed_reads.close()

    def flush(self) -> None:
        """Wait until all records are written."""
        self.settle()
        with Timeout(20):
            while not self.runtime.recorder.idle:
                sleep(0.001)

    def records(self, kind) -> list:
        """Take them, and those of other kinds with them: none comes again, however long the tests take."""
        self.flush()
        leased = self.queue.lease(10_000, 60)
        self.queue.done([item.id for item in leased])
        return [item.record for item in leased if isinstance(item.record, kind)]

    def close(self) -> None:
        self.flush()
        self.runtime.recorder.close()
        self.runtime.metrics.close()
        self.queue.close()
        self._patched.undo()


OURS = ('Age', 'Cache-Status', 'X-Object-Prefetched')


def seen(resp) -> SimpleNamespace:
    """What a client sees of a response, but for what the filter adds."""
    return SimpleNamespace(status=resp.status_int, body=resp.body, headers=headers_of(resp))


def headers_of(resp) -> dict[str, str]:
    return {key: value for key, value in resp.headers.items() if key not in OURS}


def word(resp) -> str | None:
    """What the filter says of a response."""
    return resp.headers.get('Cache-Status', '').removeprefix('swiftahead; ') or None


def outcome(proxy, **asked):
    """What a client sees: status, headers, bytes, and whether the body broke off."""
    answer, got, broke = proxy.begin(**asked), [], False
    try:
        got.extend(answer.app_iter)
    except (Exception, Timeout):  # noqa: BLE001 - whatever it is, the connection closes
        broke = True
    close_if_possible(answer.app_iter)
    return answer.status_int, headers_of(answer), b''.join(got), broke


def plain(proxy, **asked):
    """The same without the filter."""
    filtered, proxy.app = proxy.app, proxy.swift
    try:
        return outcome(proxy, **asked)
    finally:
        proxy.app = filtered


def assert_nothing_kept(proxy):
    proxy.settle()
    assert (proxy.records(Admit), list(proxy.runtime.store().spool_files())) == ([], [])
    assert proxy.runtime.collapsed_reads.running == 0
    assert proxy.swift.open == 0
