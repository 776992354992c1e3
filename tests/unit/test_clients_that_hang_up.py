"""F5: clients that hang up, are slow, or come a thousand at a time; a backend that is slow or dies."""
import gc
import os
from random import Random

import pytest
from helpers.common.builders import NAME, NOW, FakeTokens, link
from helpers.common.faults import PATH, TooLong, no_fd_left
from helpers.filter.filtered import Proxy, word
from swift.common.concurrency import GreenPool, Timeout, sleep, spawn
from swift.common.utils import FileLikeIter, close_if_possible

from swiftahead.cache import Stamp, Store
from swiftahead.freshness import Token
from swiftahead.middleware.tee import BackendBroke
from swiftahead.queues import Admit

BODY = Random(5).randbytes(300_000)
TOKEN = Token('t' * 32, timestamp='1799999998.00000')
CROWD = 1000


@pytest.fixture(autouse=True)
def bounded():
    """Nobody may hang."""
    with Timeout(30, TooLong):
        yield


@pytest.fixture
def proxy(tmp_path):
    Store.create(tmp_path / 'cache')
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue.db', freshness='coherent', tokens=FakeTokens(TOKEN))
    proxy.runtime.clock = lambda: NOW + 10
    proxy.swift.put(PATH, BODY)
    yield proxy
    proxy.close()


@pytest.fixture
def store(proxy):
    return proxy.runtime.store()


def read_some(resp, count):
    """The first pieces of a body, which is closed then, as a server does when its client has gone."""
    parts = iter(resp.app_iter)
    got = [next(parts) for _ in range(count)]
    close_if_possible(resp.app_iter)
    return b''.join(got)


def assert_nothing_left(proxy):
    """No fill, no answer of the backend's that was not closed, and nothing in the spool that nobody knows of."""
    proxy.settle()
    sleep()
    known = {record.spool_name for record in proxy.records(Admit)}
    assert {item.entry_name for item in proxy.runtime.store().spool_files()} <= known
    assert (proxy.runtime.collapsed_reads.running, proxy.swift.open) == (0, 0)
    return known


# clients that hang up

@pytest.mark.holds('F5')
@pytest.mark.parametrize('size, count', [*((len(BODY), count) for count in range(5)), (60_000, 0), (60_000, 1)])
def test_a_client_that_hangs_up_leaves_a_whole_entry(proxy, store, size, count):
    body = BODY[:size]
    proxy.swift.put(PATH, body)
    with no_fd_left(proxy.folder):
        assert body.startswith(read_some(proxy.begin(), count))
        spool_name, = assert_nothing_left(proxy)
    store.admit(spool_name)
    answer = proxy.request()
    assert (answer.body, word(answer), proxy.asked()) == (body, 'hit', 1)


@pytest.mark.holds('F5')
def test_a_client_that_is_forgotten_unread_leaves_nothing_open(proxy):
    """A server that fails before it reads the body may not even close it."""
    with no_fd_left(proxy.folder):
        resp = proxy.begin()
        proxy.settle()
        del resp
        gc.collect()
    assert_nothing_left(proxy)


@pytest.mark.holds('F5')
def test_hanging_up_twice_is_once(proxy):
    """The last one who reads along still has the file."""
    first, second = proxy.begin(), proxy.begin()
    assert word(second) == 'fwd=miss; collapsed'
    for _ in range(2):
        first.app_iter.close()
    proxy.settle()
    assert b''.join(second.app_iter) == BODY
    second.app_iter.close()


@pytest.mark.holds('F5')
def test_a_crowd_of_which_each_one_hangs_up_at_another_place(proxy):
    with no_fd_left(proxy.folder):
        pool = GreenPool(50)
        got = list(pool.imap(lambda count: read_some(proxy.begin(), count), [n % 5 for n in range(50)]))
        assert all(BODY.startswith(some) for some in got)
        assert len(assert_nothing_left(proxy)) == 1
    assert proxy.asked() == 1


@pytest.mark.holds('F5')
@pytest.mark.parametrize('headers, pieces', [({}, range(4)), ({'Range': 'bytes=10-299990'}, range(4)),
                                             ({'Range': 'bytes=0-9,70000-299990'}, range(6)),
                                             ({'If_None_Match': '*'}, [0]), ({'Range': 'bytes=400000-'}, [0]),
                                             ({'If_Match': '"x"'}, [0]), ({'method': 'HEAD'}, [0])])
def test_a_client_that_hangs_up_during_a_hit_leaves_nothing_open(proxy, store, headers, pieces):
    link(store, BODY, Stamp(TOKEN.value, NOW))
    for count in pieces:
        for end in ('closed', 'dropped'):
            with no_fd_left(proxy.folder):
                resp = proxy.begin(**headers)
                parts = iter(resp.app_iter)
                assert all(next(parts) for _ in range(min(count, 2)))
                if end == 'closed' and hasattr(resp.app_iter, 'close'):
                    resp.app_iter.close()
                del resp, parts
                gc.collect()


@pytest.mark.holds('F5')
@pytest.mark.parametrize('headers', [{'method': 'HEAD'}, {'Range': 'bytes=0-1'}, {'If_None_Match': '*'}])
def test_what_is_not_a_plain_get_leaves_no_fill(proxy, headers):
    with no_fd_left(proxy.folder):
        proxy.request(**headers)
        assert assert_nothing_left(proxy) == set()


@pytest.mark.holds('F5')
def test_what_a_killed_process_left_in_the_spool_is_swept(proxy, store):
    writer = store.writer(link_meta(store))
    writer.write(BODY[:1000])
    writer.close()
    os.utime(writer.path, (NOW - 4000, NOW - 4000))
    assert store.sweep_spool(NOW - 3600) == 1 and list(store.spool_files()) == []


def link_meta(store):
    link(store, BODY)
    with store.entry(NAME) as entry:
        return entry.meta


# a thousand at a time

def crowd(proxy, count=CROWD):
    """What each one of a crowd got: the body as far as it came, and how it ended."""
    def read(_):
        got, ended = [], 'whole'
        try:
            resp = proxy.begin()
            got.extend(resp.app_iter)
        except BackendBroke:
            ended = 'broken'
        close_if_possible(resp.app_iter)
        return b''.join(got), ended

    return list(GreenPool(count).imap(read, range(count)))


@pytest.mark.holds('F5')
def test_a_thousand_readers_are_one_get(proxy):
    proxy.swift.before = lambda number: sleep(0.02)
    with no_fd_left(proxy.folder):
        assert crowd(proxy) == [(BODY, 'whole')] * CROWD
        assert len(assert_nothing_left(proxy)) == 1
    assert proxy.asked() == 1


@pytest.mark.holds('F5')
def test_a_thousand_readers_of_a_small_object_are_one_get_too(proxy):
    proxy.swift.put(PATH, BODY[:60_000])
    proxy.swift.before = lambda number: sleep(0.02)
    with no_fd_left(proxy.folder):
        assert crowd(proxy) == [(BODY[:60_000], 'whole')] * CROWD
        assert len(assert_nothing_left(proxy)) == 1
    assert proxy.asked() == 1


@pytest.mark.holds('F5')
def test_of_a_thousand_readers_of_a_fill_that_dies_one_ends_with_it(proxy):
    """The one whose request it is, as it would have without a cache; the others ask for their rest themselves."""
    proxy.swift.before = lambda number: ConnectionResetError('gone') if number == 3 else sleep(0.01)
    with no_fd_left(proxy.folder):
        assert crowd(proxy) == [(BODY[:150_000], 'broken')] + [(BODY, 'whole')] * (CROWD - 1)
        assert assert_nothing_left(proxy) == set()
    assert proxy.asked() == CROWD
    proxy.swift.before = lambda number: None
    assert (proxy.request().body, proxy.asked()) == (BODY, 1)


@pytest.mark.holds('F5')
def test_the_others_of_a_thousand_go_on_when_the_first_one_is_killed(proxy):
    proxy.swift.before = lambda number: sleep(0.02)
    with no_fd_left(proxy.folder):
        first = spawn(proxy.request)
        sleep()
        others = spawn(crowd, proxy, CROWD - 1)
        while not proxy.runtime.collapsed_reads.running:
            sleep()
        first.kill()
        assert others.wait() == [(BODY, 'whole')] * (CROWD - 1)
        assert_nothing_left(proxy)
    assert proxy.asked() == 1


@pytest.mark.holds('F5')
def test_a_thousand_readers_of_a_spool_that_breaks_ask_once_each_for_the_rest(proxy, monkeypatch):
    """No more than without a cache: and each one for its own rest alone."""
    def full(*_):
        raise OSError(28, 'No space left on device')

    def before(number):
        if number == 3:
            monkeypatch.setattr(os, 'pwrite', full)
        sleep(0.01)

    proxy.swift.before = before
    with no_fd_left(proxy.folder):
        assert crowd(proxy) == [(BODY, 'whole')] * CROWD
        monkeypatch.undo()
        assert assert_nothing_left(proxy) == set()
    ranges = [headers.get('HTTP_RANGE') for _, _, headers in proxy.swift.requests]
    assert ranges == [None] + ['bytes=150000-299999'] * CROWD
    assert len(proxy.log.errors) == 1


@pytest.mark.holds('F5')
def test_without_tokens_a_thousand_readers_are_a_thousand_gets_and_one_entry(proxy):
    """Nobody can tell then whether what is being filled is older than a write that was acknowledged meanwhile."""
    proxy.runtime.tokens.ring.reachable = False
    with no_fd_left(proxy.folder):
        assert crowd(proxy) == [(BODY, 'whole')] * CROWD
        assert len(assert_nothing_left(proxy)) == 1
    assert proxy.asked() == CROWD


@pytest.mark.holds('F5')
def test_a_thousand_readers_of_an_entry_that_goes_bad_meanwhile(proxy, store):
    path = store.layout.entry(link(store, BODY, Stamp(TOKEN.value, NOW)).entry_name)
    with no_fd_left(proxy.folder):
        waiting = spawn(crowd, proxy)
        sleep()
        with open(path, 'r+b') as file:
            file.seek(4096 + 280_000)
            file.write(bytes(1000))
        assert waiting.wait() == [(BODY, 'whole')] * CROWD
    assert 0 < proxy.asked() <= CROWD


# slow clients

def by_bytes(resp, meanwhile):
    """A body, read byte by byte; after the first one, something happens."""
    slow = FileLikeIter(resp.app_iter)
    got = [slow.read(1)]
    meanwhile()
    while got[-1]:
        got.append(slow.read(1))
    resp.app_iter.close()
    return b''.join(got)


@pytest.mark.holds('F5')
def test_a_slow_client_of_an_entry_that_is_evicted_and_replaced(proxy, store):
    linked = link(store, BODY, Stamp(TOKEN.value, NOW))

    def evict():
        assert store.drop(linked.entry_name)
        link(store, BODY[::-1], timestamp='1800000000.00000')

    with no_fd_left(proxy.folder):
        assert by_bytes(proxy.begin(), evict) == BODY
    assert proxy.asked() == 0


@pytest.mark.holds('F5')
def test_a_slow_client_of_a_fill_that_is_admitted_and_dropped(proxy, store):
    def admit_and_drop():
        proxy.settle()
        record, = proxy.records(Admit)
        assert store.drop(store.admit(record.spool_name).entry_name)

    with no_fd_left(proxy.folder):
        assert by_bytes(proxy.begin(), admit_and_drop) == BODY
    assert proxy.asked() == 1


@pytest.mark.holds('F5')
def test_a_slow_client_does_not_slow_a_fill(proxy):
    resp = proxy.begin()
    assert len(assert_nothing_left(proxy)) == 1
    assert b''.join(resp.app_iter) == BODY
    resp.app_iter.close()
