"""Manifests of large objects: what is believed of them, and how they are fetched."""
import json

import pytest
from helpers.common.builders import NAME, FakeCluster
from hypothesis import given
from hypothesis import strategies as st

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.sidecar.prefetcher.backend_client import BackendClient, FetchLimits, NotFetched
from swiftahead.sidecar.prefetcher.congestion import Congestion
from swiftahead.sidecar.prefetcher.manifests import (
    MANIFEST_BYTES,
    MANIFEST_SEGMENTS,
    NAME_BYTES,
    BadManifest,
    segments_of,
)


def manifest(*names, **more):
    return json.dumps([{'name': name, 'hash': 'x', 'bytes': 10, **more} for name in names]).encode()


LETTERS = manifest(*(f'/c/{letter}' for letter in 'bcdefghij'))


# what is believed

def test_segments_come_in_their_order():
    assert list(segments_of(manifest('/c/b', '/d/a/b', '/c/b'))) == [('c', 'b'), ('d', 'a/b'), ('c', 'b')]


def test_segments_may_be_parts_and_manifests():
    assert list(segments_of(manifest('/c/b', range='0-4', sub_slo=True))) == [('c', 'b')]


@pytest.mark.parametrize('item', [
    {'data': 'YWJj'}, {}, [], None, 1, 'x', {'name': None}, {'name': 7}, {'name': ''}, {'name': '/'},
    {'name': '/c'}, {'name': '/c/'}, {'name': '//o'}, {'name': 'c/o'}, {'name': '/c/\0v'}, {'name': '/c/\ud800'},
    {'name': '/c/' + 'x' * NAME_BYTES}], ids=lambda item: ascii(item)[:40])
def test_what_has_no_usable_name_is_left_out(item):
    text = json.dumps([item, {'name': '/c/b'}]).encode()
    assert list(segments_of(text)) == [('c', 'b')]


@pytest.mark.parametrize('text', [
    b'', b'{', b'[{"name": "/c/b"}', b'{}', b'null', b'7', b'"/c/b"', b'\xff\xfe\x00', b'[' * 100_000,
    b'[' + b'9' * 5000 + b']'], ids=lambda text: ascii(text[:20]))
def test_what_is_no_list_is_refused(text):
    with pytest.raises(BadManifest):
        segments_of(text)


def test_segments_are_bounded():
    text = manifest(*map('/c/{}'.format, range(MANIFEST_SEGMENTS + 5)))
    assert len(list(segments_of(text))) == MANIFEST_SEGMENTS


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.just('name') | st.text(), inner))


@given(JSON.map(lambda found: json.dumps(found).encode()) | st.binary())
def test_whatever_it_is_only_names_come_out_of_it(text):
    try:
        found = list(segments_of(text))
    except BadManifest:
        return
    for container, object_ in found:
        assert container and object_ and '/' not in container and '\0' not in container + object_
        assert ObjectName('a', container, object_).path.encode('utf-8')


# how it is fetched

@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def fetcher(tmp_path, cluster):
    return BackendClient(cluster.client(), Store.create(tmp_path / 'cache'), None, FetchLimits(2**20))


def test_a_manifest_is_fetched_and_kept_nowhere(cluster, fetcher, tmp_path):
    cluster.put(NAME, LETTERS)
    assert fetcher.small(NAME, MANIFEST_BYTES, Congestion(1)) == LETTERS
    assert cluster.requests[-1][2]['HTTP_X_NO_PREFETCH'] == 'true'
    assert list(Store.open(tmp_path / 'cache').spool_files()) == []


@pytest.mark.parametrize('chunks', [[LETTERS[:-1]], [LETTERS, b'x'], [b'x' * 10**6] * 100])
def test_it_is_as_long_as_it_says(cluster, fetcher, chunks):
    cluster.put(NAME, LETTERS, chunks=chunks)
    with pytest.raises(NotFetched, match='announced'):
        fetcher.small(NAME, MANIFEST_BYTES, Congestion(1))
    assert cluster.bodies[-1].closed


def test_a_manifest_that_is_too_large_is_not_read(cluster, fetcher):
    cluster.put(NAME, LETTERS, chunks=[lambda: pytest.fail('it was read')])
    with pytest.raises(NotFetched, match='are more than'):
        fetcher.small(NAME, len(LETTERS) - 1, Congestion(1))
    assert cluster.bodies[-1].closed


def test_in_a_container_that_opted_out_no_manifest_is_read(cluster, fetcher):
    cluster.containers['/v1/AUTH_test/c']['X-Container-Meta-Prefetch'] = 'off'
    with pytest.raises(NotFetched, match='opted out'):
        fetcher.small(NAME, MANIFEST_BYTES, Congestion(1))
