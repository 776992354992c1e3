"""The fetcher, with a real InternalClient over a small app and a real spool."""
import os
import time

import pytest
from helpers.common.builders import NAME, NOW, FakeCluster, FakeTokens, spool
from helpers.common.timing import is_quick
from swift.common.exceptions import ChunkReadTimeout

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.freshness import Token
from swiftahead.sidecar.prefetcher.backend_client import (
    CONTAINER_SECONDS,
    BackendClient,
    BackendFailed,
    Container,
    FetchLimits,
    NotFetched,
)
from swiftahead.sidecar.prefetcher.congestion import Congestion

BODY = os.urandom(150_000)
CONTAINER = '/v1/AUTH_test/c'
LATER = '1800000001.00000'


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def cluster():
    cluster = FakeCluster()
    cluster.put(NAME, BODY)
    return cluster


@pytest.fixture
def make(cluster, store):
    def make(tokens=None, max_object_size=2**20):
        return BackendClient(cluster.client(), store, tokens, FetchLimits(max_object_size), lambda: NOW)
    return make


def fetched(store, fetcher, name=NAME):
    """The entry that a fetch makes, linked and open."""
    spool_name, length = fetcher.fetch(name, 'prefetch', Congestion(1))
    store.admit(spool_name)
    entry = store.entry(name)
    assert entry.meta.body_length == length
    return entry


def refused(store, fetcher, match=None, error=NotFetched):
    with pytest.raises(error, match=match):
        fetcher.fetch(NAME, 'prefetch', Congestion(1))
    assert list(store.spool_files()) == []


def test_an_object_is_fetched_whole(make, store, cluster):
    cluster.containers[CONTAINER]['X-Backend-Storage-Policy-Index'] = '3'
    with fetched(store, make()) as entry:
        assert b''.join(entry.blocks(0, len(BODY))) == BODY
        assert (entry.meta.origin, entry.meta.policy_index, entry.meta.fetched_at) == ('prefetch', 3, NOW)


def test_an_empty_object_is_fetched(make, store, cluster):
    cluster.put(NAME, b'', chunks=[])
    with fetched(store, make()) as entry:
        assert entry.meta.body_length == 0


def test_a_name_that_needs_quoting_is_fetched(make, store, cluster):
    name = ObjectName('AUTH_test', 'c', 'ü %2F?#/ö')
    cluster.put(name, BODY)
    with fetched(store, make(), name) as entry:
        assert entry.meta.name == name


@pytest.mark.parametrize('tokens, newest', [
    (None, 'true'), (FakeTokens(reachable=False), 'true'), (FakeTokens(Token('abc')), 'true'),
    (FakeTokens(Token('abc', timestamp='1799999999.00000')), None)])
def test_all_replicas_are_asked_where_no_token_tells_how_old_an_answer_may_be(make, cluster, tokens, newest):
    make(tokens).fetch(NAME, 'warm', Congestion(1))
    env, = (env for method, path, env in cluster.requests if path == '/v1' + NAME.path)
    assert env.get('HTTP_X_NEWEST') == newest


def test_the_filter_is_told_to_stay_out(make, cluster):
    make().fetch(NAME, 'warm', Congestion(1))
    assert cluster.requests[-1][2]['HTTP_X_NO_PREFETCH'] == 'true'


def test_what_is_of_the_answer_and_not_of_the_object_is_not_kept(make, store, cluster):
    cluster.put(NAME, BODY, X_Trans_Id='tx1', Date='today', X_Object_Meta_A='a')
    with fetched(store, make()) as entry:
        assert entry.meta.header('x-object-meta-a') == 'a'
        assert entry.meta.header('x-trans-id') is entry.meta.header('date') is None


def test_it_is_stamped_with_the_token_that_is_there(make, store):
    with fetched(store, make(FakeTokens(Token('abc')))) as entry:
        assert (entry.stamp.token, entry.stamp.at) == ('abc', NOW)


def test_it_is_stamped_with_a_token_set_before_the_backend_is_asked(make, store, cluster):
    tokens = FakeTokens()
    known = []
    cluster.put(NAME, BODY, chunks=[lambda: known.append(tokens.token), BODY])
    with fetched(store, make(tokens)) as entry:
        assert known[0] is not None and entry.stamp.token == known[0].value


@pytest.mark.parametrize('tokens', [
    None, FakeTokens(reachable=False), FakeTokens(Token('abc', pending=True))],
    ids=['none', 'unreachable', 'pending'])
def test_it_is_not_stamped_without_a_token_that_can_be_trusted(make, store, tokens):
    with fetched(store, make(tokens)) as entry:
        assert entry.stamp is None


def test_an_answer_as_new_as_the_last_write_is_taken(make, store):
    with fetched(store, make(FakeTokens(Token('abc', timestamp='1799999999.00000')))) as entry:
        assert entry.stamp.token == 'abc'


@pytest.mark.parametrize('pending', [False, True])
def test_an_answer_older_than_the_last_write_is_refused(make, store, pending):
    refused(store, make(FakeTokens(Token('abc', pending, LATER))), 'missed a write')


@pytest.mark.parametrize('wish', ['no-store', 'Private, max-age=5'])
def test_what_is_not_to_be_stored_is_refused_and_the_body_closed(make, store, cluster, wish):
    cluster.put(NAME, BODY, Cache_Control=wish)
    refused(store, make(), 'stored-cache-control')
    assert cluster.bodies[-1].closed


def test_what_has_no_length_is_refused(make, store, cluster):
    headers, chunks = cluster.objects['/v1' + NAME.path]
    cluster.objects['/v1' + NAME.path] = [pair for pair in headers if pair[0] != 'Content-Length'], chunks
    refused(store, make(), 'no-length')


def test_what_is_too_large_is_refused(make, store):
    refused(store, make(max_object_size=len(BODY) - 1), 'too-large')
    assert make(max_object_size=len(BODY)).fetch(NAME, 'warm', Congestion(1))[1] == len(BODY)


@pytest.mark.parametrize('wish', ['off', 'no', 'false'])
def test_a_container_may_opt_out(make, store, cluster, wish):
    cluster.containers[CONTAINER]['X-Container-Meta-Prefetch'] = wish
    refused(store, make(), 'opted out')
    assert cluster.asked('GET') == []


def test_a_container_that_says_on_has_not_opted_out(make, cluster):
    cluster.containers[CONTAINER]['X-Container-Meta-Prefetch'] = 'on'
    assert make().fetch(NAME, 'warm', Congestion(1))[1] == len(BODY)


def test_in_a_container_that_is_not_there_nothing_is_asked_for(make, store, cluster):
    cluster.containers.clear()
    refused(store, make(), 'container: .*404')
    assert cluster.asked('GET') == []


def test_an_object_that_is_not_there_is_refused(make, store, cluster):
    cluster.objects.clear()
    refused(store, make(), '404')


def test_only_a_whole_answer_is_taken(make, store, cluster):
    cluster.failing['/v1' + NAME.path] = '206 Partial Content'
    refused(store, make(), '206')


@pytest.mark.parametrize('chunks', [[BODY[:-1]], []])
def test_a_short_body_is_refused(make, store, cluster, chunks):
    cluster.put(NAME, BODY, chunks=chunks)
    refused(store, make(), 'were announced')


def test_a_body_that_is_too_long_is_refused(make, store, cluster):
    cluster.put(NAME, BODY, chunks=[BODY, b'x'])
    refused(store, make(), 'were announced')


@pytest.mark.parametrize('error', [OSError('gone'), ChunkReadTimeout()])
def test_a_body_that_breaks_off_leaves_nothing(make, store, cluster, error):
    cluster.put(NAME, BODY, chunks=[BODY[:1000], error])
    refused(store, make(), error=type(error))
    assert cluster.bodies[-1].closed


def test_headers_too_large_for_an_entry_are_refused(make, store, cluster):
    cluster.put(NAME, BODY, X_Object_Meta_A='a' * 70_000)
    refused(store, make(), 'do not fit')


def test_a_container_is_looked_up_once_a_minute(make, cluster):
    fetcher, now = make(), [0.0]
    # the same cache, by a clock of our own
    fetcher._containers = type(fetcher._containers)(10, CONTAINER_SECONDS, timer=lambda: now[0])
    for second in (0.0, 59.0, 61.0):
        now[0] = second
        assert fetcher.container('AUTH_test', 'c') == Container(0, False)
    assert len(cluster.asked('HEAD')) == 2


def test_a_container_that_is_not_there_is_looked_up_each_time(make, cluster):
    cluster.failing[CONTAINER] = '404 Not Found'
    fetcher = make()
    for _ in range(2):
        with pytest.raises(NotFetched):
            fetcher.container('AUTH_test', 'c')
    cluster.failing.clear()
    assert fetcher.container('AUTH_test', 'c') == Container(0, False)


def test_a_listing_has_names_and_lengths_in_order(make, cluster):
    for object_, length in (('b', 20), ('a', 10), ('ä', 30)):
        cluster.put(ObjectName('AUTH_test', 'c', object_), bytes(length))
    assert list(make().listing('AUTH_test', 'c', '')) == [
        (ObjectName('AUTH_test', 'c', object_), length)
        for object_, length in (('a', 10), ('b', 20), ('o', len(BODY)), ('ä', 30))]


def test_a_listing_by_prefix(make, cluster):
    cluster.put(ObjectName('AUTH_test', 'c', 'ä/1'), b'x')
    assert list(make().listing('AUTH_test', 'c', 'ä/')) == [(ObjectName('AUTH_test', 'c', 'ä/1'), 1)]


def test_a_container_that_cannot_be_listed_is_said(make, cluster):
    cluster.failing[CONTAINER] = '503 Service Unavailable'
    with pytest.raises(NotFetched, match='listing: .*503'):
        list(make().listing('AUTH_test', 'c', ''))


def test_the_listing_of_a_container_that_is_not_there_is_empty(make, cluster):
    cluster.containers.clear()
    assert list(make().listing('AUTH_test', 'c', '')) == []


# the pace and the spool

@pytest.mark.parametrize('status, kind', [
    ('503 Service Unavailable', BackendFailed), ('507 Insufficient Storage', BackendFailed),
    ('498 Rate Limited', BackendFailed), ('404 Not Found', NotFetched), ('403 Forbidden', NotFetched)])
def test_a_backend_that_fails_is_told_from_an_object_that_is_not_to_be_had(make, cluster, status, kind):
    cluster.failing['/v1' + NAME.path] = status
    with pytest.raises(NotFetched) as raised:
        make().fetch(NAME, 'prefetch', Congestion(1))
    assert raised.type is kind


def test_the_pace_is_told_of_the_answer_and_of_each_byte(make, cluster):
    class Told(Congestion):
        bytes = answers = 0

        def answered(self, seconds, now):
            self.answers += 1

        def took(self, size, now):
            self.bytes += size
            return 0.0

    cluster.put(NAME, BODY, chunks=[BODY[:70_000], BODY[70_000:]])
    pace = Told(1)
    make().fetch(NAME, 'prefetch', pace)
    assert (pace.answers, pace.bytes) == (1, len(BODY))


def test_a_fetch_takes_as_long_as_the_pace_says(make, store, cluster):
    cluster.put(NAME, BODY, chunks=[BODY[start:start + 30_000] for start in range(0, len(BODY), 30_000)])
    fetcher = BackendClient(cluster.client(), store, None, FetchLimits(2**20))

    def at_once():
        begin = time.monotonic()
        fetcher.fetch(NAME, 'prefetch', Congestion(1, 1_000_000))
        return time.monotonic() - begin
    # a second's worth
    assert is_quick(at_once, 1)
    pace = Congestion(1, 500_000)
    pace.took(500_000, time.time())
    begin = time.monotonic()
    fetcher.fetch(NAME, 'prefetch', pace)
    assert time.monotonic() - begin >= 0.9 * len(BODY) / 500_000


@pytest.mark.parametrize('room, fits', [(-1, False), (0, False), (10_000, True)])
def test_what_does_not_fit_the_spool_is_not_fetched(make, store, cluster, room, fits):
    other = spool(store, bytes(50_000))
    held = store.spool_bytes()
    fetcher = BackendClient(cluster.client(), store, None, FetchLimits(2**20, held + len(BODY) + room))
    if fits:
        fetcher.fetch(NAME, 'prefetch', Congestion(1))
    else:
        with pytest.raises(NotFetched, match='spool is full'):
            fetcher.fetch(NAME, 'prefetch', Congestion(1))
        assert [item.entry_name for item in store.spool_files()] == [other]
