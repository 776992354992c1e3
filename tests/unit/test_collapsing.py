"""Reading along with what is under way: who may, for how long, and what becomes of those who wait in vain."""
import os
import time
from dataclasses import replace

import pytest
from helpers.common.builders import NAME, NOW, FakeTokens, container_info, link
from helpers.common.faults import PATH
from helpers.filter.filtered import Backend, Proxy, word
from swift.common.concurrency import Event, GreenPool, Timeout, sleep, spawn
from swift.common.swob import Response

from swiftahead.cache import EntryMeta, Stamp, Store
from swiftahead.freshness import UNKNOWN, Token, TokenReading
from swiftahead.middleware import collapsing, get
from swiftahead.middleware.collapsing import LINGERING, CollapsedReads, SmallAnswer

BODY = os.urandom(300_000)
TOKEN = Token('a' * 32, timestamp='1799999999.00000')
KNOWN = TokenReading(TOKEN, reachable=True)
SMALL = SmallAnswer('200 OK', [], EntryMeta(NAME, 0, (), 3, 'read', NOW), b'abc')


class Gated(Backend):
    """Answers a GET when it is told to."""

    def __init__(self):
        super().__init__()
        self.gate = Event()

    def __call__(self, env, start_response):
        answer = super().__call__(env, start_response)
        if env['REQUEST_METHOD'] == 'GET':
            self.gate.wait()
        return answer


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def make(tmp_path, store):
    made = []

    def proxy(backend=None, tokens=None, freshness='coherent', **conf):
        tokens = tokens or FakeTokens(TOKEN) if freshness == 'coherent' else None
        made.append(Proxy(tmp_path / 'cache', tmp_path / 'queue.db', backend or Gated(), tokens,
                          freshness=freshness, **conf))
        made[-1].swift.put(PATH, BODY)
        return made[-1]

    yield proxy
    for one in made:
        one.close()


@pytest.fixture
def proxy(make):
    return make()


def crowd(proxy, count, **asked):
    pool = GreenPool(count)
    readers = [pool.spawn(proxy.request, **asked) for _ in range(count)]
    sleep()
    return readers


def words(readers):
    with Timeout(30):
        return sorted(word(reader.wait()) for reader in readers)


# who comes before the answer

@pytest.mark.parametrize('size', [10, len(BODY)])
def test_who_comes_before_the_answer_has_begun_reads_along(proxy, size):
    proxy.swift.put(PATH, BODY[:size])
    readers = crowd(proxy, 20)
    proxy.swift.gate.send()
    assert words(readers) == ['fwd=miss; collapsed'] * 19 + ['fwd=miss; stored']
    assert {reader.wait().body for reader in readers} == {BODY[:size]} and proxy.asked() == 1


def test_an_object_that_memcached_knows_nothing_of_is_read_along_too(make):
    proxy = make(tokens=FakeTokens(None))
    readers = crowd(proxy, 5)
    proxy.swift.gate.send()
    assert words(readers) == ['fwd=miss; collapsed'] * 4 + ['fwd=miss; stored']


@pytest.mark.parametrize('freshness, joins', [('max-age', 4), ('validate', 0)])
def test_in_the_other_modes(make, freshness, joins):
    proxy = make(freshness=freshness)
    readers = crowd(proxy, 5)
    proxy.swift.gate.send()
    assert sum(told.endswith('collapsed') for told in words(readers)) == joins


@pytest.mark.parametrize('token', [Token('b' * 32, timestamp='1800000001.00000'), Token('b' * 32, pending=True)])
def test_who_knows_of_a_write_since_does_not_read_along(proxy, token):
    first = spawn(proxy.request)
    sleep()
    proxy.runtime.tokens.ring.token = token
    second = spawn(proxy.request)
    sleep()
    proxy.swift.gate.send()
    assert 'collapsed' not in f'{word(first.wait())}{word(second.wait())}' and proxy.asked() == 2


def test_who_comes_after_a_write_reads_along_with_who_came_after_it_too(proxy):
    readers = crowd(proxy, 1)
    proxy.runtime.tokens.ring.token = Token('b' * 32, timestamp=TOKEN.timestamp)
    readers += crowd(proxy, 3)
    proxy.swift.gate.send()
    assert words(readers) == ['fwd=miss', *['fwd=miss; collapsed'] * 2, 'fwd=miss; stored']


def test_who_cannot_ask_memcached_does_not_read_along(proxy):
    readers = crowd(proxy, 1)
    proxy.runtime.tokens.ring.reachable = False
    readers += crowd(proxy, 1)
    proxy.swift.gate.send()
    assert words(readers) == ['fwd=miss', 'fwd=miss; stored']


def test_who_asks_under_another_policy_does_not_read_along(proxy):
    readers = crowd(proxy, 1)
    readers += crowd(proxy, 1, info=container_info(**{'x-backend-storage-policy-index': '1'}))
    proxy.swift.gate.send()
    assert words(readers) == ['fwd=miss', 'fwd=miss; stored']


def test_what_a_head_has_just_told_of_is_not_read_along_in_an_older_version(proxy, store):
    """Written past the filters: the entry's time is over, and a HEAD tells of another version."""
    proxy.swift.gate.send()
    assert word(proxy.request()) == 'fwd=miss; stored'
    link(store, BODY, Stamp(TOKEN.value, NOW))
    proxy.swift.put(PATH, BODY[::-1], timestamp='1800000009.00000')
    resp = proxy.request()
    assert (word(resp), resp.body) == ('fwd=stale; detail=changed', BODY[::-1])


# who waits in vain

@pytest.mark.parametrize('status', [404, 500])
def test_an_answer_that_cannot_be_read_along_is_waited_for_once(proxy, status):
    del proxy.swift.objects[PATH]
    readers = crowd(proxy, 5)
    proxy.swift.gate.send()
    assert words(readers) == ['fwd=miss'] * 5 and proxy.asked() == 5
    proxy.swift.gate = Event()
    again = crowd(proxy, 5)
    # nobody waits for anybody: all have asked already
    assert proxy.asked() == 5
    proxy.swift.gate.send()
    assert words(again) == ['fwd=miss'] * 5


def test_after_a_write_it_is_waited_for_again(proxy):
    del proxy.swift.objects[PATH]
    proxy.swift.gate.send()
    assert word(proxy.request()) == 'fwd=miss'
    proxy.swift.put(PATH, BODY)
    proxy.runtime.tokens.ring.token = Token('b' * 32, timestamp=TOKEN.timestamp)
    assert words(crowd(proxy, 3)) == ['fwd=miss; collapsed'] * 2 + ['fwd=miss; stored']


def test_a_backend_that_hangs_is_not_waited_for_by_the_others_for_ever(proxy, monkeypatch):
    monkeypatch.setattr(collapsing.CollapsedRead.wait, '__defaults__', (0.01,))
    readers = crowd(proxy, 3)
    with Timeout(20):
        while proxy.swift.open < 3:
            sleep(0.001)
    proxy.swift.gate.send()
    assert {reader.wait().body for reader in readers} == {BODY}


@pytest.mark.parametrize('error', [OSError('gone'), Timeout(None)])
def test_an_app_that_raises_leaves_nobody_waiting(proxy, error):
    failing = [error]
    inner = proxy.swift.__call__

    def odd(env, start_response):
        if failing:
            proxy.swift.gate.wait()
            raise failing.pop()
        return inner(env, start_response)

    proxy.app.app = odd
    first = spawn(lambda: pytest.raises(type(error), proxy.request))
    sleep()
    second = spawn(proxy.request)
    sleep()
    proxy.swift.gate.send()
    first.wait()
    assert second.wait().body == BODY and proxy.runtime.collapsed_reads.running == 0


# who meets an entry that has to be validated

class GatedHeads(Gated):
    """Answers a HEAD when it is told to."""

    def __call__(self, env, start_response):
        answer = Backend.__call__(self, env, start_response)
        if env['REQUEST_METHOD'] == 'HEAD':
            self.gate.wait()
        return answer


@pytest.fixture
def stale(make, store):
    """A filter with an entry that no token vouches for."""
    link(store, BODY, Stamp('f' * 32, time.time()))
    return make(GatedHeads())


def test_an_entry_is_validated_once_for_all_who_meet_it(stale):
    readers = crowd(stale, 10)
    stale.swift.gate.send()
    assert words(readers) == ['hit; detail=validated'] * 10
    assert (stale.asked('HEAD'), stale.runtime.validations) == (1, {})


def test_an_entry_that_has_changed_is_one_get_for_all_who_meet_it(stale):
    stale.swift.put(PATH, BODY[::-1], timestamp='1800000009.00000')
    readers = crowd(stale, 10)
    stale.swift.gate.send()
    assert words(readers) == ['fwd=miss; collapsed'] * 9 + ['fwd=stale; detail=changed; stored']
    assert {reader.wait().body for reader in readers} == {BODY[::-1]}
    assert sorted(method for method, _, _ in stale.swift.requests) == ['GET', 'HEAD']


def test_who_knows_of_a_write_since_asks_for_himself(stale):
    readers = crowd(stale, 2)
    stale.runtime.tokens.ring.token = Token('b' * 32, timestamp=TOKEN.timestamp)
    readers += crowd(stale, 2)
    stale.swift.gate.send()
    assert words(readers) == ['hit; detail=validated'] * 4 and stale.asked('HEAD') == 2


@pytest.mark.parametrize('change', ['unreachable', 'validate'])
def test_where_nobody_can_tell_everybody_asks(stale, change):
    if change == 'validate':
        stale.runtime.settings = replace(stale.runtime.settings, freshness='validate')
    else:
        stale.runtime.tokens.ring.reachable = False
    readers = crowd(stale, 3)
    stale.swift.gate.send()
    assert words(readers) == ['hit; detail=validated'] * 3 and stale.asked('HEAD') == 3


def test_a_validation_that_fails_fails_for_one(stale, monkeypatch):
    failing, inner = [OSError('gone')], get.newest_version

    def newest(*args):
        sleep()
        if failing:
            raise failing.pop()
        return inner(*args)

    monkeypatch.setattr(get, 'newest_version', newest)
    readers = crowd(stale, 3)
    stale.swift.gate.send()
    assert {reader.wait().body for reader in readers} == {BODY} and stale.runtime.validations == {}


# the first client

def test_a_first_client_that_is_gone_before_the_answer_takes_nobody_with_it(proxy):
    first = spawn(proxy.request)
    sleep()
    others = crowd(proxy, 3)
    first.kill()
    proxy.swift.gate.send()
    assert {reader.wait().body for reader in others} == {BODY}
    assert proxy.runtime.collapsed_reads.running == 0


# lingering

def test_until_it_is_admitted_what_was_captured_is_read_along(proxy):
    proxy.swift.gate.send()
    assert [word(proxy.request()) for _ in range(2)] == ['fwd=miss; stored', 'fwd=miss; collapsed']
    assert proxy.asked() == 1


@pytest.mark.parametrize('why', ['admitted', 'too long'])
def test_what_lingers_is_let_go(monkeypatch, why):
    monkeypatch.setattr(collapsing, 'LOOK_SECONDS', 0.001)
    monkeypatch.setattr(collapsing, 'LINGER_SECONDS', 20 if why == 'admitted' else 0.01)
    collapsed_reads, left = CollapsedReads(), [True] * 5
    collapsed = collapsed_reads.begin(NAME, KNOWN, 0, NOW)
    collapsed.share(SMALL)
    collapsed_reads.end(collapsed, lambda: why == 'too long' or bool(left and left.pop()))
    assert collapsed_reads.get(NAME) is collapsed and collapsed.wait() is SMALL
    with Timeout(20):
        while collapsed_reads.get(NAME) is not None:
            sleep(0.001)
    assert collapsed.wait() is None and bool(left) is (why == 'too long')


def test_not_many_linger_at_once():
    collapsed_reads = CollapsedReads()
    for number in range(LINGERING + 10):
        collapsed = collapsed_reads.begin(NAME.__class__('a', 'c', str(number)), KNOWN, 0, NOW)
        collapsed.share(SMALL)
        collapsed_reads.end(collapsed, lambda: True)
    left = [number for number in range(LINGERING + 10)
            if collapsed_reads.get(NAME.__class__('a', 'c', str(number)))]
    assert left == list(range(LINGERING))
    collapsed_reads.close()


def test_an_older_flight_that_ends_leaves_the_newer_one():
    collapsed_reads = CollapsedReads()
    older, newer = collapsed_reads.begin(NAME, KNOWN, 0, NOW), collapsed_reads.begin(NAME, UNKNOWN, 0, NOW)
    collapsed_reads.end(older)
    assert collapsed_reads.get(NAME) is newer and collapsed_reads.running == 1


@pytest.mark.parametrize('method', ['PUT', 'POST', 'DELETE'])
def test_a_write_through_this_worker_ends_what_lingers_in_every_mode(make, method):
    proxy = make(freshness='max-age')
    proxy.swift.gate.send()
    assert word(proxy.request()) == 'fwd=miss; stored'
    assert proxy.request(method).status_int == 201
    assert 'collapsed' not in word(proxy.request())


# what the sidecar is fetching

def test_a_get_that_meets_a_fetch_waits_for_it(make, store):
    proxy = make(fetch_wait='20')
    with store.fetching(NAME):
        waiting = spawn(proxy.request)
        sleep(0.02)
        assert proxy.asked() == 0
        link(store, BODY, Stamp(TOKEN.value, time.time()), origin='prefetch')
    resp = waiting.wait()
    assert (word(resp), resp.body, proxy.asked()) == ('hit', BODY, 0)
    assert proxy.counts.count('awaited.in-time') == 1


def test_a_fetch_that_brings_nothing_is_not_waited_for_longer(make, store):
    proxy = make(fetch_wait='20')
    proxy.swift.gate.send()
    with store.fetching(NAME):
        waiting = spawn(proxy.request)
        sleep(0.02)
    assert word(waiting.wait()) == 'fwd=miss; stored'


def test_a_fetch_that_takes_long_is_waited_for_once_and_not_for_long(make, store):
    proxy = make(fetch_wait='0.02')
    proxy.swift.gate.send()
    with store.fetching(NAME):
        assert word(proxy.request()) == 'fwd=miss; stored'
        assert NAME in proxy.runtime.waited_in_vain
        assert proxy.counts.count('awaited.in-vain') == 1


def test_each_answer_of_swift_tells_how_long_to_wait(make, store):
    proxy = make(fetch_wait='60')
    proxy.swift.gate.send()
    proxy.request()
    assert proxy.runtime.fetch_wait.seconds(0.0) < 60


def test_nobody_waits_much_longer_than_swift_takes_to_answer(make, store):
    proxy = make(fetch_wait='60')
    proxy.swift.gate.send()
    proxy.runtime.fetch_wait.answered(0.01)
    with store.fetching(NAME), Timeout(30):
        assert word(proxy.request()) == 'fwd=miss; stored'


def test_a_fetch_that_ends_later_than_swift_would_answer_is_not_waited_for(make, store):
    proxy = make(fetch_wait='60')
    proxy.swift.gate.send()
    proxy.runtime.fetch_wait.answered(1.0)
    with store.fetching(NAME, time.time() + 1000):
        assert word(proxy.request()) == 'fwd=miss; stored'
        assert NAME not in proxy.runtime.waited_in_vain
    assert proxy.counts.count('awaited.not') == 1


@pytest.mark.parametrize('method, headers', [('HEAD', {})])
def test_a_head_does_not_wait(make, store, method, headers):
    proxy = make(fetch_wait='60')
    with store.fetching(NAME), Timeout(30):
        assert proxy.request(method, **headers).status_int == 200


def test_a_file_that_a_killed_sidecar_left_means_nothing_and_is_swept(store):
    (store.layout.fetching / store.naming.entry(NAME)).touch()
    assert not store.is_fetching(NAME)
    store.lock().close()
    assert not list(store.layout.fetching.iterdir())


def test_a_folder_of_an_older_version_means_nothing(store):
    store.layout.fetching.rmdir()
    assert not store.is_fetching(NAME)
    with store.fetching(NAME):
        pass


def test_when_a_fetch_will_end_is_told_as_long_as_it_lasts(store):
    with store.fetching(NAME, 1234.5):
        assert store.expected_at(NAME) == 1234.5
    assert store.expected_at(NAME) is None


def test_a_stop_of_the_fetch_is_seen_from_other_processes(store):
    with store.fetching(NAME):
        assert store.is_fetching(NAME)
    assert not store.is_fetching(NAME) and not list(store.layout.fetching.iterdir())


def test_an_odd_answer_is_nobody_elses(proxy):
    """A backend that answers what it was not asked for: only the one who asked gets it."""
    proxy.swift.gate.send()
    proxy.app.app = Response(status=206, body=b'x', headers={'Content-Range': 'bytes 0-0/9'})
    assert [resp.status_int for resp in (proxy.request(), proxy.request())] == [206, 206]
