"""Bodies of one block are captured in one go: what the client gets is what the app gave, whatever it gave."""
import os

import pytest
from helpers.common.builders import NAME, Chunks, close_logs, container_info, headers_for, infocache
from swift.common.concurrency import Timeout, sleep
from swift.common.swob import Request

from swiftahead.cache import Store
from swiftahead.cache.entry import BLOCK
from swiftahead.middleware import filter_factory
from swiftahead.middleware.miss import read_small

PATH = '/v1' + NAME.path


class Small:
    """A filter over an app that answers with the chunks it is given."""

    def __init__(self, folder):
        self.store = Store.create(folder)
        conf = {'cache_dir': str(folder), 'queue': f'sqlite:{folder}/queue.db', 'freshness': 'max-age'}
        self.filter = filter_factory({}, **conf)(self._app)
        self.body = Chunks([])
        self.length = 0
        self.began = []

    def _app(self, env, start_response):
        headers = dict(headers_for(b'x' * self.length))
        start_response('200 OK', list({**headers, **self.more}.items()))
        return self.body

    def get(self, announced, chunks, **more):
        """What the client gets, chunk by chunk; an exception at the end stands for itself."""
        self.body, self.length, self.more = Chunks(chunks), len(announced), more
        env = {'REQUEST_METHOD': 'GET', 'REMOTE_ADDR': '10.0.0.1', 'swift.authorize': lambda req: None,
               'swift.infocache': infocache(container_info())}
        req, got = Request.blank(PATH, environ=env), []
        body = self.filter(req.environ, lambda *args: self.began.append(args))
        try:
            got.extend(body)
        except (OSError, Timeout) as error:
            got.append(type(error))
        finally:
            if hasattr(body, 'close'):
                body.close()
        return got

    @property
    def status(self):
        return dict(self.began[-1][1])['Cache-Status']

    @property
    def spooled(self):
        return len(list(self.store.spool_files()))

    def close(self):
        recorder = self.filter._ready().recorder
        with Timeout(20):
            while not recorder.idle:
                sleep(0.01)
        recorder.close()
        recorder._queue.close()
        close_logs()


@pytest.fixture
def small(tmp_path):
    small = Small(tmp_path / 'cache')
    yield small
    small.close()


@pytest.mark.parametrize('size', [0, 1, 10_000, BLOCK])
def test_it_is_captured_and_admitted_as_it_was(small, size):
    body = os.urandom(size)
    etag = dict(headers_for(body))['Etag']
    assert b''.join(small.get(body, [body[:size // 2], body[size // 2:]], Etag=etag)) == body
    assert small.status == 'swiftahead; fwd=miss; stored'
    item, = small.store.spool_files()
    small.store.admit(item.entry_name)
    with small.store.entry(NAME) as entry:
        assert entry.whole() == body


@pytest.mark.parametrize('announced, chunks, got', [
    (b'abcdef', [b'abc'], [b'abc']),
    (b'abc', [b'abc', b'def'], [b'abc', b'def']),
    (b'abc', [b'abcdef', b'ghi'], [b'abcdef', b'ghi']),
    (b'abcdef', [b'abc', OSError('reset')], [b'abc', OSError]),
    (b'abcdef', [OSError('reset')], [OSError]),
    (b'abcdef', [b'abc', Timeout(None)], [b'abc', Timeout])])
def test_what_is_not_as_announced_is_passed_on_and_not_captured(small, announced, chunks, got):
    assert small.get(announced, chunks) == got
    assert (small.spooled, small.body.closed) == (0, True)
    assert small.status == 'swiftahead; fwd=miss'


def test_a_spool_that_takes_nothing_is_not_the_clients(small):
    small.store.layout.spool.rmdir()
    assert small.get(b'abc', [b'abc']) == [b'abc']
    assert small.status == 'swiftahead; fwd=miss'


def test_the_backend_is_let_go_before_the_client_has_its_body():
    whole, rest = read_small(body := Chunks([b'abc']), 3)
    assert (whole, rest, body.closed) == (b'abc', None, True)
