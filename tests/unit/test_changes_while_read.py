"""F6: objects and containers that change while they are read, filled or validated."""
from random import Random

import pytest
from helpers.common.builders import NAME, NOW, FakeTokens, container_info, headers_for, link
from helpers.common.faults import PAGE, PATH, TooLong, no_fd_left
from helpers.filter.filtered import Odd, Proxy, assert_nothing_kept, outcome, plain, word
from swift.common.concurrency import Timeout
from swift.common.swob import Response

from swiftahead.cache import Stamp, Store
from swiftahead.cache.entry import BLOCK
from swiftahead.freshness import Token
from swiftahead.queues import Admit

OLD, LATER = '1799999990.00000', '1799999999.00000'
BODY, NEW = Random(6).randbytes(300_000), Random(7).randbytes(310_000)
TOKEN = Token('t' * 32, timestamp=OLD)


@pytest.fixture(autouse=True)
def bounded():
    with Timeout(30, TooLong):
        yield


@pytest.fixture
def make(tmp_path):
    """A proxy of the mode that is asked for; one object."""
    made = []

    def make(freshness='coherent', token=TOKEN):
        Store.create(tmp_path / 'cache')
        tokens = FakeTokens(token) if freshness == 'coherent' else None
        made.append(Proxy(tmp_path / 'cache', tmp_path / 'queue.db', Odd(NEW), tokens, freshness=freshness))
        made[-1].runtime.clock = lambda: NOW + 10
        made[-1].swift.put(PATH, BODY, timestamp=OLD)
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def proxy(make):
    return make()


# the rest of a body, where the cache failed in the middle

def bad_block(proxy, block=2):
    """An entry that is a hit, with a block that is not."""
    store = proxy.runtime.store()
    path = store.layout.entry(link(store, BODY, Stamp(TOKEN.value, NOW), timestamp=OLD).entry_name)
    with open(path, 'r+b') as file:
        file.seek(PAGE + block * BLOCK)
        file.write(b'\0\1\2\3')


def to_ranges(response):
    return lambda env: response() if 'HTTP_RANGE' in env else None


RESTS = {
    'whole object': lambda: Response(body=BODY, headers=dict(headers_for(BODY, OLD))),
    '404': lambda: Response(status=404),
    '503': lambda: Response(status=503, body=b'sorry'), '416': lambda: Response(status=416),
    '412': lambda: Response(status=412), '304': lambda: Response(status=304),
    'of another etag': lambda: Response(status=206, body=b'x', headers=dict(headers_for(b'x', OLD))),
}


@pytest.mark.holds('F6')
@pytest.mark.parametrize('rest', RESTS)
def test_the_rest_is_of_the_same_version_or_the_connection_closes(proxy, rest):
    bad_block(proxy)
    proxy.swift.odd = to_ranges(RESTS[rest])
    with no_fd_left(proxy.folder):
        status, _, body, broke = outcome(proxy)
    assert (status, body, broke) == (200, BODY[:2 * BLOCK], True)


@pytest.mark.holds('F6')
def test_the_rest_of_an_object_that_was_posted_meanwhile_would_be_of_another_version(proxy):
    """The ETag is the same; the headers that went out already are not."""
    bad_block(proxy)
    proxy.swift.put(PATH, BODY, timestamp=LATER, X_Object_Meta_A='b')
    assert outcome(proxy)[2:] == (BODY[:2 * BLOCK], True)


@pytest.mark.holds('F6')
@pytest.mark.parametrize('break_at', [0, 1])
def test_a_rest_that_breaks_off_ends_the_answer(proxy, break_at):
    bad_block(proxy)

    def broken(env):
        if 'HTTP_RANGE' not in env:
            return None
        headers = dict(proxy.swift.objects[PATH][0], **{'Content-Length': str(len(BODY) - 2 * BLOCK)})
        return Response(status=206, headers=headers, app_iter=pieces(break_at))

    proxy.swift.odd = broken
    assert outcome(proxy)[2:] == (BODY[:2 * BLOCK + 1000 * break_at], True)


def pieces(count):
    for number in range(count):
        yield BODY[2 * BLOCK + number * 1000:][:1000]
    raise ConnectionResetError(104, 'reset by peer')


# writes while a fill is under way

def write_during(proxy, method, at=3):
    """A GET, and a write through the filter when some pieces of it have come."""
    def before(number):
        if number == at:
            assert proxy.request(method).status_int == 201

    proxy.swift.before = before
    answer = proxy.request()
    proxy.swift.before = lambda number: None
    for record in proxy.records(Admit):
        proxy.runtime.store().admit(record.spool_name)
    return answer


@pytest.mark.holds('F6')
@pytest.mark.parametrize('freshness', ['coherent', 'validate'])
@pytest.mark.parametrize('method', ['PUT', 'POST', 'DELETE'])
def test_a_write_during_a_fill_is_seen_by_the_next_reader(make, freshness, method):
    proxy = make(freshness)
    assert write_during(proxy, method).body == BODY
    expected = plain(proxy)
    assert outcome(proxy) == expected
    assert expected[0] == (404 if method == 'DELETE' else 200)


@pytest.mark.holds('F6')
@pytest.mark.parametrize('method', ['PUT', 'POST', 'DELETE'])
def test_who_comes_after_a_write_does_not_join_the_fill_before_it(proxy, method):
    joined = []

    def before(number):
        proxy.swift.before = lambda number: None
        proxy.request(method)
        joined.append((outcome(proxy), plain(proxy)))

    proxy.swift.before = before
    proxy.request()
    assert len(joined) == 1 and joined[0][0] == joined[0][1]


@pytest.mark.holds('F6')
def test_the_same_etag_but_a_newer_timestamp_is_another_version(make):
    proxy = make(token=Token('u' * 32))
    link(proxy.runtime.store(), BODY, Stamp(TOKEN.value, NOW), timestamp=OLD)
    proxy.swift.put(PATH, BODY, timestamp=LATER, X_Object_Meta_A='b')
    answer = proxy.request()
    assert (answer.headers['X-Object-Meta-A'], word(answer)) == ('b', 'fwd=stale; detail=changed; stored')


# a HEAD that is answered oddly

@pytest.mark.holds('F6')
@pytest.mark.parametrize('status', [304, 401, 404, 410, 416, 500, 503, 507])
def test_an_odd_answer_to_the_validation_is_a_miss(make, status):
    proxy = make('validate')
    store = proxy.runtime.store()
    link(store, NEW, Stamp('', NOW), timestamp=OLD)
    proxy.swift.odd = lambda env: Response(status=status) if env['REQUEST_METHOD'] == 'HEAD' else None
    assert outcome(proxy) == plain(proxy)


@pytest.mark.holds('F6')
def test_a_validation_that_raises_is_a_miss(make):
    proxy = make('validate')
    link(proxy.runtime.store(), NEW, Stamp('', NOW), timestamp=OLD)

    def broken(env):
        if env['REQUEST_METHOD'] == 'HEAD':
            raise ValueError('a bug of proxy-server')

    proxy.swift.odd = broken
    assert outcome(proxy) == plain(proxy)


def disagreeing(env):
    """All replicas together know of a newer version than the one that a plain GET finds."""
    newest = {'Etag': 'n' * 32, 'X-Backend-Timestamp': LATER, 'X-Timestamp': LATER}
    return Response(headers=newest) if env.get('HTTP_X_NEWEST') else None


@pytest.mark.holds('F6')
def test_a_replica_that_missed_a_write_is_swifts_answer_and_never_a_hit(make):
    proxy = make('validate')
    proxy.swift.odd = disagreeing
    for _ in range(3):
        assert word(proxy.request()) in ('fwd=miss; stored', 'fwd=stale; detail=changed; stored')
        for record in proxy.records(Admit):
            proxy.runtime.store().admit(record.spool_name)
    assert outcome(proxy) == plain(proxy)


@pytest.mark.holds('F6')
def test_a_replica_that_missed_the_last_known_write_is_not_kept(make):
    proxy = make(token=Token('u' * 32, timestamp=LATER))
    assert word(proxy.request()) == 'fwd=miss'
    assert_nothing_kept(proxy)


# the container

@pytest.mark.holds('F6')
def test_an_entry_of_another_policy_is_a_miss(proxy):
    store = proxy.runtime.store()
    link(store, NEW, Stamp(TOKEN.value, NOW), timestamp=OLD)
    moved = container_info(**{'x-backend-storage-policy-index': '1'})
    answer = proxy.request(info=moved)
    assert (answer.body, word(answer)) == (BODY, 'fwd=stale; detail=policy; stored')
    for record in proxy.records(Admit):
        store.admit(record.spool_name)
    assert (proxy.request(info=moved).body, word(proxy.request(info=moved))) == (BODY, 'hit')
    with store.entry(NAME) as entry:
        assert entry.meta.policy_index == 1


@pytest.mark.holds('F6')
@pytest.mark.parametrize('info', [container_info(404), container_info(503),
                                  container_info(**{'x-container-meta-prefetch': 'off'})])
def test_a_container_that_is_gone_or_wants_none_is_passed_by(proxy, info):
    link(proxy.runtime.store(), NEW, Stamp(TOKEN.value, NOW), timestamp=OLD)
    assert proxy.request(info=info).body == BODY
    assert_nothing_kept(proxy)
