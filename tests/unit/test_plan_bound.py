"""The bound of what is possible without prefetching."""
from itertools import product
from random import Random

import pytest
from cachetools import LFUCache, LRUCache

from swiftahead.plan import upper_bound as module
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.upper_bound import Stretch, stretches, upper_bound


def reads(names, size=lambda name: 1):
    return [LogRead(number, '', 'a', 'c', name, size(name)) for number, name in enumerate(names)]


def test_first_reads_are_no_hits():
    assert upper_bound(reads('abcab'), 100).object_hit_ratio == 2 / 5


def test_what_an_earlier_pass_left_may_be_hit():
    assert upper_bound(reads('abcab'), 100, again=True).object_hit_ratio == 1


def test_stretches_are_from_one_read_to_the_next():
    assert stretches(reads('aba'), again=False) == [Stretch(1, 3, 1)]
    assert sorted(stretches(reads('ab'), again=True)) == [Stretch(0, 1, 1), Stretch(0, 2, 1)]


def test_what_is_larger_than_the_cache_is_no_hit():
    assert upper_bound(reads('aa', lambda name: 11), 10).object_hit_ratio == 0


def test_what_is_larger_than_what_is_kept_is_no_hit():
    assert upper_bound(reads('aa', lambda name: 11), 100, most=10).object_hit_ratio == 0
    assert upper_bound(reads('aa', lambda name: 11), 100, most=11).object_hit_ratio == 0.5


@pytest.mark.parametrize('room, most, hits', [(4111, None, 0), (4112, None, 0.5), (4112, 10, 0), (8000, 12, 0.5)])
def test_what_an_object_takes_on_disk_has_to_fit(room, most, hits):
    found = upper_bound(reads('aa', lambda name: 12), room, most=most, disk_bytes=lambda size: size + 4100)
    assert (found.object_hit_ratio, found.byte_hit_ratio) == (hits, hits)


def test_of_objects_of_no_bytes_those_that_fit_on_disk_are_hits():
    """Each of ten takes a tenth of the room and one more byte."""
    trace = reads([number % 10 for number in range(1000)], lambda name: 0)
    found = upper_bound(trace, 1000, disk_bytes=lambda size: 101)
    assert 0.85 < found.object_hit_ratio < 0.99 and found.byte_hit_ratio == 0


def test_what_was_replaced_is_no_hit():
    sizes = 1, 1, 2, 1, 1
    made = [one._replace(bytes=size) for one, size in zip(reads('aaaaa'), sizes, strict=True)]
    assert stretches(made, again=False) == [Stretch(1, 2, 1), Stretch(4, 5, 1)]
    # a part does not tell how large that is of which it is one
    made[2] = made[2]._replace(part=True)
    assert [stretch.bytes for stretch in stretches(made, again=False)] == [1, 1, 1, 1]


@pytest.mark.parametrize('cache_bytes', [0, 10])
def test_objects_of_no_bytes_are_hits_in_any_cache(cache_bytes):
    found = upper_bound(reads('aa', lambda name: 0), cache_bytes)
    assert (found.object_hit_ratio, found.byte_hit_ratio) == (0.5, 0)


def test_bytes_have_a_bound_of_their_own():
    found = upper_bound(reads('aab', {'a': 3, 'b': 4}.get), 10)
    assert (found.object_hit_ratio, found.byte_hit_ratio) == (1 / 3, 0.3)


def test_what_an_earlier_pass_left_has_to_fit_in_the_cache():
    assert upper_bound(reads(range(1280)), 3, again=True).object_hit_ratio < 5 / 1280


def best_possible(trace, room, again):
    """Most hits of any choice of what is kept from one read to the next, by trying all of them."""
    found = stretches(trace, again)
    best = 0
    for kept in product((False, True), repeat=len(found)):
        chosen = [stretch for stretch, keep in zip(found, kept, strict=True) if keep]
        if all(sum(one.bytes for one in chosen if one.begin <= moment < one.end) <= room
               for moment in range(len(trace))):
            best = max(best, len(chosen))
    return best / len(trace)


@pytest.mark.parametrize('again', [False, True])
@pytest.mark.parametrize('seed', range(8))
def test_no_choice_passes_the_bound_and_the_best_is_near(seed, again):
    random = Random(seed)
    sizes = {name: random.randint(1, 6) for name in 'abcd'}
    trace = reads(random.choices('abcd', k=12), sizes.get)
    best, most = best_possible(trace, 7, again), upper_bound(trace, 7, again).object_hit_ratio
    assert best - 1e-9 <= most <= best + 0.15


@pytest.mark.parametrize('policy', [LRUCache, LFUCache])
@pytest.mark.parametrize('room', [20, 100, 400])
def test_no_policy_passes_the_bound_in_any_pass(policy, room):
    random = Random(room)
    names = [int(random.paretovariate(0.8)) % 300 for _ in range(2000)]
    trace = reads(names, lambda name: 1 + name % 7)
    cache = policy(room, getsizeof=lambda size: size)
    for again in (False, True):
        hits = 0
        for read in trace:
            hits += cache.get(read.object) is not None
            cache[read.object] = read.bytes
        assert hits / len(trace) <= upper_bound(trace, room, again).object_hit_ratio


def test_a_long_trace_has_fewer_rounds_and_still_a_bound(monkeypatch):
    trace = reads([number % 7 for number in range(500)])
    exact = upper_bound(trace, 3).object_hit_ratio
    monkeypatch.setattr(module, 'WORK', 10)
    assert exact <= upper_bound(trace, 3).object_hit_ratio < 1
