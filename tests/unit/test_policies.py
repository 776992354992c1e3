"""What leaves the cache first, and what is let in: one contract, and what each policy is for."""
import random
import tracemalloc

import pytest

from swiftahead.eviction.admission import SecondHit, admits_all
from swiftahead.eviction.policy_cache import EVICTIONS

SIZES = {name: 1 + number % 7 for number, name in enumerate('abcdefghijklmnopqrstuvwxyz')}


@pytest.fixture(params=EVICTIONS, ids=str)
def make(request):
    return lambda maxsize: EVICTIONS[request.param](maxsize, getsizeof=lambda value: value)


class TestContract:
    def test_it_never_holds_more_than_its_size_and_counts_what_it_holds(self, make):
        cache, rng = make(30), random.Random(1)
        for _ in range(3000):
            name = rng.choice(list(SIZES))
            if cache.get(name) is None:
                cache[name] = SIZES[name]
            if rng.random() < 0.1:
                cache.pop(rng.choice(list(SIZES)), None)
            assert cache.currsize == sum(SIZES[held] for held in cache) <= 30

    def test_what_is_larger_than_the_cache_is_refused_and_evicts_nothing(self, make):
        cache = make(10)
        cache['a'] = 5
        with pytest.raises(ValueError):
            cache['b'] = 11
        assert list(cache) == ['a']

    def test_popitem_gives_each_once_until_there_is_none(self, make):
        cache = make(200)
        cache.update(SIZES)
        assert dict(cache.popitem() for _ in SIZES) == SIZES
        assert (len(cache), cache.currsize) == (0, 0)
        with pytest.raises(KeyError):
            cache.popitem()

    def test_a_new_size_takes_the_place_of_the_old_one(self, make):
        cache = make(10)
        cache['a'] = 2
        cache['a'] = 7
        assert (cache['a'], cache.currsize, len(cache)) == (7, 7, 1)

    def test_what_took_the_place_of_another_goes_once(self, make):
        cache = make(10)
        cache['a'] = 2
        for _ in range(3):
            assert cache['a'] == 2
        cache['a'], cache['b'] = 7, 1
        assert sorted(cache.popitem() for _ in range(2)) == [('a', 7), ('b', 1)]
        for name in 'cdefgh':
            cache[name] = 1
        assert sorted(cache.popitem()[0] for _ in range(6)) == list('cdefgh')

    def test_a_value_that_grows_makes_room_for_itself(self, make):
        cache = make(10)
        cache['a'], cache['b'] = 4, 4
        cache['b'] = 9
        assert cache['b'] == 9 and 'a' not in cache

    def test_what_was_removed_comes_back_as_if_new(self, make):
        cache = make(10)
        for _ in range(5):
            cache['a'] = 5
            del cache['a']
        assert cache.currsize == 0
        cache['a'] = 5
        assert dict(cache) == {'a': 5}

    def test_what_is_read_all_the_time_outlives_what_is_read_once(self, make):
        cache = make(20)
        cache['hot'] = 2
        for number in range(200):
            cache[f'once{number}'] = 2
            assert cache.get('hot') == 2, number

    def test_what_is_taken_and_put_back_has_the_place_that_it_had(self, make):
        cache, again = make(200), make(200)
        for one in (cache, again):
            one.update(SIZES)
        for item in reversed([again.take() for _ in range(3)]):
            again.put_back(item)
        assert again.currsize == cache.currsize
        assert [again.popitem() for _ in SIZES] == [cache.popitem() for _ in SIZES]

    def test_what_is_taken_and_let_go_is_gone(self, make):
        cache = make(200)
        cache.update(SIZES)
        item = cache.take()
        cache.let_go(item)
        assert item[0] not in cache and cache.currsize == sum(SIZES.values()) - item[1]

    def test_what_is_expected_does_not_go_next(self, make):
        cache = make(100)
        cache.update(dict.fromkeys('abcde', 10))
        cache.expect('a')
        assert [cache.popitem()[0] for _ in range(3)] == list('bcd')

    def test_what_is_expected_and_not_here_is_not_here(self, make):
        cache = make(100)
        cache.expect('a')
        assert (len(cache), cache.currsize) == (0, 0)

    def test_what_is_expected_has_its_own_bytes(self, make):
        cache = make(100)
        cache['a'] = 7
        cache.expect('a')
        assert (cache['a'], cache.currsize, cache.popitem(), cache.currsize) == (7, 7, ('a', 7), 0)

    def test_a_clear_leaves_nothing(self, make):
        cache = make(50)
        cache.update(list(SIZES.items())[:8])
        cache.clear()
        assert (len(cache), cache.currsize) == (0, 0)

    def test_what_is_not_there_is_a_key_error(self, make):
        with pytest.raises(KeyError):
            make(5)['nothing']


@pytest.mark.parametrize('eviction', ['lfu', 'gdsf'])
def test_what_is_expected_again_and_again_is_not_taken_for_what_was_read(eviction):
    cache = EVICTIONS[eviction](100, getsizeof=lambda value: value)
    cache.update({'read': 10, 'expected': 10})
    assert cache['read'] == cache['read'] == 10
    for _ in range(100):
        cache.expect('expected')
    assert cache.popitem()[0] == 'expected'


def filled(eviction, names, maxsize):
    cache = EVICTIONS[eviction](maxsize, getsizeof=lambda value: value)
    cache.update(names)
    return cache


def test_gdsf_keeps_many_small_ones_rather_than_a_large_one():
    cache = filled('gdsf', {'large': 50, **dict.fromkeys('abcdefghij', 5)}, 100)
    cache['new'] = 5
    assert 'large' not in cache and len(cache) == 11


def test_gdsf_lets_go_in_time_what_once_was_read_often():
    cache = filled('gdsf', {'old': 1}, 10)
    for _ in range(20):
        cache.get('old')
    for number in range(2000):
        cache[f'new{number}'] = 1
    assert 'old' not in cache


def test_lfu_keeps_what_was_read_often_through_a_scan():
    cache = filled('lfu', {'often': 1}, 10)
    for _ in range(5):
        cache.get('often')
    cache.update({f'scan{number}': 1 for number in range(100)})
    assert 'often' in cache


def test_s3fifo_keeps_what_is_read_twice_through_a_scan():
    cache = filled('s3fifo', dict.fromkeys('abcde', 1), 10)
    for name in 'abcde':
        cache.get(name)
    cache.update({f'scan{number}': 1 for number in range(100)})
    assert set('abcde') <= set(cache)


def test_s3fifo_knows_again_what_it_let_go_too_soon():
    cache = filled('s3fifo', {'again': 1, **{f'x{number}': 1 for number in range(12)}}, 10)
    assert 'again' not in cache
    cache['again'] = 1
    cache.update({f'y{number}': 1 for number in range(12)})
    assert 'again' in cache


# admission

def test_all_are_let_in():
    assert all(admits_all(name) for name in 'aab')


def test_the_second_time_is_let_in():
    admit = SecondHit(1000)
    assert [admit(name) for name in 'abab'] == [False, False, True, True]


def test_a_second_time_long_after_the_first_is_a_first_one():
    admit = SecondHit(1000)
    for number in range(6000):
        admit(f'x{number}')
    # of the first thousand: one in fifty by mistake
    assert sum(admit(f'x{number}') for number in range(500)) < 50


def test_the_sketch_takes_five_bytes_at_most_for_each_name():
    tracemalloc.start()
    try:
        admit = SecondHit(10_000)
        for number in range(20_000):
            admit(number)
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()


def test_few_are_let_in_by_mistake():
    admit = SecondHit(10_000)
    assert sum(admit(f'once{number}') for number in range(20_000)) < 600
