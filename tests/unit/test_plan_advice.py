"""Which setting is recommended."""
import pytest

from swiftahead.cli.accesslog import Read
from swiftahead.cli.advice import advise, best_of
from swiftahead.cli.bound import Bound
from swiftahead.cli.cells import Cell, requests
from swiftahead.predict.replay import Counts


def cell(hits, eviction='lru', prefetch=False, size=100, number=1, vain=0):
    """Of a thousand reads."""
    counts = Counts(requests=1000, hits=hits, bytes=1000, prefetched=vain + 10, used=10)
    return Cell('t', size, eviction, prefetch, number, counts, Bound(1, 1))


def test_the_best_eviction_is_taken():
    assert best_of([cell(500), cell(600, 'gdsf')]).eviction == 'gdsf'


def test_of_nearly_the_same_the_simplest_is_taken():
    assert best_of([cell(604, 'gdsf'), cell(600), cell(603, prefetch=True)]) == cell(600)


@pytest.mark.parametrize('gained, vain, is_worth', [
    (100, 99, True), (100, 101, False), (4, 0, False), (-50, 0, False)])
def test_prefetching_has_to_earn_its_bytes(gained, vain, is_worth):
    assert best_of([cell(500), cell(500 + gained, prefetch=True, vain=vain)]).prefetch is is_worth


def test_what_prefetching_earns_is_against_the_same_eviction():
    cells = [cell(500), cell(600, 'gdsf'), cell(602, 'gdsf', prefetch=True, vain=50)]
    assert best_of(cells) == cells[1]


@pytest.mark.parametrize('hits, size', [
    ((500, 519, 539), 100), ((500, 521, 560), 400), ((500, 500, 541), 400), ((500, 530, 549), 200)])
def test_a_larger_cache_has_to_earn_its_bytes(hits, size):
    sizes = 100, 200, 400
    found = advise([cell(count, size=size) for count, size in zip(hits, sizes, strict=True)])
    assert found.cell and found.cell.cache_bytes == size


def test_the_last_pass_counts():
    cells = [cell(900), cell(100, number=2), cell(500, 'gdsf'), cell(500, 'gdsf', number=2)]
    assert advise(cells).cell == cells[3]


def test_where_little_is_read_again_no_cache_is_recommended():
    found = advise([cell(49), cell(20, 'gdsf')])
    assert found.cell is None and 'answers 4.9 % of the reads' in found.reason


def test_the_reason_has_the_figures():
    reason = advise([cell(500), cell(700, 'gdsf'), cell(800, 'gdsf', prefetch=True, vain=50),
                     cell(801, size=400)]).reason
    assert reason == (
        '80.0 % of the reads are hits; without prefetching 70.0 %, and for each read that is a hit by it '
        '0.50 objects are fetched in vain; lru without prefetching has 50.0 %; 4 times the cache would '
        'gain 0.1 points more')


def test_a_pass_begins_when_the_one_before_has_ended():
    reads = [Read(5, '', '', '', 'x', 1), Read(6, '', '', '', 'y', 1), Read(9, '', '', '', 'x', 1)]
    assert [request.at for number in range(2) for request in requests(reads, number)] == [0, 1, 4, 6, 7, 10]
