"""F6: whatever the backend answers, the client gets what it would get without the filter, and nothing that is
not the object is kept."""
from random import Random

import pytest
from helpers.common.builders import NOW, FakeTokens
from helpers.common.faults import PATH, TooLong, no_fd_left
from helpers.filter.filtered import Odd, Proxy, assert_nothing_kept, outcome, plain, word
from swift.common.concurrency import Timeout
from swift.common.swob import Response

from swiftahead.cache import Store
from swiftahead.cache.entry import BLOCK
from swiftahead.freshness import Token
from swiftahead.queues import Admit

OLD = '1799999990.00000'
BODY = Random(6).randbytes(300_000)
TOKEN = Token('t' * 32, timestamp=OLD)


@pytest.fixture(autouse=True)
def bounded():
    with Timeout(30, TooLong):
        yield


@pytest.fixture
def proxy(tmp_path):
    Store.create(tmp_path / 'cache')
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue.db', Odd(), FakeTokens(TOKEN), freshness='coherent')
    proxy.runtime.clock = lambda: NOW + 10
    proxy.swift.put(PATH, BODY, timestamp=OLD)
    yield proxy
    proxy.close()


# bodies

BROKEN = {
    'short by one piece': lambda number: b'' if number == 5 else None,
    'short by one byte': lambda number: b'x' if number == 5 else None,
    'nothing at all': lambda number: b'',
    'reset': lambda number: ConnectionResetError(104, 'reset by peer') if number == 3 else None,
    'reset at once': lambda number: ConnectionResetError(104, 'reset by peer') if number == 0 else None,
    'os error': lambda number: OSError(5, 'not ours') if number == 3 else None,
    'timeout': lambda number: Timeout(None) if number == 3 else None,
    'bug': lambda number: KeyError('x') if number == 3 else None,
}


@pytest.fixture(params=[300_000, 60_000, 12], ids=['large', 'small', 'tiny'])
def body(request, proxy):
    """Six pieces; what is small is captured in another way."""
    proxy.swift.piece = request.param // 6
    proxy.swift.put(PATH, BODY[:request.param], timestamp=OLD)
    return BODY[:request.param]


@pytest.mark.holds('F6')
@pytest.mark.parametrize('how', BROKEN)
def test_a_body_that_breaks_off_breaks_off_at_the_same_byte(proxy, body, how):
    proxy.swift.before = BROKEN[how]
    status, headers, got, broke = plain(proxy)
    with no_fd_left(proxy.folder):
        ours = outcome(proxy)
        # too few bytes close a connection as well as an error does, and a fill says it as an error
        assert ours == (status, headers, got, broke or len(body) > BLOCK)
        assert_nothing_kept(proxy)
    assert proxy.log.errors == []


@pytest.mark.holds('F6')
@pytest.mark.parametrize('more', [b'x', b'x' * 100_000])
def test_a_body_that_is_too_long_is_not_kept(proxy, body, more):
    """A server cuts it: more than Content-Length would be the beginning of another answer."""
    proxy.swift.before = lambda number: body[-proxy.swift.piece:] + more if number == 5 else None
    _, headers, _, _ = plain(proxy)
    status, ours, got, broke = outcome(proxy)
    assert (status, ours, headers['Content-Length']) == (200, headers, str(len(body)))
    assert got[:len(body)] == body[:len(got)] and (len(got) >= len(body) or broke)
    assert_nothing_kept(proxy)


@pytest.mark.holds('F6')
def test_bytes_that_are_not_the_etags_are_passed_on_but_never_admitted(proxy, body):
    proxy.swift.before = lambda number: b'?' * proxy.swift.piece if number == 2 else None
    assert outcome(proxy) == plain(proxy)
    record, = proxy.records(Admit)
    with pytest.raises(Exception, match='MD5'):
        proxy.runtime.store().admit(record.spool_name)
    assert list(proxy.runtime.store().linked()) == []


# answers

ODD_ANSWERS = {
    '404': {'status': 404}, '416': {'status': 416}, '503': {'status': 503, 'headers': {'Retry-After': '5'}},
    '500': {'status': 500}, '304 unasked': {'status': 304}, '206 unasked': {'status': 206, 'body': b'x' * 10},
    '412 unasked': {'status': 412}, '302': {'status': 302, 'headers': {'Location': 'http://else/'}},
    '204': {'status': 204}, '507': {'status': 507}, '200 without etag': {'status': 200, 'body': b'abc'},
}
HEADERS = {'Etag': 'e' * 32, 'X-Backend-Timestamp': OLD, 'X-Timestamp': OLD}
ODD_HEADERS = {
    'etag of a manifest': {**HEADERS, 'Etag': '"x-12"'},
    'no timestamp': {'Etag': 'e' * 32},
    'timestamp of another kind': {**HEADERS, 'X-Backend-Timestamp': 'soon'},
    'length of another kind': {**HEADERS, 'Content-Length': 'long'},
    'length below zero': {**HEADERS, 'Content-Length': '-1'},
    'too many headers': {**HEADERS, **{f'X-Object-Meta-{n}': 'v' * 250 for n in range(300)}},
    'expires at noon': {**HEADERS, 'X-Delete-At': 'noon'},
    'stored cache-control': {**HEADERS, 'Cache-Control': 'private'},
    'latin letters': {**HEADERS, 'X-Object-Meta-A': 'gr\xc3\xbc\xc3\x9fe \xff'},
}


@pytest.mark.holds('F6')
@pytest.mark.parametrize('odd', ODD_ANSWERS)
def test_an_odd_status_is_passed_on_and_not_kept(proxy, odd):
    proxy.swift.odd = lambda env: Response(**ODD_ANSWERS[odd])
    assert outcome(proxy) == plain(proxy)
    assert_nothing_kept(proxy)


@pytest.mark.holds('F6')
@pytest.mark.parametrize('odd', ODD_HEADERS)
def test_odd_headers_are_passed_on_and_what_cannot_be_the_object_is_not_admitted(proxy, odd):
    def answer(env):
        response = Response(body=b'abc')
        response.headers.update(ODD_HEADERS[odd])
        return response

    proxy.swift.odd = answer
    expected = plain(proxy)
    for _ in range(2):
        assert outcome(proxy) == expected
        for record in proxy.records(Admit):
            with pytest.raises(Exception, match='MD5'):
                proxy.runtime.store().admit(record.spool_name)
    assert list(proxy.runtime.store().linked()) == []


@pytest.mark.holds('F6')
def test_503_then_200(proxy):
    proxy.swift.odd = lambda env: Response(status=503)
    assert outcome(proxy)[0] == 503
    proxy.swift.odd = lambda env: None
    assert word(proxy.request()) == 'fwd=miss; stored'


@pytest.mark.holds('F6')
def test_an_app_that_raises_is_not_hidden(proxy):
    def broken(env):
        raise ValueError('a bug of proxy-server')

    proxy.swift.odd = broken
    with pytest.raises(ValueError, match='a bug of'):
        proxy.request()
    assert_nothing_kept(proxy)
