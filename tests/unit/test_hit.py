"""Hits without range or condition do not go through swob's engine: nobody must be able to tell."""
import errno
import os
from hashlib import md5
from types import SimpleNamespace

import pytest
from helpers.common.builders import NAME, NOW, ListLogger, link
from helpers.common.faults import FaultPlan, open_files
from helpers.filter.filtered import Proxy
from hypothesis import given
from hypothesis import strategies as st
from swift.common.header_key_dict import HeaderKeyDict
from swift.common.swob import Request

from swiftahead.cache import Damaged, Stamp, Store
from swiftahead.cache.entry import BLOCK
from swiftahead.middleware.exchange import Exchange
from swiftahead.middleware.hit import conditional, hit, plain, told

RANGED, MATCH = {'Range': 'bytes=1-2'}, {'If-None-Match': f'"{md5(b"abcdef").hexdigest()}"'}
IGNORE = {'X-Backend-Ignore-Range-If-Metadata-Present': 'x-object-meta-colour'}
SIZES = [0, 1, 9999, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK, 5 * BLOCK + 17]


class Hit:
    """One entry, and the two ways to answer from it."""

    def __init__(self, store, body, **more):
        self.store = store
        self.entry_name = link(store, body, **more).entry_name

    def answer(self, form, method='GET', req=None):
        got = []
        req = req or Request.blank('/v1' + NAME.path, environ={'REQUEST_METHOD': method})
        runtime = SimpleNamespace(settings=SimpleNamespace(), logger=ListLogger(), clock=lambda: NOW)
        exchange = Exchange(None, runtime, self.store, req, NAME, lambda *args: got.append(args))
        with self.store.entry(NAME) as entry:
            body = form(exchange, entry, [('Age', '7')])()
            got.append(b''.join(body))
        return got


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_both_ways_answer_alike(store, size, method):
    cached = Hit(store, os.urandom(size), X_Object_Meta_Colour='blue', X_Delete_At='1900000000')
    assert cached.answer(plain, method) == cached.answer(conditional, method)


@pytest.mark.parametrize('size', SIZES)
def test_the_body_is_the_objects(store, size):
    body = os.urandom(size)
    assert Hit(store, body).answer(plain)[1] == body


NAMES = st.from_regex(r'X-Object-Meta-[A-Za-z0-9-]{1,10}', fullmatch=True)
VALUES = st.text(st.characters(codec='latin-1', exclude_categories=('C',)), max_size=20)


@pytest.fixture(scope='module')
def lasting_store(tmp_path_factory):
    return Store.create(tmp_path_factory.mktemp('c') / 'cache')


@given(more=st.dictionaries(NAMES, VALUES, max_size=5))
def test_headers_come_as_swobs_engine_gives_them(lasting_store, more):
    # what a backend answers has gone through this class
    more = dict(HeaderKeyDict(more))
    cached = Hit(lasting_store, b'abc', **more)
    assert cached.answer(plain) == cached.answer(conditional)


def test_a_small_body_that_is_damaged_is_found_before_the_answer_begins(store):
    cached = Hit(store, b'abcdef')
    path = store.layout.entry(cached.entry_name)
    path.write_bytes(path.read_bytes().replace(b'abcdef', b'abcdeF'))
    with pytest.raises(Damaged):
        cached.answer(plain)


def test_a_small_hit_keeps_no_file_open(store):
    before = len(os.listdir('/proc/self/fd'))
    cached = Hit(store, b'abc')
    answers = [cached.answer(plain) for _ in range(20)]
    assert len(answers) == 20
    assert len(os.listdir('/proc/self/fd')) <= before


def test_a_range_that_is_ignored_for_a_manifest_is_left_for_slo(store):
    cached = Hit(store, b'[]', X_Static_Large_Object='True')
    headers = {'Range': 'bytes=0-0', 'X-Backend-Ignore-Range-If-Metadata-Present': 'X-Static-Large-Object'}
    req = Request.blank('/v1' + NAME.path, headers=headers)
    (status, _), body = cached.answer(conditional, req=req)
    assert (status, body, req.headers['Range']) == ('200 OK', b'[]', 'bytes=0-0')


# the answer as `hit` gives it: files left open, and what a hit says of itself

@pytest.fixture
def proxy(tmp_path):
    Store.create(tmp_path / 'cache')
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue')
    yield proxy
    proxy.close()


def exchange_of(proxy, headers, method='GET'):
    req = Request.blank('/v1' + NAME.path, environ={'REQUEST_METHOD': method}, headers=headers)
    return Exchange(proxy.swift, proxy.runtime, proxy.runtime.store(), req, NAME, lambda *_: None)


@pytest.mark.parametrize('headers, method', [
    ({'If-Match': '"else"'}, 'GET'), ({'If-Match': '"else"'}, 'HEAD'), (RANGED, 'HEAD'), (MATCH, 'HEAD'),
    ({}, 'HEAD'), ({}, 'GET')])
def test_what_is_not_read_any_more_is_closed_before_the_answer(proxy, headers, method):
    exchange = exchange_of(proxy, headers, method)
    link(exchange.store, b'abcdef')
    # `entry` is held, so that no garbage collector closes it
    entry = exchange.store.entry(NAME)
    assert hit(exchange, entry, 'fresh') is not None
    assert open_files(proxy.folder / 'v1') == []


@pytest.mark.parametrize('headers', [{}, RANGED, {'Range': 'bytes=0-0,2-2'}, IGNORE | RANGED, {'If-Match': '*'}])
def test_who_hangs_up_before_the_first_byte_leaves_nothing_open(proxy, headers):
    exchange = exchange_of(proxy, headers)
    link(exchange.store, os.urandom(2 * BLOCK), X_Object_Meta_Colour='blue')
    entry = exchange.store.entry(NAME)
    body = hit(exchange, entry, 'fresh')()
    assert len(open_files(proxy.folder / 'v1')) == 1
    body.close()
    assert open_files(proxy.folder / 'v1') == []


@pytest.mark.parametrize('headers', [{}, IGNORE, {'If-Match': '*'}, RANGED])
def test_middleware_on_the_left_can_take_no_range_of_a_hits_body(proxy, headers):
    exchange = exchange_of(proxy, headers)
    link(exchange.store, os.urandom(2 * BLOCK))
    body = hit(exchange, exchange.store.entry(NAME), 'fresh')()
    assert not hasattr(body, 'app_iter_range') and not hasattr(body, 'app_iter_ranges')
    body.close()


def test_a_head_reads_nothing_of_the_body(proxy):
    exchange = exchange_of(proxy, RANGED, 'HEAD')
    path = exchange.store.layout.entry(link(exchange.store, b'abcdef').entry_name)
    path.write_bytes(path.read_bytes().replace(b'abcdef', b'abcdeF'))
    assert b''.join(hit(exchange, exchange.store.entry(NAME), 'fresh')()) == b''
    assert proxy.errors == []


def test_an_entry_whose_time_cannot_be_set_is_answered(proxy, monkeypatch):
    faults = FaultPlan(proxy.folder, monkeypatch)
    exchange = exchange_of(proxy, {})
    os.utime(exchange.store.layout.entry(link(exchange.store, b'abcdef').entry_name), (1, 1))
    faults.fail('utime', 1, errno.EROFS)
    assert b''.join(hit(exchange, exchange.store.entry(NAME), 'fresh')()) == b'abcdef'
    assert proxy.errors == ['errors.stamp']


def told_by(store, freshness, reason, cache_status=True):
    """7.9 seconds after the entry was fetched."""
    settings = SimpleNamespace(cache_status=cache_status, freshness=freshness)
    runtime = SimpleNamespace(settings=settings, clock=lambda: NOW + 7.9)
    with store.entry(NAME) as entry:
        return told(Exchange(None, runtime, store, Request.blank('/v1' + NAME.path), NAME, None), entry, reason)


@pytest.mark.parametrize('origin, reason, said', [
    ('read', 'fresh', [('Cache-Status', 'swiftahead; hit')]),
    ('whole', 'validated', [('Cache-Status', 'swiftahead; hit; detail=validated')]),
    ('prefetch', 'fresh', [('Cache-Status', 'swiftahead; hit'), ('X-Object-Prefetched', 'True')]),
    ('warm', 'fresh', [('Cache-Status', 'swiftahead; hit'), ('X-Object-Prefetched', 'True')])])
def test_what_a_hit_says_of_itself(store, origin, reason, said):
    link(store, b'abc', origin=origin)
    assert told_by(store, 'coherent', reason) == [('Age', '0'), *said]
    assert told_by(store, 'coherent', reason, cache_status=False) == []


@pytest.mark.parametrize('freshness, stamp, reason, age', [
    ('coherent', None, 'validated', '0'), ('coherent', ('t', NOW), 'fresh', '0'),
    ('validate', None, 'validated', '0'), ('max-age', None, 'fresh', '7'),
    ('max-age', ('', NOW + 5), 'fresh', '2'), ('max-age', ('', NOW + 9), 'fresh', '0'),
    ('max-age', None, 'validated', '0')])
def test_the_age_counts_from_when_the_entry_was_known_to_be_current(store, freshness, stamp, reason, age):
    link(store, b'abc', stamp and Stamp(*stamp))
    assert dict(told_by(store, freshness, reason))['Age'] == age
