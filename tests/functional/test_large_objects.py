"""Large objects on a lab: a range has the whole fetched, and a manifest its segments ahead of who reads it."""
import http.client
import json
import os
from contextlib import suppress
from functools import partial

import pytest
from helpers.lab import clients

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.lab import Lab

LIMIT = 6 * 2**20
BIG = os.urandom(5 * 2**20)
RANGE = {'Range': 'bytes=1000000-1000999'}
SILENT = {'X-No-Prefetch': 'true'}
COUNT, SIZE = 20, 2**20
SEGMENTS = [os.urandom(SIZE) for _ in range(COUNT)]
WHOLE = b''.join(SEGMENTS)


def small_lab(folder):
    """One node, and objects of up to LIMIT bytes are fetched whole. That a machine with much to do is no backend
    to be spared is said by `slow_factor`: what one test makes slow would be paused for in the next. Names next to
    those that are read are not guessed: what is fetched is counted."""
    return Lab(folder, nodes=1, replicas=1, policies=('gold',), filter_conf={'fetch_whole': str(LIMIT)},
               sidecar_conf={'prefetcher': {'slow_factor': '100', 'neighbours': 'off'}})


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with small_lab(tmp_path_factory.mktemp('lab')) as lab:
        yield lab


@pytest.fixture
def own_lab(tmp_path):
    """Its metrics are one test's alone."""
    with small_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def put(lab, container):
    def put(name, body):
        assert clients.request(lab, 'PUT', f'{container}/{name}', body=body).status == 201
        return f'{container}/{name}'
    return put


@pytest.fixture
def segments(lab):
    """The container of the segments."""
    path = clients.new_container(lab)
    for number, body in enumerate(SEGMENTS):
        assert clients.request(lab, 'PUT', f'{path}/{number:02}', body=body).status == 201
    return path


@pytest.fixture
def slo(segments, put):
    """A large object of all segments."""
    listed = [{'path': f'/{segments.split("/")[3]}/{number:02}'} for number in range(COUNT)]
    return put('slo?multipart-manifest=put', json.dumps(listed)).partition('?')[0]


def origins(lab, segments):
    """{number: origin} of the segments that are cached."""
    store, found = Store.open(lab.cache_dir), {}
    for number in range(COUNT):
        entry = store.entry(ObjectName(*segments.split('/')[2:4], f'{number:02}'))
        if entry is not None:
            with entry:
                found[number] = entry.meta.origin
    return found


def until_range_hits(lab, path, headers):
    """Ask for a range until it is a hit; asking itself has nothing fetched."""
    def hit():
        answer = clients.request(lab, 'GET', path, {**headers, **SILENT})
        assert answer.status == 206, answer
        return answer if answer.is_hit else None
    return clients.until(hit, f'a range of {path} is a hit')


# ranges of what is not cached

def test_a_range_has_the_whole_fetched(lab, put):
    path = put('o', BIG)
    first = clients.request(lab, 'GET', path, RANGE)
    assert (first.status, first.headers['cache-status']) == (206, 'swiftahead; fwd=miss')
    hit = until_range_hits(lab, path, {'Range': 'bytes=5000-5999'})
    assert (first.body, hit.body) == (BIG[1_000_000:1_001_000], BIG[5000:6000])
    whole = clients.request(lab, 'GET', path)
    assert whole.is_hit and whole.body == BIG
    # somebody had asked for it
    assert not hit.is_prefetched and not whole.is_prefetched


def test_a_condition_has_the_whole_fetched(lab, put):
    path = put('o', BIG)
    headers = {'If-Modified-Since': 'Fri, 15 Jan 2010 08:00:00 GMT'}
    assert clients.request(lab, 'GET', path, headers).body == BIG
    assert clients.until_hit(lab, path, headers=SILENT).body == BIG


def test_above_the_limit_or_without_prefetch_nothing_is_fetched(lab, put):
    large, silent, last = put('large', bytes(LIMIT + 1)), put('silent', BIG), put('last', BIG)
    assert clients.request(lab, 'GET', large, RANGE).status == 206
    assert clients.request(lab, 'GET', silent, {**RANGE, **SILENT}).status == 206
    # records are handled in their order: when this one is here, the others would be
    clients.request(lab, 'GET', last, RANGE)
    until_range_hits(lab, last, RANGE)
    store = Store.open(lab.cache_dir)
    account, container = last.split('/')[2:4]
    assert [store.has(ObjectName(account, container, name)) for name in ('large', 'silent', 'last')] == [
        False, False, True]


def test_who_reads_a_part_of_each_object_once_has_few_of_them_fetched(own_lab):
    # with the last of these more than 128 MiB are in vain
    count, fetched = 28, 22
    ask, store = partial(clients.request, own_lab), Store.open(own_lab.cache_dir)
    container = clients.new_container(own_lab)
    paths = [f'{container}/{number:02}' for number in range(count)]
    for path in paths:
        assert ask('PUT', path, body=bytes(LIMIT)).status == 201
    for path in paths:
        assert ask('GET', path, {'Range': 'bytes=-8'}).status == 206

    def told(name):
        return clients.metrics(own_lab).get(name, 0)

    def is_cached(path):
        return store.has(ObjectName(*path.split('/')[2:5]))

    clients.until(lambda: told('throttled_total whole') == count - fetched, 'the rest is throttled')
    clients.until(lambda: told('fetched_whole_total') == fetched, 'those before are fetched')
    assert told('prefetched_bytes_total') == fetched * LIMIT
    # what is read again has paid
    for path in filter(is_cached, paths):
        assert ask('GET', path, RANGE).is_hit
    clients.until(lambda: told('fetched_whole_used_total') == fetched, 'it is told that they are read')
    for path in paths:
        assert ask('GET', path, RANGE).status == 206
    clients.until(lambda: all(map(is_cached, paths)), 'the others are fetched')


def test_what_was_fetched_whole_ends_with_the_next_write(lab, put):
    path = put('o', BIG)
    clients.request(lab, 'GET', path, RANGE)
    until_range_hits(lab, path, RANGE)
    put('o', BIG[::-1])
    assert clients.request(lab, 'GET', path, RANGE).body == BIG[::-1][1_000_000:1_001_000]


# along manifests

def test_segments_are_fetched_ahead_of_a_slow_reader(lab, slo, segments):
    """It pauses until the sidecar is ahead of it; the proxy is so too, by what sockets hold."""
    got = b''
    with clients.reading(lab, slo) as reader:
        for number in range(COUNT):
            got += reader.read(SIZE)
            if number in (0, 4, 8):
                clients.until(lambda least=number: ahead(lab, segments) > least, 'segments are fetched ahead')
    assert got == WHOLE


def test_who_reads_a_segment_at_a_time_finds_the_next_one_fetched(lab, slo, segments):
    for number in range(COUNT):
        assert origins(lab, segments).get(number) == ('segment' if number else None)
        asked = {'Range': f'bytes={number * SIZE}-{(number + 1) * SIZE - 1}'}
        assert clients.request(lab, 'GET', slo, asked).body == SEGMENTS[number]
        following = number + 1 if number + 1 < COUNT else 0
        clients.until(lambda: following in origins(lab, segments), 'the next one is fetched')  # noqa: B023


def ahead(lab, segments):
    """The last segment that was fetched ahead; -1: none."""
    return max((number for number, origin in origins(lab, segments).items() if origin == 'segment'), default=-1)


def test_a_range_in_the_middle_fetches_ahead_from_there(lab, slo, segments):
    first, last = 7 * SIZE + 100, 9 * SIZE
    answer = clients.request(lab, 'GET', slo, {'Range': f'bytes={first}-{last}'})
    assert (answer.status, answer.body) == (206, WHOLE[first:last + 1])
    clients.until(lambda: ahead(lab, segments) >= 8, 'the next segments are fetched')
    # what was read in part is fetched whole
    clients.until(lambda: origins(lab, segments).get(7) == 'whole', 'the segment is fetched whole')
    assert min(origins(lab, segments)) == 7


def test_a_large_object_is_the_same_from_the_cache(lab, slo, segments):
    assert clients.request(lab, 'GET', slo).body == WHOLE
    clients.until(lambda: len(origins(lab, segments)) == COUNT, 'all segments are cached')
    clients.until_hit(lab, slo)
    assert clients.request(lab, 'GET', slo).body == WHOLE
    # the manifest is answered whole, and what is asked for of the object is not
    answer = clients.request(lab, 'GET', slo, {'Range': 'bytes=3000000-3000009'})
    assert (answer.status, answer.body) == (206, WHOLE[3_000_000:3_000_010])
    answer = clients.request(lab, 'GET', slo, {'Range': 'bytes=0-9,3000000-3000009'})
    assert answer.status == 206 and len(answer.body) < 1000
    assert WHOLE[:10] in answer.body and WHOLE[3_000_000:3_000_010] in answer.body


def test_without_prefetch_nothing_is_fetched_along_a_manifest(lab, slo, segments):
    assert clients.request(lab, 'GET', slo, SILENT).body == WHOLE
    other = f'{segments}/00'
    clients.until_hit(lab, other)
    assert set(origins(lab, segments)) == {0}


def test_a_manifest_whose_segments_are_gone_harms_nobody(lab, put, container):
    paths = [put(f'{number:02}', SEGMENTS[number]) for number in range(4)]
    listed = [{'path': '/' + path.split('/', 3)[3]} for path in paths]
    slo = put('slo?multipart-manifest=put', json.dumps(listed)).partition('?')[0]
    for path in paths[2:]:
        assert clients.request(lab, 'DELETE', path).status == 204
    got = b''
    with suppress(OSError, http.client.HTTPException), clients.reading(lab, slo) as reader:
        while piece := reader.read(SIZE):
            got += piece
    assert got == WHOLE[:2 * SIZE]
    path = put('next', BIG)
    clients.request(lab, 'GET', path, RANGE)
    assert until_range_hits(lab, path, RANGE).body == BIG[1_000_000:1_001_000]
