"""Bodies of hits: ranges, damage half way, whose turn it is, and what is left open."""
import os

import pytest
from helpers.common.builders import NAME, link
from helpers.common.faults import no_fd_left, open_files
from swift.common.concurrency import sleep, spawn
from swift.common.swob import Request, Response, multi_range_iterator

from swiftahead.cache import Damaged, Store
from swiftahead.cache.entry import BLOCK, PAGE
from swiftahead.middleware import hit
from swiftahead.middleware.hit import EntryBody, Pieces

# three reads of the entry: four blocks, four blocks, one and a bit
BODY = os.urandom(9 * BLOCK + 17)
SIZE = len(BODY)


class Cached:
    """The body of an entry, and what was asked of the backend for it."""

    def __init__(self, store):
        self.path = store.layout.entry(link(store, BODY).entry_name)
        self._store = store
        self.errors: list[Exception] = []
        self.asked: list[tuple[int, int]] = []
        self.entry = None

    def open(self):
        self.entry = self._store.entry(NAME)
        return EntryBody(self.entry, self._rest, self.errors.append)

    def _rest(self, start, stop):
        self.asked.append((start, stop))
        yield BODY[start:stop]

    def damage(self, offset):
        with self.path.open('r+b') as file:
            file.seek(PAGE + offset)
            file.write(bytes([BODY[offset] ^ 1]))


@pytest.fixture
def store(tmp_path):
    with no_fd_left(tmp_path):
        yield Store.create(tmp_path / 'cache')


@pytest.fixture
def cached(store):
    return Cached(store)


def test_the_whole_body_and_no_more(cached):
    assert b''.join(cached.open()) == BODY and cached.errors == []


@pytest.mark.parametrize('start, stop', [
    (0, 1), (SIZE - 1, SIZE), (BLOCK - 1, BLOCK + 1), (BLOCK, 2 * BLOCK), (4 * BLOCK - 1, 8 * BLOCK + 1), (7, 7)])
def test_a_range_ends_before_its_stop(cached, start, stop):
    assert b''.join(cached.open().app_iter_range(start, stop)) == BODY[start:stop]


def test_several_ranges_are_framed_as_swob_frames_those_of_a_list(cached):
    ranges, told = [(0, 3), (5 * BLOCK - 2, 5 * BLOCK + 2), (1, 2)], (b'text/plain', b'drawn', SIZE)
    expected = multi_range_iterator(ranges, *told, lambda start, stop: iter([BODY[start:stop]]))
    assert b''.join(cached.open().app_iter_ranges(ranges, *told)) == b''.join(expected)


def damaged_at(cached, offset, read):
    cached.damage(offset)
    return b''.join(read(cached.open()))


@pytest.mark.parametrize('offset, rest_from', [
    (0, 0), (BLOCK, BLOCK), (4 * BLOCK - 1, 3 * BLOCK), (4 * BLOCK, 4 * BLOCK), (SIZE - 1, 9 * BLOCK)])
def test_from_a_damaged_block_on_the_body_is_the_backends(cached, offset, rest_from):
    assert damaged_at(cached, offset, iter) == BODY
    assert cached.asked == [(rest_from, SIZE)]
    error, = cached.errors
    assert isinstance(error, Damaged)


def test_of_a_range_the_rest_of_the_range_is_the_backends(cached):
    start, stop = 2 * BLOCK + 5, 6 * BLOCK + 9
    found = damaged_at(cached, 3 * BLOCK + 7, lambda opened: opened.app_iter_range(start, stop))
    assert (found, cached.asked) == (BODY[start:stop], [(3 * BLOCK, stop)])


def test_damage_outside_of_a_range_is_not_met(cached):
    found = damaged_at(cached, 5 * BLOCK, lambda opened: opened.app_iter_range(0, 5 * BLOCK))
    assert (found, cached.asked, cached.errors) == (BODY[:5 * BLOCK], [], [])


def test_each_of_several_ranges_has_its_own_rest(cached):
    ranges = [(0, 9), (BLOCK - 1, BLOCK + 4), (2 * BLOCK, 2 * BLOCK + 1)]
    found = damaged_at(cached, BLOCK, lambda opened: opened.app_iter_ranges(ranges, b'a/b', b'drawn', SIZE))
    assert cached.asked == [(BLOCK, BLOCK + 4)] and len(cached.errors) == 1
    assert all(BODY[start:stop] in found for start, stop in ranges)


def test_a_disk_that_fails_is_as_good_as_a_damaged_block(cached):
    opened = cached.open()
    os.close(cached.entry._fd)
    # of a large entry nothing but the header was read so far
    assert b''.join(opened) == BODY and cached.asked == [(0, SIZE)]
    assert isinstance(cached.errors[0], OSError)


@pytest.mark.parametrize('seconds, turns', [(0, 3), (1000, 0)])
def test_others_have_their_turn_when_the_time_is_over(cached, monkeypatch, seconds, turns):
    monkeypatch.setattr(hit, 'HOLD_SECONDS', seconds)
    had = []

    def other():
        while True:
            had.append(1)
            sleep()

    others = spawn(other)
    try:
        assert b''.join(cached.open()) == BODY
    finally:
        others.kill()
    assert len(had) == turns


@pytest.mark.parametrize('read', [
    iter, lambda opened: opened.app_iter_range(3, 9),
    lambda opened: opened.app_iter_ranges([(0, 1), (4, 5)], b'a/b', b'drawn', SIZE)])
def test_what_was_read_to_its_end_is_closed(cached, tmp_path, read):
    opened = cached.open()
    assert len(open_files(tmp_path)) == 1
    assert b''.join(read(opened))
    assert open_files(tmp_path) == []


@pytest.mark.parametrize('pieces_read', [0, 1])
@pytest.mark.parametrize('read', [iter, lambda opened: opened.app_iter_range(0, SIZE)])
def test_who_hangs_up_leaves_nothing_open(cached, tmp_path, read, pieces_read):
    pieces = Pieces(read(cached.open()), cached.entry)
    found = iter(pieces)
    assert len([next(found) for _ in range(pieces_read)]) == pieces_read
    pieces.close()
    pieces.close()
    # `cached` holds the entry, so that no garbage collector has closed it
    assert open_files(tmp_path) == []


def test_pieces_close_what_they_are_made_of(cached):
    closed = []

    class Body(list):
        def close(self):
            closed.append(self)

    cached.open()
    Pieces(Body([b'a']), cached.entry).close()
    assert closed == [[b'a']]


@pytest.mark.parametrize('value', ['bytes=0-3', 'bytes=0-1,4-5'])
def test_middleware_on_the_left_can_take_no_ranges_of_pieces(cached, value):
    """slo and dlo would: of the whole object that the cache gave them on purpose."""
    pieces = Pieces(cached.open(), cached.entry)
    req = Request.blank('/v1/a/c/o', headers={'Range': value})
    resp = Response(request=req, app_iter=pieces, conditional_response=True, headers={'Content-Length': str(SIZE)})
    assert b''.join(resp(req.environ, lambda *_: None)) == BODY
    assert resp.status_int == 200
