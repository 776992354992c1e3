"""Control requests at the filter: what is taken, what is refused and how, and who hears of it."""
import socket

import pytest
from helpers.common.builders import NOW, FakeTokens, container_info
from helpers.common.faults import PATH
from helpers.filter.filtered import Proxy
from swift.common.swob import Response

from swiftahead.cache import Store
from swiftahead.conf.names import NODE_HEADER
from swiftahead.freshness import Token
from swiftahead.middleware.runtime import node_name
from swiftahead.queues import Forget, QueueError, Warm

CONTAINER = '/v1/AUTH_test/c'
WARM, FORGET = f'{CONTAINER}?prefetch=warm', f'{CONTAINER}?prefetch=forget'


@pytest.fixture
def make(tmp_path):
    """A filter with a cache folder, unless there is to be none."""
    made = []

    def make(folder=True, tokens=None, **conf):
        cache = tmp_path / 'cache'
        if folder:
            Store.create(cache)
        made.append(proxy := Proxy(cache, tmp_path / 'queue.db', tokens=tokens, **conf))
        proxy.runtime.clock = lambda: NOW
        return proxy
    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def proxy(make):
    return make()


def said(resp):
    """The answer's one sentence."""
    text = resp.body.decode()
    assert text.endswith('\n') and text.count('\n') == 1 and text.isascii()
    return text[:-1]


def records(proxy):
    return proxy.records(Warm | Forget)


# what is taken

def test_an_answer_names_the_node_and_the_container(proxy):
    proxy.runtime.node = 'proxy1:8080'
    resp = proxy.request('POST', FORGET)
    assert (resp.status_int, resp.headers[NODE_HEADER]) == (202, 'proxy1:8080')
    assert said(resp).startswith('forget request for c taken by proxy1:8080; ')


@pytest.mark.parametrize('conf, port', [({}, ''), ({'bind_port': '8080'}, ':8080')])
def test_a_node_is_called_by_its_host_and_its_proxy_servers_port(conf, port):
    assert node_name(conf) == socket.gethostname() + port


@pytest.mark.parametrize('query, kind, told', [
    ('warm&limit=5', Warm, {'limit': 5, 'prefix': ''}),
    ('warm&prefix=p%C3%A9/', Warm, {'limit': 0, 'prefix': 'pé/'}),
    ('warm&limit=1000000000', Warm, {'limit': 10**9}),
    ('forget&name=a%2Fb%0A', Forget, {'object': 'a/b\n', 'prefix': ''}),
    ('forget&name=..', Forget, {'object': '..'}),
    ('forget&name=' + 'x' * 1024, Forget, {'object': 'x' * 1024}),
    ('forget&prefix=p', Forget, {'object': '', 'prefix': 'p'})])
def test_what_is_asked_for_is_recorded(proxy, query, kind, told):
    assert proxy.request('POST', f'{CONTAINER}?prefetch={query}').status_int == 202
    record, = records(proxy)
    assert isinstance(record, kind) and {key: getattr(record, key) for key in told} == told


# what is refused

@pytest.mark.parametrize('query, match', [
    ('prefetch=', 'prefetch=: must be UTF-8, neither empty'),
    ('prefetch', 'prefetch=: must be UTF-8, neither empty'),
    ('prefetch=purge', 'prefetch=purge: must be warm or forget'),
    ('prefetch=Warm', 'must be warm or forget'),
    ('prefetch=warm&prefetch=warm', 'only once'), ('prefetch=warm&prefetch=forget', 'only once'),
    ('prefetch=forget&name=a&name=b', 'only once'),
    ('prefetch=forget&name=', 'name=: must be UTF-8, neither empty'),
    ('prefetch=forget&name', 'neither empty'), ('prefetch=forget&prefix=', 'neither empty'),
    ('prefetch=warm&prefix=', 'neither empty'), ('prefetch=warm&limit=', 'neither empty'),
    ('prefetch=forget&name=%FF', 'name=%FF: must be UTF-8'), ('prefetch=warm&prefix=%C3', 'must be UTF-8'),
    ('prefetch=forget&name=%ED%A0%80', 'must be UTF-8'), ('prefetch=forget&name=a%00b', 'nor with a zero byte'),
    ('prefetch=forget&name=a&prefix=a', 'name and prefix exclude each other'),
    ('prefetch=forget&limit=5', 'limit: prefetch=forget takes prefix and name alone'),
    ('prefetch=warm&name=o', 'name: prefetch=warm takes prefix and limit alone'),
    ('prefetch=forget&perfix=a', 'perfix: prefetch=forget takes'),
    ('prefetch=forget&%0Aname=a', '%0Aname: prefetch=forget takes'),
    ('prefetch=forget&name=' + 'x' * 1025, 'must have at most 1024 bytes'),
    ('prefetch=warm&limit=0', 'limit=0: must be a whole number of objects, from 1 to 1000000000'),
    ('prefetch=warm&limit=1000000001', 'from 1 to'), ('prefetch=warm&limit=-1', 'from 1 to'),
    ('prefetch=warm&limit=1_0', 'from 1 to'), ('prefetch=warm&limit=%D9%A3', 'from 1 to'),
    ('prefetch=warm&limit=' + '9' * 5000, 'limit=' + '9' * 40 + '...: must be')])
def test_an_odd_request_is_refused_in_one_sentence(proxy, query, match):
    resp = proxy.request('POST', f'{CONTAINER}?{query}')
    assert resp.status_int == 400 and match in said(resp)
    assert resp.headers[NODE_HEADER] == proxy.runtime.node
    assert records(proxy) == [] and proxy.asked('POST') == 0


@pytest.mark.parametrize('header', [
    'X-Container-Meta-A', 'X-Remove-Container-Meta-A', 'X-Container-Read', 'X-Remove-Container-Read',
    'X-Container-Sync-To', 'X-Versions-Location'])
def test_what_was_to_be_stored_with_the_container_is_not_lost_silently(proxy, header):
    resp = proxy.request('POST', WARM, **{header: 'x'})
    assert resp.status_int == 400 and said(resp).startswith(f'{header}: send what is to be stored')
    assert records(proxy) == []


def test_other_headers_do_not_matter(proxy):
    assert proxy.request('POST', WARM, X_Delete_At='1', X_Object_Meta_A='b', Content_Type='x').status_int == 202


MISDIRECTED = [('POST', PATH), ('PUT', PATH), ('DELETE', PATH), ('POST', f'{PATH}/'), ('PUT', CONTAINER),
               ('DELETE', CONTAINER), ('DELETE', f'{CONTAINER}/')]


@pytest.mark.parametrize('method, path', MISDIRECTED)
@pytest.mark.parametrize('query', ['prefetch=warm', 'prefetch=forget&name=o', 'a=b&prefetch=warm'])
def test_what_would_act_is_never_passed_on(proxy, method, path, query):
    resp = proxy.request(method, f'{path}?{query}')
    assert resp.status_int == 400 and 'must be a POST to a container' in said(resp)
    assert records(proxy) == [] and proxy.asked(method) == 0


@pytest.mark.parametrize('method, path', [one for one in MISDIRECTED if not one[1].endswith('/')])
@pytest.mark.parametrize('query', ['prefetch', 'prefetch=yes', 'a=b&prefetch=x'])
def test_a_parameter_of_somebody_elses_changes_nothing(proxy, method, path, query):
    assert proxy.request(method, f'{path}?{query}').status_int == 201
    assert proxy.asked(method) == 1


@pytest.mark.parametrize('path', [PATH, CONTAINER])
def test_who_is_not_known_is_not_told_the_node(proxy, monkeypatch, path):
    monkeypatch.setattr('helpers.filter.filtered.allow', lambda req: Response(status=401))
    resp = proxy.request('POST', f'{path}?prefetch=warm')
    assert resp.status_int >= 400 and NODE_HEADER not in resp.headers


def test_of_a_container_that_is_not_there_swift_tells(proxy):
    resp = proxy.request('POST', WARM, info=container_info(404))
    assert NODE_HEADER not in resp.headers and proxy.asked('POST') == 1


def test_without_a_cache_folder_it_is_said_who_makes_it(make):
    proxy = make(folder=False)
    resp = proxy.request('POST', WARM)
    assert resp.status_int == 503 and said(resp).endswith('has no cache folder: is its sidecar running?')
    assert resp.headers[NODE_HEADER] == proxy.runtime.node and proxy.asked('POST') == 0


def test_a_queue_that_takes_nothing_is_said(proxy, monkeypatch):
    def put(record):
        raise QueueError('disk full')
    monkeypatch.setattr(proxy.runtime.recorder, 'put', put)
    resp = proxy.request('POST', WARM)
    assert resp.status_int == 503 and said(resp) == f'the queue of {proxy.runtime.node} takes no records'


# other nodes

TOKEN = Token('old', timestamp='1799999999.00000')


def test_a_purge_of_one_object_ends_its_token(make):
    proxy = make(tokens=(tokens := FakeTokens(TOKEN)))
    assert said(proxy.request('POST', f'{FORGET}&name=o')).endswith(
        'other nodes validate their copies at the next read')
    assert tokens.token.value != TOKEN.value and tokens.token.timestamp == TOKEN.timestamp


@pytest.mark.parametrize('path', [WARM, FORGET, f'{FORGET}&prefix=o', f'{FORGET}&name='])
def test_nothing_else_ends_one(make, path):
    proxy = make(tokens=(tokens := FakeTokens(TOKEN)))
    proxy.request('POST', path)
    assert tokens.token == TOKEN


def test_a_purge_is_taken_without_memcached_and_that_is_said(make):
    proxy = make(tokens=FakeTokens(reachable=False), max_age='60')
    resp = proxy.request('POST', f'{FORGET}&name=o')
    assert resp.status_int == 202 and said(resp).endswith(
        'memcached did not answer, so that other nodes may answer with their copies for up to 60 s')
    assert [record.object for record in records(proxy)] == ['o'] and 'tokens_unreachable' in proxy.counts


@pytest.mark.parametrize('freshness, path, words', [
    ('validate', f'{FORGET}&name=o', 'other nodes validate their copies at each read'),
    ('max-age', f'{FORGET}&name=o', 'other nodes may answer with their copies for up to 600 s'),
    ('validate', FORGET, 'other nodes keep what they have'), ('max-age', WARM, 'other nodes fetch nothing')])
def test_it_is_said_what_other_nodes_make_of_it(make, freshness, path, words):
    assert said(make(freshness=freshness).request('POST', path)).split('; ')[1] == words
