"""Hits without range or condition do not go through swob's engine: nobody must be able to tell."""
import os
from types import SimpleNamespace

import pytest
from helpers import NAME, NOW, ListLogger, link
from hypothesis import given
from hypothesis import strategies as st
from swift.common.header_key_dict import HeaderKeyDict
from swift.common.swob import Request

from swiftahead.cache import Damaged, Store
from swiftahead.cache.entry import BLOCK
from swiftahead.middleware.exchange import Exchange
from swiftahead.middleware.hit import conditional, plain

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
    hit = Hit(store, os.urandom(size), X_Object_Meta_Colour='blue', X_Delete_At='1900000000')
    assert hit.answer(plain, method) == hit.answer(conditional, method)


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
    hit = Hit(lasting_store, b'abc', **more)
    assert hit.answer(plain) == hit.answer(conditional)


def test_a_small_body_that_is_damaged_is_found_before_the_answer_begins(store):
    hit = Hit(store, b'abcdef')
    path = store.layout.entry(hit.entry_name)
    path.write_bytes(path.read_bytes().replace(b'abcdef', b'abcdeF'))
    with pytest.raises(Damaged):
        hit.answer(plain)


def test_a_small_hit_keeps_no_file_open(store):
    before = len(os.listdir('/proc/self/fd'))
    hit = Hit(store, b'abc')
    answers = [hit.answer(plain) for _ in range(20)]
    assert len(answers) == 20
    assert len(os.listdir('/proc/self/fd')) <= before


def test_a_range_that_is_ignored_for_a_manifest_is_left_for_slo(store):
    hit = Hit(store, b'[]', X_Static_Large_Object='True')
    headers = {'Range': 'bytes=0-0', 'X-Backend-Ignore-Range-If-Metadata-Present': 'X-Static-Large-Object'}
    req = Request.blank('/v1' + NAME.path, headers=headers)
    (status, _), body = hit.answer(conditional, req=req)
    assert (status, body, req.headers['Range']) == ('200 OK', b'[]', 'bytes=0-0')
