"""A3: whatever the first reader of an object sends besides its name, the next one gets what Swift gives to him."""
from itertools import count

import pytest
from helpers.common.builders import container_info, infocache
from helpers.common.trying import tries
from helpers.filter.equivalence import CONDITION_VALUES, IGNORE_RANGE, RANGE_VALUES, TEXTS
from helpers.filter.filtered import Proxy, allow, word
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from swift.common.swob import Request

from swiftahead.cache import Store
from swiftahead.queues import Admit

NAMES = [
    'Host', 'Origin', 'Referer', 'User-Agent', 'Accept', 'Accept-Encoding', 'Accept-Language', 'Cookie', 'Via',
    'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Original-Url', 'X-Rewrite-Url',
    'X-Http-Method-Override', 'X-Object-Meta-Evil', 'X-Object-Sysmeta-Evil', 'X-Object-Transient-Sysmeta-Evil',
    'X-Timestamp', 'X-Delete-At', 'X-Static-Large-Object', 'X-Object-Manifest', 'Etag', 'Content-Type',
    'Content-Encoding', 'X-Auth-Token', 'X-Newest', 'X-No-Prefetch', 'Cache-Control', 'Pragma', 'Upgrade',
    'X-Backend-Timestamp', 'X-Backend-Evil', 'X-Backend-Storage-Policy-Index', 'X-Backend-Etag-Is-At']
HEADERS = st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=6)
CONDITIONS = st.dictionaries(
    st.sampled_from(['If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since', 'If-Range']),
    CONDITION_VALUES, max_size=2)
RANGES = st.one_of(st.just({}), RANGE_VALUES.map(lambda value: {'Range': value}),
                   st.sampled_from(IGNORE_RANGE).map(lambda value: {
                       'Range': 'bytes=0-3', 'X-Backend-Ignore-Range-If-Metadata-Present': value}))
QUERIES = st.sampled_from(['', 'multipart-manifest=get', 'x=y', 'part-number=1', 'version-id=x', 'prefetch=warm'])
NUMBERS = count()
BODY = bytes(range(256)) * 300


@pytest.fixture(scope='module')
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('a3')
    Store.create(folder / 'cache')
    proxy = Proxy(folder / 'cache', folder / 'queue.db')
    yield proxy
    proxy.close()


def ask(app, path, method='GET', headers=(), query='', body=b''):
    env = {'swift.authorize': allow, 'REMOTE_ADDR': '10.0.0.1', 'swift.infocache': infocache(container_info())}
    req = Request.blank(path, environ={**env, 'REQUEST_METHOD': method, 'QUERY_STRING': query}, body=body)
    req.environ.update({'HTTP_' + key.upper().replace('-', '_'): value for key, value in headers})
    resp = req.get_response(app)
    assert resp.body is not None
    return resp


def admit(proxy):
    for record in proxy.records(Admit):
        proxy.runtime.store().admit(record.spool_name)


def told(resp):
    ours = ('Cache-Status', 'Age', 'X-Object-Prefetched')
    return resp.status, sorted(item for item in resp.headers.items() if item[0] not in ours), resp.body


def check(proxy, method='GET', query='', body=b'', **headers):
    """The answers to two plain readers who come after such a one."""
    path = f'/v1/AUTH_test/c/o{next(NUMBERS)}'
    proxy.swift.put(path, BODY, X_Object_Meta_Colour='blue')
    cold = told(ask(proxy.swift, path))
    ask(proxy.app, path, method, headers.items(), query, body)
    for may_be in (('hit', 'fwd=miss; stored'), ('hit',)):
        admit(proxy)
        resp = ask(proxy.app, path)
        assert told(resp) == cold and word(resp) in may_be


@pytest.mark.holds('A3')
@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('value', ['evil.example', '1'])
def test_a_header_of_the_first_readers_is_not_in_the_next_ones_answer(proxy, name, value):
    check(proxy, **{name: value})


@pytest.mark.holds('A3')
@tries(60, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(['GET', 'GET', 'HEAD']), headers=HEADERS, conditions=CONDITIONS, range=RANGES,
       query=QUERIES, body=st.sampled_from([b'', b'', b'a body']))
def test_what_the_first_reader_sends_is_not_in_the_next_ones_answer(
        proxy, method, headers, conditions, range, query, body):
    check(proxy, method, query, body, **headers, **conditions, **range)
