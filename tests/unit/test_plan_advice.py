"""Which setting is recommended."""
from dataclasses import replace

import pytest

from swiftahead.cli.accesslog import Read
from swiftahead.cli.advice import advise, best_of, improved
from swiftahead.cli.bound import Bound
from swiftahead.cli.cells import Cell, Question, cells, otherwise, requests
from swiftahead.cli.traces import Trace
from swiftahead.predict.replay import Counts


def cell(hits, eviction='lru', prefetch=False, size=100, number=1, vain=0, late=0):
    """Of a thousand reads."""
    counts = Counts(requests=1000, hits=hits, bytes=1000, prefetched=vain + late + 10, used=10, late=late)
    return Cell('t', size, eviction, prefetch, number, counts, Bound(1, 1))


def test_the_best_eviction_is_taken():
    assert best_of([cell(500), cell(600, 'gdsf')]).eviction == 'gdsf'


def test_of_nearly_the_same_the_simplest_is_taken():
    assert best_of([cell(604, 'gdsf'), cell(600), cell(603, prefetch=True)]) == cell(600)


@pytest.mark.parametrize('gained, vain, is_worth', [
    (100, 99, True), (100, 101, False), (4, 0, False), (-50, 0, False)])
def test_prefetching_has_to_earn_its_bytes(gained, vain, is_worth):
    assert best_of([cell(500), cell(500 + gained, prefetch=True, vain=vain)]).prefetch is is_worth


def test_what_was_read_while_it_was_on_its_way_was_not_fetched_in_vain():
    assert best_of([cell(500), cell(556, prefetch=True, vain=28, late=80)]).prefetch


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


def test_what_prefetching_would_answer_is_told_where_it_is_not_worth_it():
    found = advise([cell(0), cell(279, prefetch=True, vain=400)])
    assert found.cell is None
    assert found.reason.endswith('lru with prefetching would answer 27.9 %, but for each read that is a hit by it '
                                 '1.43 objects are fetched in vain')


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


@pytest.mark.parametrize('hits, admit', [(504, 'all'), (506, 'second_hit'), (400, 'all')])
def test_what_is_tried_besides_is_recommended_where_it_gains_something(hits, admit):
    found = improved(advise([cell(500)]), [cell(hits)], 'that', admit='second_hit')
    assert found.admit == admit and found.cell and found.cell.counts.hits == (506 if hits == 506 else 500)
    assert ('50.6 % of the reads are hits; 0.6 points of them by that' in found.reason) is (hits == 506)


def test_what_is_tried_besides_has_to_earn_its_prefetching_anew():
    advice = advise([cell(387), cell(488, prefetch=True, vain=31)])
    assert advice.cell and advice.cell.prefetch
    second = [cell(537), cell(553, prefetch=True, vain=23)]
    found = improved(advice, second, 'that', admit='second_hit')
    assert (found.cell, found.admit) == (second[0], 'second_hit')
    assert 'too little here for what it fetches in vain' in found.reason and '38.7' not in found.reason


def test_each_way_to_what_is_recommended_is_told():
    advice = improved(advise([cell(400)]), [cell(450)], 'this', neighbours=False)
    reason = improved(advice, [cell(510)], 'that').reason
    assert '; 5.0 points of them by this; 6.0 points of them by that; ' in reason


def test_admission_is_tried_with_prefetching_where_that_is_recommended():
    reads = [Read(second, '', '', '', f'o{second % 10}', 100) for second in range(300)]
    question = Question([500], ['lru'], 1, 1000, None)
    trace, second = Trace('t', reads, False), replace(question, admit='second_hit')
    plain, learned = list(cells(trace, question, str))
    assert [found.prefetch for found in otherwise(trace, second, plain, str)] == [False]
    without, with_it = otherwise(trace, second, learned, str)
    assert without.object_hit_ratio < 0.1 and with_it.object_hit_ratio > 0.5


@pytest.mark.parametrize('eviction', ['lfu', 'gdsf', 's3fifo'])
def test_each_eviction_may_be_recommended(eviction):
    found = advise([cell(500), cell(600, eviction)])
    assert found.cell == cell(600, eviction) and 'lru without prefetching has 50.0 %' in found.reason


def test_a_pass_begins_when_the_one_before_has_ended():
    reads = [Read(5, '', '', '', 'x', 1), Read(6, '', '', '', 'y', 1), Read(9, '', '', '', 'x', 1)]
    assert [request.at for number in range(2) for request in requests(reads, number)] == [0, 1, 4, 6, 7, 10]
