"""Which setting is recommended."""
import pytest

from swiftahead.cli.accesslog import Read
from swiftahead.cli.advice import advise, best_of, with_admission
from swiftahead.cli.bound import Bound
from swiftahead.cli.cells import Cell, Question, cells, requests, second_hit_ratio
from swiftahead.cli.traces import Trace
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


def test_a_size_that_is_of_no_use_is_not_recommended_because_the_next_is_hardly_worth_more():
    found = advise([cell(0, size=1), cell(100, size=2**10)])
    assert found.cell and found.cell.cache_bytes == 2**10


def test_the_reason_has_the_figures():
    reason = advise([cell(500), cell(700, 'gdsf'), cell(800, 'gdsf', prefetch=True, vain=50),
                     cell(801, size=400)]).reason
    assert reason == (
        '80.0 % of the reads are hits; without prefetching 70.0 %, and for each read that is a hit by it '
        '0.50 objects are fetched in vain; lru without prefetching has 50.0 %; 4 times the cache would '
        'gain 0.1 points more')


@pytest.mark.parametrize('ratio, admit', [(0.504, 'all'), (0.506, 'second_hit'), (0.4, 'all')])
def test_admission_is_recommended_where_it_gains_something(ratio, admit):
    found = with_admission(advise([cell(500)]), cell(500), ratio)
    assert found.admit == admit
    assert ('alone gains another 0.6 points' in found.reason) is (admit == 'second_hit')


def test_admission_is_tried_with_prefetching_where_that_is_recommended():
    reads = [Read(second, '', '', '', f'o{second % 10}', 100) for second in range(300)]
    question = Question([500], ['lru'], 1, 1000, None)
    plain, learned = list(cells(Trace('t', reads, False), question, str))
    ratios = [second_hit_ratio(Trace('t', reads, False), question, found, str) for found in (plain, learned)]
    assert ratios[0] < 0.1 and ratios[1] > 0.5


@pytest.mark.parametrize('eviction', ['lfu', 'gdsf', 's3fifo'])
def test_each_eviction_may_be_recommended(eviction):
    found = advise([cell(500), cell(600, eviction)])
    assert found.cell == cell(600, eviction) and 'lru without prefetching has 50.0 %' in found.reason


def test_a_pass_begins_when_the_one_before_has_ended():
    reads = [Read(5, '', '', '', 'x', 1), Read(6, '', '', '', 'y', 1), Read(9, '', '', '', 'x', 1)]
    assert [request.at for number in range(2) for request in requests(reads, number)] == [0, 1, 4, 6, 7, 10]
