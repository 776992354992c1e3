"""A hit cannot be told from Swift's own answer: the same requests to a proxy without the filter, and to one
whose cache is warm."""
import json
import random

import pytest
from helpers.common.trying import tries
from helpers.filter import equivalence
from helpers.filter.equivalence import ASKS, Ask
from helpers.lab import clients
from helpers.lab.equivalence_lab import BODY, PLAIN, SLOW, STORED, assert_none, compare, put
from hypothesis import given
from hypothesis import strategies as st

# never kept
PASSED = {'no-store': (BODY[:500], {'Cache-Control': 'no-store'}),
          'private': (BODY[:500], {'Cache-Control': 'private, max-age=60'}),
          'no-cache': (BODY[:500], {'Cache-Control': 'no-cache'}),
          'expired': (BODY[:500], {'Expires': 'Thu, 01 Jan 2015 00:00:00 GMT'}),
          'age': (BODY[:500], {'Age': '100'})}


@pytest.fixture(scope='module')
def lab(compared_lab):
    return compared_lab


LABELS = [*(f'gold-{name}' for name in PLAIN), 'ec-plain', 'ec-empty', 'ec-large', 'quoted-plain']


def part_for(label):
    """The whole list for one object, and for each other a part of its own; `slow` has the rest."""
    return ASKS if label == 'gold-plain' else random.Random(label).sample(ASKS, 60)


@pytest.mark.parametrize('label', LABELS)
def test_a_hit_is_swifts_answer(swift, cached, objects, label):
    assert_none(compare(swift, cached, objects[label], part_for(label)))


@pytest.mark.slow
@pytest.mark.parametrize('label', LABELS)
def test_a_hit_is_swifts_answer_to_the_whole_list(swift, cached, objects, label):
    assert_none(compare(swift, cached, objects[label], ASKS))


@pytest.mark.parametrize('name', PASSED)
def test_what_is_not_kept_is_swifts_answer(lab, swift, cached, objects, name):
    path = put(lab, f'{clients.account(lab)}/gold', name, *PASSED[name])
    assert_none(compare(swift, cached, path, part_for(name), hits=False))
    assert not cached.get(path).is_hit


@pytest.mark.parametrize('name', STORED)
def test_a_hit_has_each_header_that_swift_was_told_to_store(lab, swift, cached, objects, name):
    path = put(lab, f'{clients.account(lab)}/gold', f'with {name}', BODY[:500], {name: STORED[name]})
    clients.until_hit(lab, path)
    assert swift.get(path).header(name.lower()) == STORED[name]
    asks = [Ask('GET', {}), Ask('HEAD', {}), Ask('GET', {'Range': 'bytes=1-2'})]
    assert_none(compare(swift, cached, path, asks))


@tries(100, **SLOW)
@given(asks=st.lists(equivalence.asks(), min_size=1, max_size=3), label=st.sampled_from(LABELS))
def test_whatever_is_asked_of_a_hit_swift_answers_so(swift, cached, objects, asks, label):
    assert_none(compare(swift, cached, objects[label], asks))


# what middleware on the left makes of several hits

def put_slo(lab, container):
    segments = [put(lab, container, f'segment-{number}', BODY[:size]) for number, size in ((1, 70_000), (2, 999))]
    manifest = json.dumps([{'path': path.partition('/AUTH_test')[2]} for path in segments]).encode()
    return put(lab, container, 'slo', manifest, query='?multipart-manifest=put'), segments


def put_nested_slo(lab, container):
    """Of a manifest, of a part of a segment, and of a segment that is erasure-coded."""
    inner, segments = put_slo(lab, container)
    coded = put(lab, container.replace('/gold', '/ec'), 'segment-3', BODY[:70_000])
    paths = [path.partition('/AUTH_test')[2] for path in (inner, segments[0], coded)]
    manifest = json.dumps([{'path': paths[0]}, {'path': paths[1], 'range': '65530-65545'}, {'path': paths[2]}])
    return put(lab, container, 'nested', manifest.encode(), query='?multipart-manifest=put'), [*segments, coded]


def put_dlo(lab, container):
    segments = [put(lab, container, f'dlo-segments/{number}', BODY[:70_000]) for number in (1, 2)]
    return put(lab, container, 'dlo', b'', {'X-Object-Manifest': 'gold/dlo-segments/'}), segments


def put_symlink(lab, container):
    target = put(lab, container, 'target', BODY[:70_000])
    return put(lab, container, 'symlink', b'', {'X-Symlink-Target': 'gold/target'}), [target]


def put_static_symlink(lab, container):
    target = put(lab, container, 'target-2', b'abc')
    sent = {'X-Symlink-Target': 'gold/target-2', 'X-Symlink-Target-Etag': '900150983cd24fb0d6963f7d28e17f72'}
    return put(lab, container, 'static', b'', sent), [target]


def compare_made(lab, swift, cached, make, asks):
    """The object is made anew; it and each of its parts are hits before, and the parts after."""
    path, parts = make(lab, f'{clients.account(lab)}/gold')
    for part in (*parts, path):
        clients.until_hit(lab, part)
    # slo gives one segment a second after the first ten, with and without the filter
    asked = [ask for ask in asks if ask.headers.get('Range', '').count(',') < 10]
    wrong = compare(swift, cached, path, asked, hits=False)
    return [*wrong, *(part for part in parts if not cached.get(part).is_hit)]


MAKERS = [put_slo, put_nested_slo, put_dlo, put_symlink, put_static_symlink]


@pytest.mark.parametrize('make', MAKERS)
def test_what_is_made_of_hits_is_swifts_answer(lab, swift, cached, objects, make):
    assert_none(compare_made(lab, swift, cached, make, part_for(make.__name__)))


@pytest.mark.slow
@pytest.mark.parametrize('make', MAKERS)
def test_what_is_made_of_hits_is_swifts_answer_to_the_whole_list(lab, swift, cached, objects, make):
    assert_none(compare_made(lab, swift, cached, make, ASKS))
