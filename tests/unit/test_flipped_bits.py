"""F3: a bit that flipped anywhere in an entry is never served, and costs one request to the backend."""
from random import Random

import pytest
from helpers.common.builders import NAME, NOW, FakeTokens, link, meta_for
from helpers.common.faults import PATH, no_fd_left
from helpers.common.trying import tries
from helpers.filter.filtered import Proxy, seen
from hypothesis import given
from hypothesis import strategies as st
from swift.common.utils import close_if_possible

from swiftahead.cache import Stamp, Store
from swiftahead.cache.entry import BLOCK, FIXED, JSON_OFFSET, PAGE, STAMP, STAMP_OFFSET, encode_meta
from swiftahead.freshness import Token
from swiftahead.queues import Forget

# two pieces of four blocks, the last block is a short one
BODY = Random(3).randbytes(5 * BLOCK + 1000)
SMALL = BODY[:1000]
JSON_END = JSON_OFFSET + len(encode_meta(meta_for(BODY)))
TABLE = PAGE + len(BODY)
# what the backend is asked for where that part is damaged: a GET of all, a HEAD, nothing
MISS, VALIDATED, HIT = ('GET', None), ('HEAD', None), None


def rest(block):
    """From a block on: the blocks before it are good."""
    return 'GET', f'bytes={block * BLOCK}-{len(BODY) - 1}'


FIELDS = {
    'magic': (0, MISS), 'header length': (8, MISS), 'json length': (12, MISS), 'body length': (16, MISS),
    'table sum': (24, MISS), 'unused': (40, MISS), 'fixed sum': (FIXED.size, MISS),
    'stamp token': (STAMP_OFFSET, VALIDATED), 'stamp time': (STAMP_OFFSET + 33, VALIDATED),
    'stamp sum': (STAMP_OFFSET + STAMP.size, VALIDATED), 'after the stamp': (JSON_OFFSET - 1, HIT),
    'first of json': (JSON_OFFSET, MISS), 'last of json': (JSON_END - 1, MISS),
    'first of padding': (JSON_END, HIT), 'last of padding': (PAGE - 1, HIT),
    **{f'block {n}': (PAGE + n * BLOCK + 7, rest(n)) for n in range(6)},
    'last byte': (TABLE - 1, rest(5)),
    **{f'table entry {n}': (TABLE + 8 * n + n, rest(0)) for n in range(6)},
}


def answer_to_damage(offset):
    """What is asked for a flip at that place of the file."""
    if offset < STAMP_OFFSET or JSON_OFFSET <= offset < JSON_END:
        return MISS
    if offset < STAMP_OFFSET + STAMP.size + 8:
        return VALIDATED
    if offset < PAGE:
        return HIT
    return rest((offset - PAGE) // BLOCK) if offset < TABLE else rest(0)


@pytest.fixture(scope='module')
def cached(tmp_path_factory):
    """An entry that is a hit, what its file holds, and a proxy."""
    folder = tmp_path_factory.mktemp('f3')
    store = Store.create(folder / 'cache')
    proxy = Proxy(store.layout.cache_dir, folder / 'queue.db', capture='off', freshness='coherent',
                  tokens=FakeTokens(Token('t' * 32)))
    proxy.runtime.clock = lambda: NOW + 10
    proxy.swift.put(PATH, BODY)
    path = store.layout.entry(link(store, BODY, Stamp('t' * 32, NOW)).entry_name)
    yield proxy, path, path.read_bytes()
    proxy.close()


def flip(path, data, offset, bit=0):
    damaged = bytearray(data)
    damaged[offset] ^= 1 << bit
    path.write_bytes(damaged)


def asked(proxy):
    """The one thing that the backend was asked for, and nothing more."""
    found = [(method, headers.get('HTTP_RANGE')) for method, _, headers in proxy.swift.requests]
    assert len(found) <= 1
    proxy.swift.requests.clear()
    return found[0] if found else None


def assert_served_right(proxy, expected):
    """The bytes and headers of Swift; damage is counted and said once."""
    plain = proxy.plain()
    proxy.clear()
    with no_fd_left(proxy.folder):
        resp = proxy.request()
    assert seen(resp) == seen(plain)
    assert asked(proxy) == expected
    damages = int(is_damage(expected))
    assert proxy.errors == ['entries_damaged'] * damages and len(proxy.log.errors) == damages


def is_damage(expected):
    return expected is not None and expected[0] == 'GET'


@pytest.mark.holds('F3')
def test_the_entry_is_a_hit(cached):
    proxy, path, data = cached
    path.write_bytes(data)
    assert (len(data), data[TABLE - 1:TABLE]) == (TABLE + 6 * 8, BODY[-1:])
    assert_served_right(proxy, HIT)


@pytest.mark.holds('F3')
@pytest.mark.parametrize('field', FIELDS)
def test_a_flip_in_each_class_of_bytes(cached, field):
    proxy, path, data = cached
    offset, expected = FIELDS[field]
    flip(path, data, offset)
    proxy.records(Forget)
    assert answer_to_damage(offset) == expected
    assert_served_right(proxy, expected)
    assert len(proxy.records(Forget)) == int(is_damage(expected))


@pytest.mark.holds('F3')
@tries(200)
@given(offset=st.one_of(st.integers(0, JSON_END), st.integers(0, TABLE + 47), st.integers(TABLE, TABLE + 47)),
       bit=st.integers(0, 7))
def test_a_flip_anywhere(cached, offset, bit):
    proxy, path, data = cached
    flip(path, data, offset, bit)
    assert_served_right(proxy, answer_to_damage(offset))


@pytest.mark.holds('F3')
@given(start=st.integers(0, TABLE), garbage=st.binary(min_size=1, max_size=5000))
def test_garbage_over_any_part(cached, start, garbage):
    proxy, path, data = cached
    path.write_bytes((data[:start] + garbage + data[start + len(garbage):])[:len(data)])
    with no_fd_left(proxy.folder):
        assert proxy.request().body == BODY
    proxy.swift.requests.clear()


@pytest.mark.holds('F3')
@pytest.mark.parametrize('method, headers', [('HEAD', {}), ('GET', {'Range': 'bytes=0-99'}),
                                             ('GET', {'If_None_Match': '*'})])
def test_a_block_that_is_not_sent_does_not_matter(cached, method, headers):
    proxy, path, data = cached
    plain = proxy.plain(method, **headers)
    proxy.swift.requests.clear()
    flip(path, data, PAGE + 3 * BLOCK)
    assert seen(proxy.request(method, **headers)) == seen(plain)
    assert asked(proxy) is None


@pytest.mark.holds('F3')
@pytest.mark.parametrize('ranges', ['bytes=65530-65540', 'bytes=-10', 'bytes=0-5,196600-196700,300000-300001'])
def test_ranges_over_a_bad_block_are_the_backends(cached, ranges):
    proxy, path, data = cached
    for block in range(6):
        flip(path, data, PAGE + block * BLOCK + 100)
        answer, plain = proxy.request(Range=ranges), proxy.plain(Range=ranges)
        assert answer.status_int == plain.status_int == 206
        assert without_boundary(answer) == without_boundary(plain)
    proxy.swift.requests.clear()


def without_boundary(resp):
    return resp.body.replace(resp.headers['Content-Type'].rpartition('boundary=')[2].encode(), b'')


@pytest.mark.holds('F3')
@pytest.mark.parametrize('block', range(6))
def test_where_the_backend_has_another_version_the_answer_ends_before_the_bad_block(cached, block):
    proxy, path, data = cached
    flip(path, data, PAGE + block * BLOCK)
    proxy.swift.put(PATH, bytes(len(BODY)), timestamp='1800000001.00000')
    try:
        got = []
        body = proxy.begin().app_iter
        with pytest.raises(Exception, match='412'):
            got.extend(body)
        close_if_possible(body)
        assert b''.join(got) == BODY[:block * BLOCK]
    finally:
        proxy.swift.put(PATH, BODY)
        proxy.swift.requests.clear()


@pytest.mark.holds('F3')
def test_a_small_body_that_came_with_its_header_is_checked_as_well(tmp_path):
    store = Store.create(tmp_path / 'cache')
    proxy = Proxy(store.layout.cache_dir, tmp_path / 'queue.db', capture='off')
    proxy.runtime.clock = lambda: NOW + 10
    proxy.swift.put(PATH, SMALL)
    path = store.layout.entry(link(store, SMALL, Stamp('', NOW)).entry_name)
    data = path.read_bytes()
    for offset in range(PAGE, len(data), 37):
        flip(path, data, offset)
        assert proxy.request().body == SMALL
        assert asked(proxy) is not None and proxy.errors == ['entries_damaged']
        proxy.clear()
    proxy.close()


@pytest.mark.holds('F3')
def test_check_finds_each_flip_that_matters(cached):
    proxy, path, data = cached
    store = proxy.runtime.store()
    for offset, expected in FIELDS.values():
        flip(path, data, offset)
        found = [name for name, _ in store.check()]
        assert found == ([path.name] if is_damage(expected) else [])


@pytest.mark.holds('F3')
def test_a_stamp_of_another_entry_does_not_count(cached, tmp_path):
    proxy, path, data = cached
    other = Store.create(tmp_path / 'cache')
    stamped = other.layout.entry(link(other, BODY + b'x', Stamp('t' * 32, NOW)).entry_name).read_bytes()
    path.write_bytes(data[:STAMP_OFFSET] + stamped[STAMP_OFFSET:JSON_OFFSET] + data[JSON_OFFSET:])
    with proxy.runtime.store().entry(NAME) as entry:
        assert entry.stamp is None
