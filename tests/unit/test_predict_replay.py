"""Replaying reads on a simulated clock, and whether prefetching pays."""
import csv
import os
import random

import pytest

from swiftahead.eviction.admission import SecondHit
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.replay import Replay, ReplaySettings, replay
from swiftahead.predict import Prediction, Schedule, SequenceLearner, Usefulness


def settings(cache_bytes=1000, learner=SequenceLearner, seconds=0.02, eviction='lru', **more):
    return ReplaySettings(cache_bytes, POLICIES[eviction], learner, lambda size: seconds, **more)


def reads(names, start=0.0, gap=1.0, size=100, client='x'):
    return [LogRead(start + number * gap, client, 'a', 'c', name, size) for number, name in enumerate(names)]


class Told:
    """A learner that always expects the same, a second later."""

    def __init__(self, *names, probability=1.0, wait=1.0):
        self.names, self.probability, self.wait = names, probability, wait

    def __call__(self, **_):
        return self

    def observe(self, read):
        at = read.at + self.wait
        return [Prediction(read.account, ('c', name), self.probability, at) for name in self.names]


def test_without_a_learner_it_is_the_cache_alone():
    counts = replay(reads('abcab'), settings(300, None))
    assert (counts.requests, counts.hits, counts.backend_gets, counts.prefetched) == (5, 2, 3, 0)
    assert (counts.bytes, counts.hit_bytes) == (500, 200)


def test_what_is_prefetched_and_read_is_a_hit():
    run = Replay(settings(100, Told('b', wait=10.0)))
    run.run(reads('b'))
    counts = run.run(reads('ab', start=10, gap=10.0))
    assert (counts.hits, counts.prefetched, counts.used, counts.late, counts.backend_gets) == (1, 1, 1, 0, 2)
    assert counts.wasted_bytes == 0


def test_what_is_read_while_it_is_on_its_way_is_late_and_not_fetched_twice():
    run = Replay(settings(100, Told('b', wait=10.0), seconds=5.0))
    run.run(reads('b'))
    counts = run.run(reads('ab', start=10, gap=10.0))
    assert (counts.hits, counts.prefetched, counts.used, counts.late, counts.backend_gets) == (0, 1, 0, 1, 2)


def test_what_is_prefetched_and_not_read_is_wasted():
    run = Replay(settings(100, Told('b', wait=10.0)))
    run.run(reads('b'))
    counts = run.run([*reads('ac', start=10, gap=10.0)])
    assert (counts.prefetched, counts.used, counts.wasted_bytes) == (1, 0, 100)


@pytest.mark.parametrize('gap, prefetched', [(1.0, 0), (10.0, 1)])
def test_what_is_hotter_than_what_is_expected_is_not_evicted_for_it(gap, prefetched):
    run = Replay(settings(100, Told('b', wait=gap)))
    run.run(reads('b'))
    assert run.run(reads('ac', start=20, gap=gap)).prefetched == prefetched


def test_what_became_hot_while_a_prefetch_was_on_its_way_stays():
    run = Replay(settings(100, Told('b', wait=10.0), seconds=5.0))
    run.run(reads('b'))
    # c comes at 20 s; the fetch of b begins at 19.2 s, when a was idle, and ends at 24.2 s
    counts = run.run([*reads('a', start=10), *reads('ccc', start=20, gap=2.0), *reads('c', start=25)])
    assert (counts.prefetched, counts.hits, counts.used) == (1, 3, 0)


@pytest.mark.parametrize('room, hits', [(1999, 0), (2000, 2)])
def test_an_object_takes_what_its_entry_takes_on_disk(room, hits):
    counts = replay(reads('abab'), settings(room, None, disk_bytes=lambda size: size + 900))
    assert (counts.hits, counts.hit_bytes) == (hits, hits * 100)


@pytest.mark.parametrize('high, low, hits', [(100, 100, 'fghij'), (100, 50, 'ij'), (60, 60, 'hij'), (60, 20, 'j')])
def test_eviction_begins_at_the_high_mark_and_ends_at_the_low_one(high, low, hits):
    run = Replay(settings(500, None, high=high, low=low))
    run.run(reads('abcdefghij'))
    assert [name for name in 'abcdefghij' if run._room.read(('a', 'c', name), 0) is not None] == list(hits)


def test_what_passes_the_high_mark_by_itself_is_not_kept():
    assert replay(reads('aa'), settings(100, None, high=99)).hits == 0


def test_for_what_is_fetched_ahead_nothing_goes_that_was_read_since_though_the_low_mark_is_passed():
    run = Replay(settings(400, Told('b', wait=10.0), high=100, low=50))
    run.run(reads('b'))
    run.run(reads('cdef', start=100, gap=30.0))
    assert ('a', 'c', 'b') in run._room and run._room._index.bytes <= 300


@pytest.mark.parametrize('admission, hits', [(None, 3), (SecondHit, 2)])
def test_what_is_not_let_in_at_its_first_read_is_at_its_second(admission, hits):
    counts = replay(reads('abaaa'), settings(1000, None, admission=admission))
    assert (counts.hits, counts.backend_gets) == (hits, 5 - hits)


def test_what_is_prefetched_is_let_in_at_once():
    run = Replay(settings(1000, Told('b'), admission=SecondHit), {('a', 'c', 'b'): 100})
    assert run.run(reads('ab', gap=5.0)).used == 1


@pytest.mark.parametrize('learner', [None, SequenceLearner])
def test_what_was_replaced_by_another_size_is_a_miss_and_kept_anew(learner):
    sizes = [100, 100, 150, 150, 2000, 2000, 100]
    run = Replay(settings(1000, learner))
    hits = [run.run([one._replace(bytes=size)]).hits for one, size in zip(reads('a' * 7), sizes, strict=True)]
    assert hits == [0, 1, 0, 1, 0, 0, 0]


def test_of_what_is_read_in_part_the_size_is_not_known():
    """It was not replaced because it differs."""
    run = Replay(settings(1000, None))
    assert run.run([reads('a')[0], reads('a')[0]._replace(bytes=70, part=True), reads('a')[0]]).hits == 2


@pytest.mark.parametrize('fetch_whole, max_object_size, hits, gets', [
    (100, 1000, 2, 2), (99, 1000, 0, 3), (0, 1000, 0, 3), (1000, 99, 0, 3)])
def test_what_is_read_in_part_is_fetched_whole_up_to_a_size(fetch_whole, max_object_size, hits, gets):
    parts = [one._replace(part=True) for one in reads('aaa')]
    limits = {'fetch_whole': fetch_whole, 'max_object_size': max_object_size}
    counts = replay(parts, settings(1000, None, **limits))
    assert (counts.hits, counts.backend_gets) == (hits, gets)


@pytest.mark.parametrize('learner', [None, Told('a', wait=10.0)])
def test_what_is_larger_than_what_is_kept_is_neither_kept_nor_fetched_ahead(learner):
    counts = replay(reads('aaa', gap=10.0), settings(1000, learner, max_object_size=99))
    assert (counts.hits, counts.prefetched, counts.backend_gets) == (0, 0, 3)


def test_what_is_expected_and_there_is_kept():
    run = Replay(settings(200, Told('a')))
    counts = run.run(reads('abca'))
    assert (counts.hits, counts.prefetched) == (1, 0)
    assert replay(reads('abca'), settings(200, None)).hits == 0


def test_no_more_is_fetched_at_a_time_than_is_allowed():
    names = [str(number) for number in range(8)]
    run = Replay(settings(400, Told(*names), seconds=1e6, concurrency=2))
    assert sum(run.run(reads([*names, 'x', 'y'], start=start)).prefetched for start in (0, 100, 200)) == 2


def test_what_never_was_seen_and_is_in_no_listing_is_not_fetched():
    assert replay(reads('abc'), settings(1000, Told('unknown'))).prefetched == 0


def test_the_clock_may_go_on_from_run_to_run():
    run = Replay(settings(500))
    for number in range(8):
        counts = run.run(reads('abcdefghij', start=100.0 * number))
    assert counts.hits >= 8 and counts.used / counts.prefetched > 0.9


@pytest.mark.parametrize('size', [0, 5 * 10**9])
def test_objects_of_no_bytes_and_of_very_many_are_read(size):
    counts = replay(reads('abab', size=size), settings(10**9))
    assert (counts.requests, counts.hits) == (4, 0 if size else 2)


def test_a_clock_that_runs_backwards_ends_nothing():
    rng = random.Random(1)
    found = [LogRead(rng.uniform(0, 100), 'x', 'a', 'c', rng.choice('abcdef'), 100) for _ in range(500)]
    assert replay(found, settings(300)).requests == 500


@pytest.mark.parametrize('eviction', POLICIES)
def test_a_sequence_longer_than_the_cache_is_answered_from_it_once_it_is_known(eviction):
    run = Replay(settings(5000, eviction=eviction))
    names = [f'{number:03}' for number in range(200)]
    for number in range(4):
        counts = run.run(reads(names, start=1000.0 * number))
    assert counts.hits / counts.requests > 0.9 and counts.used / counts.prefetched > 0.9


def test_names_in_a_listing_are_read_before_anyone_read_them():
    names = [f'{number:03}' for number in range(300)]
    counts = replay(reads(names), settings(3000), {('a', 'c', name): 100 for name in names})
    assert counts.hits > 200
    assert replay(reads(names), settings(3000)).hits == 0


def test_what_is_read_again_and_again_is_not_evicted_for_names_that_may_be_read_some_time():
    listing = {('a', 'c', f'{number:03}'): 100 for number in range(300)}
    made = [one._replace(container='c' if one.object == '100' else 'not listed')
            for one in reads(['x', 'y', '100'] * 20, gap=5.0)]
    # what is expected beside `100` is so from its first read on, when the cache is full
    counts = replay(made, settings(300), listing)
    assert (counts.hits, counts.prefetched) == (57, 0)


# the schedule and whether it pays

def test_of_readers_who_come_before_their_time_less_is_waited():
    schedule = Schedule(fetch_seconds=0)
    for number in range(10):
        schedule.add(Prediction('a', ('c', str(number)), 1.0, 1000.0), now=0.0)
        schedule.cancel('a', ('c', str(number)))
    schedule.add(Prediction('a', ('c', 'o'), 1.0, 1000.0), now=0.0)
    assert schedule.next_start() < 200


def test_where_it_is_read_while_it_is_fetched_less_is_waited_too():
    run = Replay(settings(100, Told('b', wait=10.0), seconds=5.0))
    run.run(reads('b'))
    early = [*reads('a', start=10), *reads('b', start=20)]
    # its fetch began at 19.2 s
    assert (run.run(early).late, run._schedule.share < 0.9) == (1, True)


def test_of_readers_who_come_in_time_more_is_waited_again():
    schedule = Schedule(fetch_seconds=0)
    schedule.share = 0.1
    for number in range(500):
        schedule.add(Prediction('a', ('c', str(number)), 1.0, 1000.0), now=0.0)
        schedule.due(2000, 10)
    assert schedule.share > 0.8


def wasted(worth, account, count):
    for number in range(count):
        worth.fetched(account, ('c', str(number)))


def test_where_nothing_is_read_only_some_predictions_are_acted_upon():
    worth = Usefulness()
    wasted(worth, 'a', 1000)
    assert sum(worth.allows('a') for _ in range(100)) == 10
    assert worth.throttled == 1


def test_other_accounts_are_not_throttled():
    worth = Usefulness()
    wasted(worth, 'a', 1000)
    assert all(worth.allows('b') for _ in range(100))


def test_where_it_pays_again_all_are_acted_upon():
    worth = Usefulness()
    wasted(worth, 'a', 1000)
    for number in range(300):
        worth.fetched('a', ('c', f'new{number}'))
        worth.read('a', ('c', f'new{number}'), True)
    assert all(worth.allows('a') for _ in range(100)) and not worth.throttled


def test_what_was_evicted_before_it_is_read_did_not_pay():
    worth = Usefulness()
    for number in range(200):
        worth.fetched('a', ('c', str(number)))
        worth.read('a', ('c', str(number)), False)
    assert not all(worth.allows('a') for _ in range(100))


def test_a_learner_that_is_always_wrong_has_few_of_its_predictions_fetched():
    names = [str(number) for number in range(400)]
    run = Replay(settings(500, Told(*names[:8])))
    run.run(reads(names))
    counts = run.run(reads([f'x{number}' for number in range(300)], start=1000))
    # eight are expected after each read
    assert 0 < counts.prefetched < 400


def test_what_takes_long_to_fetch_is_fetched_in_time_too():
    # a loop in which every tenth takes three seconds to fetch, and the others a hundredth
    loop = [(f'{number:03}', 300_000_000 if number % 10 == 9 else 10_000) for number in range(100)]
    run = Replay(ReplaySettings(1_500_000_000, POLICIES['lru'], SequenceLearner, lambda size: size / 1e8 + 0.01))
    for turn in range(4):
        counts = run.run([LogRead(turn * 150 + 1.5 * number, '', 'a', 'c', name, size)
                          for number, (name, size) in enumerate(loop)])
    assert (counts.hits, counts.late) == (100, 0)


# a real trace, where one is given: SWIFTAHEAD_TRACE=arctur.csv

@pytest.mark.skipif('SWIFTAHEAD_TRACE' not in os.environ, reason='SWIFTAHEAD_TRACE names no trace')
@pytest.mark.parametrize('eviction, first, second, precision', [('lru', .555, .955, .9), ('gdsf', .62, .975, .9)])
def test_the_second_pass_of_a_real_trace(eviction, first, second, precision):
    with open(os.environ['SWIFTAHEAD_TRACE']) as file:
        trace = [LogRead(int(row['offset_ms']) / 1000, '', 'a', 'c', row['object'], int(row['bytes']))
                 for row in csv.DictReader(file)]
    footprint = sum({read.object: read.bytes for read in trace}.values())
    run = Replay(settings(footprint // 10, eviction=eviction))
    passes = [run.run(read._replace(at=read.at + offset) for read in trace) for offset in (0.0, trace[-1].at + 1)]
    assert [counts.hits / counts.requests for counts in passes] >= [first, second]
    assert passes[1].hits / passes[1].requests >= second
    assert passes[1].used / passes[1].prefetched >= precision
