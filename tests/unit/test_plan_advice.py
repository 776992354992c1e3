"""Which setting is recommended, and what is said of it."""
from dataclasses import replace

import pytest

from swiftahead.conf import PREFETCHER
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.advice import advise, best_of, recommended_size
from swiftahead.plan.grid import Cell, GridSpec, cells, otherwise, requests
from swiftahead.plan.replay import Counts, ReplaySettings
from swiftahead.plan.sample import Off
from swiftahead.plan.traces import Trace
from swiftahead.plan.upper_bound import UpperBound
from swiftahead.predict import SequenceLearner


def cell(hits, eviction='lru', prefetch=False, size=100, number=1, gets=None, reads=10_000, **more):
    """Of each thousand reads so many hits, and GETs: those of the misses where nothing is said."""
    gets = 1000 - hits if gets is None else gets
    counts = Counts(requests=reads, hits=hits * reads // 1000, early_hits=hits * reads // 2000, bytes=1000,
                    backend_gets=gets * reads // 1000)
    return Cell('t', size, eviction, prefetch, number, counts, UpperBound(1, 1), **more)


def advice_of(*cells):
    size = recommended_size(cells)
    return advise(cells, size and best_of([one for one in cells if one.cache_bytes == size]), size)


# the rule

def test_the_best_eviction_is_taken():
    assert best_of([cell(500), cell(600, 'gdsf')]).eviction == 'gdsf'


def test_of_nearly_the_same_the_simplest_is_taken():
    others = cell(604, 'gdsf'), cell(603, admit='second_hit'), cell(603, prefetch=True)
    assert best_of([*others, cell(600)]) == cell(600)


@pytest.mark.parametrize('gained, more_gets, is_worth', [
    (100, 100, True), (100, 101, False), (100, -50, True), (4, 0, False), (4, -4, False), (-50, -100, False)])
def test_a_hit_by_prefetching_may_cost_one_get_more(gained, more_gets, is_worth):
    found = best_of([cell(500), cell(500 + gained, prefetch=True, gets=500 + more_gets)])
    assert found.prefetch is is_worth


def test_prefetching_is_compared_with_the_best_plain_setting_of_any_eviction():
    plain = cell(751, 'gdsf', gets=249)
    assert best_of([cell(600), plain, cell(775, prefetch=True, gets=544)]) == plain


def test_of_two_that_are_worth_it_the_one_with_most_hits_less_gets_is_taken():
    dear, cheap = cell(620, 'lru', True, gets=490), cell(610, 'gdsf', True, gets=395)
    assert best_of([cell(500), dear, cheap]) == cheap


def test_an_estimate_has_to_gain_more_than_it_may_be_off():
    guess = cell(560, prefetch=True, gets=440, off=Off(hits=0.07))
    assert best_of([cell(500), guess]) == cell(500)
    assert best_of([cell(500), replace(guess, off=Off(hits=0.05))]).prefetch


def test_admission_may_be_the_base_that_prefetching_is_compared_with():
    second = cell(537, admit='second_hit')
    assert best_of([cell(387), cell(488, prefetch=True, gets=512), second]) == second


@pytest.mark.parametrize('hits, size', [
    ((500, 519, 539), 100), ((500, 521, 560), 400), ((500, 500, 541), 400), ((500, 530, 549), 200)])
def test_a_larger_cache_has_to_earn_its_bytes(hits, size):
    sizes = 100, 200, 400
    assert recommended_size([cell(count, size=size) for count, size in zip(hits, sizes, strict=True)]) == size


def test_a_size_that_is_of_no_use_is_not_recommended_because_the_next_is_hardly_worth_more():
    assert recommended_size([cell(0, size=1), cell(100, size=2**10)]) == 2**10


def test_where_little_is_read_again_no_cache_is_recommended():
    found = advice_of(cell(49), cell(20, 'gdsf'))
    assert found.cell is None and 'answers 4.9 % of the reads' in found.reason


# the reasons

def test_the_reason_has_the_figures():
    found = advice_of(cell(500), cell(700, 'gdsf'), cell(800, 'gdsf', True, gets=250), cell(801, size=400))
    assert found.reason == (
        '80.0 % of the reads are hits, with 0.250 GETs of the backend for each read; gdsf, the best without '
        'prefetching, has 70.0 % with 0.300, so that each hit that is gained costs no GET more; lru without '
        'prefetching has 50.0 %; 4.0 times the cache has 80.1 % with lru at best, 0.1 points more')


@pytest.mark.parametrize('hits, gets, said', [
    (450, 550, 'would lose 5.0 points of hits, to 45.0 % with lru at best'),
    (500, 500, 'would change nothing of the hits'),
    (503, 497, 'would gain 0.3 points of hits, to 50.3 % with lru at best, where less than 0.5 points is too '
               'little to be recommended'),
    (524, 794, 'would gain 2.4 points of hits, to 52.4 % with lru at best, and each of these hits would cost '
               '12.25 GETs more, of which 1 is the most')])
def test_why_prefetching_is_not_recommended_is_told(hits, gets, said):
    assert f'; prefetching {said}' in advice_of(cell(500), cell(hits, prefetch=True, gets=gets)).reason


@pytest.mark.parametrize('neighbours', [True, False])
def test_that_neighbours_were_not_tried_is_told(neighbours):
    reason = advice_of(cell(500), cell(450, prefetch=True, neighbours=neighbours)).reason
    assert ('; neighbours, which foresee first reads, were not tried' in reason) is not neighbours


def test_what_prefetching_would_answer_is_told_where_no_cache_is_recommended():
    found = advice_of(cell(0), cell(279, prefetch=True, gets=1400))
    assert found.cell is None and 'would gain 27.9 points of hits, to 27.9 % with lru at best' in found.reason


def test_a_larger_cache_that_would_lose_is_told_so():
    assert '2.0 times the cache has 45.0 % with gdsf at best, 5.0 points less' in advice_of(
        cell(500), cell(450, 'gdsf', size=200)).reason


def test_what_admission_has_to_do_with_it_is_told():
    reason = advice_of(cell(500), cell(506, admit='second_hit')).reason
    assert '50.6 % of the reads are hits' in reason
    assert '; it has 50.0 % where all misses are kept at their first read' in reason


def test_what_neighbours_have_to_do_with_it_is_told():
    plain, found = cell(500), cell(600, prefetch=True, gets=420)
    reason = advice_of(plain, found, cell(590, prefetch=True, gets=700, neighbours=True)).reason
    assert '; with neighbours it has 59.0 % and 0.700 GETs of the backend for each read' in reason


@pytest.mark.parametrize('eviction', ['lfu', 'gdsf', 's3fifo'])
def test_each_eviction_may_be_recommended(eviction):
    found = advice_of(cell(500), cell(600, eviction))
    assert found.cell == cell(600, eviction) and 'lru without prefetching has 50.0 %' in found.reason


# whether the log is long enough

@pytest.mark.parametrize('reads, points', [(1000, '3.2'), (2000, '2.2'), (3000, None)])
def test_a_short_log_is_told_with_what_chance_alone_makes_of_it(reads, points):
    told = advice_of(cell(500, reads=reads)).warnings
    assert [f'{points} points or more' in one for one in told] == ([True] if points else [])


@pytest.mark.parametrize('early, told', [(1000, True), (2400, False)])
def test_a_log_in_which_the_cache_was_still_filling_is_told(early, told):
    one = cell(500)
    found = advice_of(replace(one, counts=replace(one.counts, early_hits=early))).warnings
    assert any('of the second half of the reads 80.0 % are hits' in text for text in found) is told


def test_where_no_cache_is_recommended_a_short_log_is_told_too():
    found = advice_of(cell(0, reads=100))
    assert found.cell is None and 'with 100 reads such figures are off by 3.0 points' in found.warnings[0]


# what is recommended was replayed

LOOP = Trace('t', [LogRead(second, '', '', '', f'o{second % 10}', 100) for second in range(300)], False)
# half of the objects, of two pages each
HALF = GridSpec([50_000], ['lru'], 1, 1000, None)


def test_a_setting_is_replayed_otherwise_with_prefetching_where_it_has_it():
    plain, learned = cells(LOOP, HALF, str)
    assert otherwise(LOOP, HALF, plain, str, admit='second_hit').object_hit_ratio < 0.1
    assert otherwise(LOOP, HALF, learned, str, admit='second_hit').object_hit_ratio > 0.5


def test_a_setting_that_is_replayed_once_more_is_the_same():
    for one in cells(LOOP, HALF, str):
        assert otherwise(LOOP, HALF, one, str) == one


def test_the_replay_has_the_defaults_of_the_conf_file():
    """What is recommended says nothing of them."""
    defaults = PREFETCHER.read({})
    names = 'threshold', 'window', 'look_ahead', 'max_contexts'
    found = SequenceLearner.__init__.__defaults__[:4]
    assert found == tuple(getattr(defaults, name) for name in names)
    assert ReplaySettings.concurrency == defaults.concurrency


def test_a_pass_begins_when_the_one_before_has_ended():
    reads = [LogRead(5, '', '', '', 'x', 1), LogRead(6, '', '', '', 'y', 1), LogRead(9, '', '', '', 'x', 1)]
    assert [request.at for number in range(2) for request in requests(reads, number)] == [0, 1, 4, 6, 7, 10]
