"""The comparison of both sides of a synced container: names in one listing, in the other, and what differs."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftahead.sidecar.syncer.compare import ListingError, compare, rows

ROW = {'hash': 'aa', 'bytes': 5, 'content_type': 'text/plain', 'last_modified': '2027-01-15T08:00:00.000000'}


def row(name, **more):
    return {'name': name, **ROW, **more}


def kinds(here, there):
    return [(pair.name, pair.kind) for pair in compare(map(row, here), map(row, there))]


def only(here, there):
    pair, = compare([row('o', **here)], [row('o', **there)])
    return pair


@given(st.sets(st.text(min_size=1)), st.sets(st.text(min_size=1)))
def test_each_name_is_met_once_and_on_its_sides(here, there):
    wanted = [(name, 'missing there' if name not in there else 'only there' if name not in here else '')
              for name in sorted(here | there)]
    assert kinds(sorted(here), sorted(there)) == wanted


@pytest.mark.parametrize('field, value', [
    ('hash', 'bb'), ('bytes', 6), ('content_type', 'text/html'), ('last_modified', '2027-01-15T08:00:00.000001')])
def test_a_field_that_differs_is_named(field, value):
    assert only({}, {field: value}).fields == (field,)


def test_a_size_in_a_content_type_is_no_difference():
    assert only({'content_type': 'text/plain;swift_bytes=7'}, {}).kind == ''


@pytest.mark.parametrize('here, there', [
    ({'slo_etag': 'ee', 'bytes': 100}, {'bytes': 5}), ({'bytes': 5}, {'slo_etag': 'ee', 'bytes': 100}),
    ({'hash': 'aa; slo_etag=ee'}, {'hash': 'bb'})])
def test_a_manifest_is_compared_by_its_time_alone(here, there):
    pair = only(here, there)
    assert pair.is_manifest and pair.kind == ''
    assert only(here, {**there, 'last_modified': '2027-01-15T09:00:00.000000'}).kind == 'differs'


def paged(pages):
    return lambda after: pages.get(after, [])


def test_all_pages_are_read_with_the_last_name_as_marker():
    pages = {'': [row('a'), row('b')], 'b': [row('c')]}
    assert [one['name'] for one in rows(paged(pages), 'here')] == ['a', 'b', 'c']


@pytest.mark.parametrize('page', [[row('b'), row('a')], [row('b'), row('b')], [row('b'), {'subdir': 'c/'}]])
def test_a_listing_without_order_is_refused(page):
    with pytest.raises(ListingError, match="the listing there has .* after 'b'"):
        list(rows(paged({'': page}), 'there'))


def test_a_listing_that_repeats_its_page_ends():
    with pytest.raises(ListingError, match="has 'a' after 'a'"):
        list(rows(lambda after: [row('a')], 'here'))
