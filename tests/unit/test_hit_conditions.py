"""Conditions and ranges of hits: what is asked of the object servers alone, and what an erasure-coded policy's
proxy-server words anew."""
from dataclasses import replace
from hashlib import md5
from types import SimpleNamespace

import pytest
from helpers.common.builders import NAME, NOW, ListLogger, container_info, meta_for
from helpers.common.faults import no_fd_left
from helpers.filter.filtered import Proxy, seen, word
from swift.common import storage_policy
from swift.common.storage_policy import ECStoragePolicy, StoragePolicy, StoragePolicyCollection
from swift.common.swob import Request

from swiftahead.cache import Store
from swiftahead.middleware.exchange import Exchange
from swiftahead.middleware.hit import conditional

ETAG = md5(b'abcdef').hexdigest()
LATER, EARLIER = 'Sat, 01 Jan 2028 00:00:00 GMT', 'Wed, 01 Jan 2020 00:00:00 GMT'
IGNORE = {'X-Backend-Ignore-Range-If-Metadata-Present': 'X-Other, x-object-meta-colour'}
RANGED, BEYOND, MATCH = {'Range': 'bytes=1-2'}, {'Range': 'bytes=6-'}, {'If-None-Match': f'"{ETAG}"'}
PLAIN, CODED, UNKNOWN = 0, 1, 9


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def policies(monkeypatch):
    known = [StoragePolicy(0, 'plain', is_default=True),
             ECStoragePolicy(1, 'coded', ec_type='liberasurecode_rs_vand', ec_ndata=2, ec_nparity=1)]
    monkeypatch.setattr(storage_policy, '_POLICIES', StoragePolicyCollection(known))


class PolicyEntry:
    """One entry in a policy; `asked` gives status, headers and body, or None where proxy-server is to answer."""

    def __init__(self, store, policy=PLAIN, body=b'abcdef', **more):
        self.store = store
        meta = replace(meta_for(body, X_Object_Meta_Colour='blue', **more), policy_index=policy)
        store.admit(store.keep(meta, body, None))

    def asked(self, headers, method='GET'):
        req = Request.blank('/v1' + NAME.path, environ={'REQUEST_METHOD': method}, headers=headers)
        runtime = SimpleNamespace(settings=SimpleNamespace(), logger=ListLogger(), clock=lambda: NOW)
        got = []
        exchange = Exchange(None, runtime, self.store, req, NAME, lambda *args: got.append(args))
        with self.store.entry(NAME) as entry:
            answer = conditional(exchange, entry, [])
            if answer is None:
                return None
            body = b''.join(answer())
        return int(got[0][0][:3]), dict(got[0][1]), body


ANEW = [
    # headers, method, the object's body, status with replicas, status with erasure coding
    (MATCH, 'GET', b'abcdef', 304, None),
    ({'If-Modified-Since': LATER}, 'GET', b'abcdef', 304, None),
    (BEYOND, 'GET', b'abcdef', 416, None),
    ({**MATCH, **RANGED}, 'GET', b'abcdef', 304, None),
    ({**RANGED, **IGNORE}, 'GET', b'abcdef', 200, None),
    ({**BEYOND, **IGNORE}, 'GET', b'abcdef', 200, None),
    ({'Range': 'bytes=-5'}, 'GET', b'', 200, None),
    ({'Range': 'bytes=0-'}, 'GET', b'', 416, None),
    ({'Range': 'nonsense'}, 'GET', b'', 200, None),
    # what may be answered in any case
    (RANGED, 'GET', b'abcdef', 206, 206),
    ({'Range': 'bytes=0-0,2-2'}, 'GET', b'abcdef', 206, 206),
    ({'Range': 'nonsense'}, 'GET', b'abcdef', 200, 200),
    ({**RANGED, 'X-Backend-Ignore-Range-If-Metadata-Present': 'X-Other'}, 'GET', b'abcdef', 206, 206),
    ({'If-None-Match': '"else"'}, 'GET', b'abcdef', 200, 200),
    ({'If-None-Match': '"else"'}, 'GET', b'', 200, 200),
    ({'If-Modified-Since': EARLIER}, 'GET', b'abcdef', 200, 200),
    (MATCH, 'HEAD', b'abcdef', 304, 304),
    (RANGED, 'HEAD', b'abcdef', 200, 200),
    ({'Range': 'bytes=-5'}, 'HEAD', b'', 200, 200),
    ({**RANGED, **IGNORE}, 'HEAD', b'abcdef', 200, 200),
    # nor is what it takes a quorum for
    ({'If-Match': '"else"'}, 'GET', b'abcdef', None, None),
    ({'If-Match': '"else"'}, 'HEAD', b'abcdef', None, None),
    ({'If-Unmodified-Since': EARLIER}, 'GET', b'abcdef', None, None),
    ({'If-Match': '"else"', **RANGED}, 'GET', b'abcdef', None, None)]


@pytest.mark.parametrize('headers, method, body, status, coded', ANEW)
def test_what_proxy_server_words_anew_is_left_to_it(store, policies, headers, method, body, status, coded):
    if body == b'':
        headers = {key: value.replace(ETAG, 'none of it') for key, value in headers.items()}
    for policy, expected in ((PLAIN, status), (CODED, coded), (UNKNOWN, status)):
        found = PolicyEntry(store, policy, body).asked(headers, method)
        assert (found and found[0]) == expected, policy


@pytest.mark.parametrize('headers', [MATCH, {'If-Match': '"else"'}, BEYOND, {**RANGED, **IGNORE}])
def test_it_is_a_bypass_and_leaves_no_file_open(tmp_path, policies, headers):
    """The whole filter, in front of an app that answers as object servers do."""
    store = Store.create(tmp_path / 'cache')
    PolicyEntry(store, CODED)
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue')
    try:
        proxy.swift.put('/v1' + NAME.path, b'abcdef', X_Object_Meta_Colour='blue')
        info = container_info(**{'x-backend-storage-policy-index': str(CODED)})
        sent = {key.replace('-', '_'): value for key, value in headers.items()}
        with no_fd_left(tmp_path / 'cache' / 'v1' / 'objects'):
            resp = proxy.request(info=info, **sent)
        assert word(resp) == 'fwd=bypass; detail=precondition'
        assert seen(resp) == seen(proxy.plain(info=info, **sent))
        assert 'bypassed.precondition' in proxy.counts and 'hits' not in proxy.counts
    finally:
        proxy.close()


@pytest.mark.parametrize('header, value, status', [
    ('If-None-Match', '"other"', 304), ('If-None-Match', f'"{ETAG}"', 200), ('If-Match', '"other"', 200),
    ('If-Match', f'"{ETAG}"', None), ('If-None-Match', '*', 304), ('If-Match', '*', 200)])
def test_a_condition_is_put_to_the_etag_that_middleware_names(store, header, value, status):
    cached = PolicyEntry(store, X_Object_Sysmeta_Other='other')
    for name in ('X-Object-Sysmeta-Other', 'X-None, x-object-sysmeta-other', 'X-Object-Sysmeta-Other, Etag'):
        found = cached.asked({'X-Backend-Etag-Is-At': name, header: value})
        assert (found and found[0]) == status, name


@pytest.mark.parametrize('name', ['X-None', '', 'X-None, Etag'])
def test_where_there_is_no_such_etag_it_is_the_objects(store, name):
    cached = PolicyEntry(store)
    assert cached.asked({'X-Backend-Etag-Is-At': name, **MATCH})[0] == 304
    assert cached.asked({'X-Backend-Etag-Is-At': name, 'If-None-Match': '"other"'})[0] == 200


def test_the_named_etag_is_no_header_of_the_answer(store):
    status, headers, body = PolicyEntry(store, X_Object_Sysmeta_Other='other').asked(
        {'X-Backend-Etag-Is-At': 'X-Object-Sysmeta-Other', 'If-Match': '"other"', **RANGED})
    assert (status, headers['Etag'], body) == (206, ETAG, b'bc')


def test_a_head_with_a_range_is_of_the_whole_object_and_has_no_body(store):
    status, headers, body = PolicyEntry(store).asked(RANGED, 'HEAD')
    assert (status, headers['Content-Length'], body) == (200, '6', b'')
    assert 'Content-Range' not in headers


@pytest.mark.parametrize('metadata, is_whole', [
    ('X-Object-Meta-Colour', True), ('x-none,X-OBJECT-META-COLOUR', True), ('X-None', False), ('', False)])
def test_a_range_is_ignored_only_where_the_metadata_is_there(store, metadata, is_whole):
    found = PolicyEntry(store).asked({**RANGED, 'X-Backend-Ignore-Range-If-Metadata-Present': metadata})
    assert (found[0], found[2]) == ((200, b'abcdef') if is_whole else (206, b'bc'))


def test_conditions_hold_though_the_range_is_ignored(store):
    assert PolicyEntry(store).asked({**RANGED, **IGNORE, **MATCH})[0] == 304
    assert PolicyEntry(store).asked({**RANGED, **IGNORE, 'If-Match': '"else"'}) is None
