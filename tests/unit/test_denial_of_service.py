"""A10, denial of service: what one client may cost the others, and what it may make the node do."""

import pytest
from helpers.cache.cache_managers import UNIT, admit, cached, make_manager, name_of
from helpers.common.builders import NOW, container_info, link
from helpers.common.faults import PATH, alarm
from helpers.filter.filtered import Proxy, seen, tell
from swift.common import constraints
from swift.common.concurrency import spawn
from swift.common.swob import Response

from swiftahead.cache import Stamp, Store
from swiftahead.cache.headers import wishes_of
from swiftahead.conf.names import KEY_BYTES, Naming, ObjectName
from swiftahead.middleware.decide import part_of
from swiftahead.queues import Access, Admit, Forget, Warm, open_queue
from swiftahead.sidecar.status.formats import choose_encoder

WARM = '/v1/AUTH_test/c?prefetch=warm'
# what Swift's HTTP server takes of one header at most
HEADER = constraints.MAX_HEADER_SIZE


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def proxy(store, tmp_path):
    proxy = Proxy(store.layout.cache_dir, tmp_path / 'queue.db')
    proxy.runtime.clock = lambda: NOW
    yield proxy
    proxy.close()


# one-hit wonders, and objects that would take all

@pytest.mark.holds('A10')
def test_what_is_read_again_outlives_a_flood_of_what_is_read_once(store):
    manager = make_manager(store, size=20 * UNIT)
    admit(manager, 0)
    for number in range(1, 200):
        manager.touch(store.naming.entry(name_of(0)))
        admit(manager, number)
    assert 0 in cached(store, 200) and manager.inventory.total <= 20 * UNIT


@pytest.mark.holds('A10')
def test_what_is_fetched_ahead_evicts_nothing_that_is_in_use(store):
    manager = make_manager(store, size=10 * UNIT)
    for number in range(8):
        admit(manager, number)
    before = cached(store)
    for number in range(100, 150):
        admit(manager, number, origin='prefetch')
    assert set(before) <= set(cached(store, 150))


@pytest.mark.holds('A10')
def test_an_object_above_the_limit_is_neither_kept_nor_counted_as_room(store, tmp_path):
    tell(store.layout.cache_dir, max_object_size=1024)
    proxy = Proxy(store.layout.cache_dir, tmp_path / 'queue.db')
    proxy.swift.put(PATH, b'x' * 1025)
    assert [len(proxy.request().body) for _ in range(3)] == [1025] * 3
    assert proxy.records(Admit) == [] and list(store.spool_files()) == []
    proxy.close()


@pytest.mark.holds('A10')
def test_a_flood_of_misses_fills_no_more_than_the_spool(store, tmp_path):
    tell(store.layout.cache_dir, free_space=0)
    proxy = Proxy(store.layout.cache_dir, tmp_path / 'queue.db', spool_size=str(20 * UNIT))
    for number in range(100):
        proxy.swift.put(f'/v1/AUTH_test/c/{number}', b'x' * 4000)
        assert proxy.request(path=f'/v1/AUTH_test/c/{number}').status_int == 200
    # bodies are counted at once, what a file takes besides when the spool is measured again
    assert 0 < sum(1 for _ in store.spool_files()) * 4000 <= 20 * UNIT
    proxy.close()


# slow clients

@pytest.mark.holds('A10')
def test_a_client_that_reads_nothing_holds_no_fill(proxy, store):
    proxy.swift.put(PATH, b'x' * 500_000)
    stuck = proxy.begin()
    proxy.settle()
    assert len(proxy.records(Admit)) == 1 and proxy.swift.open == 0
    stuck.app_iter.close()


@pytest.mark.holds('A10')
def test_a_client_that_reads_nothing_keeps_no_other_waiting(proxy):
    proxy.swift.put(PATH, b'x' * 500_000)
    stuck = proxy.begin()
    others = [spawn(proxy.request) for _ in range(5)]
    assert {len(other.wait().body) for other in others} == {500_000}
    stuck.app_iter.close()


# sizes that a client chooses

@pytest.mark.holds('A10')
@pytest.mark.parametrize('count', [90, 600])
def test_huge_metadata_is_swifts_answer_and_not_kept(proxy, count):
    """Swift's own limit is 4 KiB of it, but that is the operator's to raise."""
    proxy.swift.put(PATH, b'body', **{f'X_Object_Meta_{number}': 'v' * 1000 for number in range(count)})
    plain = proxy.plain()
    assert [seen(proxy.request()) for _ in range(2)] == [seen(plain)] * 2
    assert proxy.records(Admit) == [] and 'captures_failed.no-room' in proxy.counts


@pytest.mark.holds('A10')
def test_headers_within_the_limit_are_kept(proxy):
    proxy.swift.put(PATH, b'body', **{f'X_Object_Meta_{number}': 'v' * 1000 for number in range(40)})
    proxy.request()
    assert len(proxy.records(Admit)) == 1


@pytest.mark.holds('A10')
@pytest.mark.parametrize('size', [HEADER, 64 * 1024])
@pytest.mark.parametrize('name', ['Cache-Control', 'Range', 'If-None-Match', 'X-No-Prefetch', 'User-Agent'])
def test_a_huge_request_header_leaves_nothing_larger_behind(proxy, name, size):
    proxy.swift.put(PATH, b'body')
    proxy.request(**{name: 'x' * size})
    found = proxy.records(Access)
    assert all(len(repr(record)) < 500 for record in found)


@pytest.mark.holds('A10')
def test_a_long_name_makes_no_long_path(store):
    name = ObjectName('AUTH_test', 'c' * 256, '\x01' * 1024)
    assert len(store.naming.entry(name)) == 48 and len(store.naming.client('u' * 10**6, 'a' * 10**6)) == 16


@pytest.mark.holds('A10')
def test_records_in_memory_are_bounded(store, tmp_path):
    proxy = Proxy(store.layout.cache_dir, tmp_path / 'gone' / 'queue.db')
    proxy.swift.put(PATH, b'body')
    proxy.runtime.recorder.limit = 5
    for _ in range(50):
        proxy.request()
    assert len(proxy.runtime.recorder._buffer) <= 5 and proxy.runtime.recorder.dropped >= 40
    (tmp_path / 'gone').mkdir()
    proxy.close()


@pytest.mark.holds('A10')
def test_records_on_disk_are_bounded(tmp_path):
    queue = open_queue(f'sqlite:{tmp_path}/queue.db', limit=50)
    for _ in range(20):
        queue.put([Access('AUTH_test', 'c', 'o', 'client', NOW, 1, 'miss')] * 20)
    assert queue.depth()['Access'] <= 50 + 20
    queue.close()


# amplification

def reader(req):
    """May read, and may not write, whatever the ACL is for."""
    return None if req.method in ('GET', 'HEAD') else Response(status=403)


def nobody(req):
    return Response(status=401)


def by_acl(req):
    return None if getattr(req, 'acl', None) == 'writer' else Response(status=403)


@pytest.mark.holds('A10')
@pytest.mark.parametrize('who', [reader, nobody, by_acl])
@pytest.mark.parametrize('query', ['prefetch=warm', 'prefetch=warm&limit=5', 'prefetch=forget&name=o'])
def test_who_may_not_write_starts_nothing(proxy, monkeypatch, who, query):
    monkeypatch.setattr('helpers.filter.filtered.allow', who)
    info = container_info(**{'x-container-read': 'writer', 'x-container-write': 'else'})
    resp = proxy.request('POST', f'/v1/AUTH_test/c?{query}', info=info)
    assert resp.status_int == 403
    assert proxy.records(Warm) == proxy.records(Forget) == []


@pytest.mark.holds('A10')
@pytest.mark.parametrize('query', ['limit=-1', 'limit=1e9', 'limit=' + '9' * 5000, 'limit=%C2%B2', 'limit=+1'])
def test_a_limit_that_is_no_number_starts_nothing(proxy, query):
    assert proxy.request('POST', f'{WARM}&{query}').status_int == 400
    assert proxy.records(Warm) == []


@pytest.mark.holds('A10')
@pytest.mark.parametrize('path', ['/v1/AUTH_test?prefetch=warm', '/v1/AUTH_test/c/o?prefetch=warm',
                                  '/v1/AUTH_test/?prefetch=warm', '/v2/AUTH_test/c?prefetch=warm'])
def test_neither_an_account_nor_an_object_can_be_warmed(proxy, path):
    proxy.swift.put('/v1/AUTH_test/c/o', b'body')
    proxy.request('POST', path)
    assert proxy.records(Warm) == []


@pytest.mark.holds('A10')
@pytest.mark.parametrize('method', ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'COPY'])
def test_no_other_method_warms(proxy, method):
    proxy.request(method, WARM)
    assert proxy.records(Warm) == []


@pytest.mark.holds('A10')
def test_the_same_wish_again_and_again_is_one_container(proxy):
    """The queue drops what is too much; what is cached already is not fetched again (test_prefetcher.py)."""
    for _ in range(5):
        proxy.request('POST', WARM)
    assert len({record.container for record in proxy.records(Warm)}) == 1


# texts that make a parser slow: all end, and with 64 KiB of them

@pytest.fixture
def bounded():
    """What takes exponentially long, or the cube of the length, does not end within this."""
    with alarm(60):
        yield


SLOW = ['a' * 2**16, 'a=' * 2**15, 'a="' * 21_000, 'a="' + 'b' * 2**16, ',' * 2**16, ' ' * 2**16, 'a ' * 2**15,
        'a' + ' ' * 2**16 + '!', '"' * 2**16, 'a=\\"' * 16_000, 'no-cache' + ' ' * 2**16 + '=' + ' ' * 2**16,
        # CVE-2026-71190
        'a/b;c="' + '\\' * 2**16, 'no-cache="' + '\\' * 2**16, 'a-' * 2**15, ';q=0.' * 13_000, '*/*,' * 16_000,
        'bytes=' + '0-1,' * 16_000, 'bytes=' + '-' * 2**16, 'bytes=0-' + '9' * 2**16, 'bytes=' + ' ' * 2**16 + 'x']


@pytest.mark.holds('A10')
@pytest.mark.parametrize('text', SLOW, ids=range(len(SLOW)))
def test_headers_that_are_made_to_be_slow_are_read(bounded, text):
    assert wishes_of(text).is_past in (True, False)
    assert part_of('206 Partial Content', [('Content-Range', text)]).length == 0
    assert callable(choose_encoder(text)[0])


@pytest.mark.holds('A10')
@pytest.mark.parametrize('name', ['Range', 'If_None_Match', 'If_Match', 'If_Modified_Since', 'If_Range'])
def test_a_hit_answers_them_as_a_miss_does(bounded, proxy, store, name):
    proxy.swift.put(PATH, b'body')
    link(store, b'body', Stamp('', NOW))
    for text in SLOW:
        asked = {name: text, **({'Range': 'bytes=0-1'} if name == 'If_Range' else {})}
        answer, plain = proxy.request(**asked), proxy.plain(**asked)
        assert (answer.status_int, answer.body) == (plain.status_int, plain.body), text[:20]


# hash flooding

@pytest.mark.holds('A10')
def test_names_that_meet_in_one_folder_under_one_key_do_not_under_another():
    """Without the key nobody can choose names for one folder, or that collide."""
    one, other = Naming(b'1' * KEY_BYTES), Naming(b'2' * KEY_BYTES)
    names = [ObjectName('AUTH_test', 'c', str(number)) for number in range(20_000)]
    chosen = [name for name in names if one.entry(name)[16:18] == '00']
    assert len(chosen) > 40 and len({other.entry(name)[16:18] for name in chosen}) > len(chosen) / 2


@pytest.mark.holds('A10')
def test_the_key_is_drawn_for_each_folder(tmp_path):
    keys = {Store.create(tmp_path / str(number)).layout.key.read_bytes() for number in range(5)}
    assert len(keys) == 5
