"""The index: order, bytes, and the memory that it takes."""
import os
import tracemalloc

import pytest

from swiftahead.cache import Index

# one more than a hash table of 2**17 places takes: it has just been doubled, and is as empty as it gets
JUST_DOUBLED = 2**17 * 2 // 3 + 1


@pytest.fixture
def make():
    """An index, and what it evicted."""
    def make(size):
        evicted = []
        return Index(size, lambda name, taken: evicted.append(name)), evicted
    return make


def entry_names(count):
    return [f'{number:048x}' for number in range(count)]


def drained(index):
    return [index.take_oldest()[0] for _ in range(len(index))]


def test_the_least_recently_used_goes_first(make):
    index, evicted = make(30)
    a, b, c, d = entry_names(4)
    for name in (a, b, c):
        index.put(name, 10)
    assert index.touch(a) and not index.touch(d)
    index.put(d, 10)
    assert evicted == [b] and drained(index) == [c, a, d]


def test_what_is_larger_than_the_cache_is_refused_and_evicts_nothing(make):
    index, evicted = make(30)
    a, b = entry_names(2)
    index.put(a, 10)
    assert not index.put(b, 31)
    assert evicted == [] and drained(index) == [a]


def test_a_larger_version_never_evicts_its_own_file(make):
    index, evicted = make(30)
    a, b = entry_names(2)
    index.put(a, 10)
    index.put(b, 20)
    index.put(a, 25)
    assert (evicted, index.currsize) == ([b], 25)


def test_shrinking_stops_at_the_mark(make):
    index, evicted = make(100)
    for name in entry_names(10):
        index.put(name, 10)
    assert index.shrink_to(45) == 6
    assert (evicted, index.currsize) == (entry_names(6), 40)


def test_what_is_put_as_the_oldest_goes_first_and_evicts_nothing(make):
    index, evicted = make(30)
    a, b, c, d = entry_names(4)
    assert index.put(a, 10) and index.put_oldest(b, 10) and index.put_oldest(c, 10)
    assert not index.put_oldest(d, 1)
    assert evicted == [] and drained(index) == [c, b, a]


def test_bytes_follow_what_comes_and_goes(make):
    index, _ = make(100)
    a, b = entry_names(2)
    index.put(a, 10)
    index[b] = 20
    index.put(a, 5)
    del index[b]
    assert (index.currsize, len(index), index.pop(b, None), index.get(a)) == (5, 1, None, 5)
    assert index.take_oldest() == (a, 5) and index.take_oldest() is None
    assert index.currsize == 0


def test_a_container_has_the_entries_that_begin_with_its_digits(make):
    index, _ = make(100)
    ours, others = ['a' * 16 + 'b' * 32, 'a' * 16 + 'c' * 32], ['a' * 15 + 'b' * 33]
    for name in ours + others:
        index.put(name, 1)
    assert list(index.of_container('a' * 16)) == ours
    assert sorted(index) == sorted(ours + others)


def test_an_entry_takes_at_most_400_bytes_of_memory(make):
    index, _ = make(2**60)
    names = [os.urandom(24) for _ in range(JUST_DOUBLED)]
    tracemalloc.start()
    try:
        for number, name in enumerate(names):
            index[bytes(bytearray(name))] = 1000 + number
        # what the allocator adds, and what is left of the making, take some 40 more
        assert tracemalloc.get_traced_memory()[0] / len(names) < 310
    finally:
        tracemalloc.stop()
