"""The index: what leaves first in each order, bytes, restart, and the memory that it takes."""
import math
import os
import random
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from trying import tries

from swiftahead.eviction.index import Index
from swiftahead.eviction.inventory import Inventory
from swiftahead.eviction.loader import FOLDERS, Loader
from swiftahead.eviction.policies import POLICIES
from swiftahead.eviction.policies.s3fifo import S3Fifo

# one more than a hash table of 2**17 places takes: it has just been doubled, and is as empty as it gets
JUST_DOUBLED = 2**17 * 2 // 3 + 1
SIZE = 1000


def entry_names(count, begin=0):
    # the ninth byte says the folder
    return [f'{0:016x}{number % FOLDERS:02x}{number:030x}' for number in range(begin, begin + count)]


def make_index(size, eviction='lru'):
    """An index, and what it evicted."""
    evicted = []
    return Index(size, lambda name, taken: evicted.append(name), eviction), evicted


def drained(index):
    return [index.take_oldest()[0] for _ in range(len(index))]


def filled(eviction, names, taken=10, size=SIZE):
    index, evicted = make_index(size, eviction)
    for name in names:
        assert index.put(name, taken)
    return index, evicted


@pytest.fixture(params=POLICIES)
def eviction(request):
    return request.param


class TestEachOrder:
    """What must hold whatever goes first."""

    def test_what_is_larger_than_the_cache_is_refused_and_evicts_nothing(self, eviction):
        index, evicted = make_index(30, eviction)
        a, b = entry_names(2)
        index.put(a, 10)
        assert not index.put(b, 31)
        assert (evicted, list(index), index.currsize) == ([], [a], 10)

    def test_a_version_larger_than_the_cache_leaves_no_older_one_behind(self, eviction):
        index, evicted = filled(eviction, entry_names(1))
        assert not index.put(entry_names(1)[0], SIZE + 1)
        assert (evicted, len(index), index.currsize) == ([], 0, 0)

    def test_a_larger_version_never_evicts_its_own_file(self, eviction):
        index, evicted = make_index(30, eviction)
        a, b = entry_names(2)
        index.put(a, 10)
        index.put(b, 20)
        index.put(a, 25)
        assert (evicted, list(index), index.currsize) == ([b], [a], 25)

    def test_shrinking_stops_at_the_mark(self, eviction):
        index, evicted = filled(eviction, entry_names(10))
        assert index.shrink_to(45) == 6
        assert (evicted, index.currsize) == (entry_names(6), 40)

    def test_bytes_follow_what_comes_and_goes(self, eviction):
        index, _ = make_index(100, eviction)
        a, b = entry_names(2)
        index.put(a, 10)
        index[b] = 20
        index.put(a, 5)
        del index[b]
        assert (index.currsize, len(index), index.pop(b, None), index.get(a)) == (5, 1, None, 5)
        assert index.take_oldest() == (a, 5) and index.take_oldest() is None
        assert index.currsize == 0

    def test_what_is_not_there_is_a_key_error_and_no_read(self, eviction):
        index, _ = make_index(100, eviction)
        assert not index.touch(entry_names(1)[0])
        for act in (index.__getitem__, index.__delitem__):
            with pytest.raises(KeyError):
                act(entry_names(1)[0])
        with pytest.raises(KeyError):
            index.popitem()

    def test_what_is_read_all_the_time_outlives_what_is_read_once(self, eviction):
        (hot,) = entry_names(1)
        index, evicted = filled(eviction, [hot], size=100)
        for name in entry_names(200, begin=1):
            index.put(name, 10)
            assert index.touch(hot)
        assert hot not in evicted and len(evicted) == 191

    def test_what_is_expected_does_not_go_next(self, eviction):
        names = entry_names(5)
        index, _ = filled(eviction, names, size=50)
        index.expect(names[0])
        index.expect(entry_names(1, begin=9)[0])
        assert [index.popitem()[0] for _ in range(3)] == names[1:4]

    def test_of_what_was_read_once_the_oldest_goes_first(self, eviction):
        index, _ = filled(eviction, entry_names(20))
        assert drained(index) == entry_names(20)

    def test_a_container_has_the_entries_that_begin_with_its_digits(self, eviction):
        ours, others = ['a' * 16 + 'b' * 32, 'a' * 16 + 'c' * 32], ['a' * 15 + 'b' * 33]
        index, _ = filled(eviction, ours + others)
        assert list(index.of_container('a' * 16)) == ours
        assert sorted(index) == sorted(ours + others)

    def test_what_is_put_back_has_the_place_that_it_had(self, eviction):
        (index, _), (again, _) = (filled(eviction, entry_names(20)) for _ in range(2))
        for name in entry_names(20)[5:15] * 3:
            assert index.touch(name) and again.touch(name)
        for item in reversed([again.take_oldest() for _ in range(3)]):
            assert again.put_oldest(*item)
        assert again.currsize == 200 and drained(again) == drained(index)

    def test_what_is_put_as_the_oldest_evicts_nothing(self, eviction):
        index, evicted = filled(eviction, entry_names(1), size=30)
        a, b, c = entry_names(3, begin=1)
        assert index.put_oldest(a, 10) and index.put_oldest(b, 10) and not index.put_oldest(c, 11)
        assert evicted == [] and index.currsize == 30

    def test_many_steps_leave_no_more_than_fits(self, eviction):
        index = Index(10_000 * 4096, lambda *_: None, eviction)
        choose = random.Random(eviction).random
        names = [os.urandom(24) for _ in range(150_000)]
        before = sum(map(sys.getrefcount, names))
        for _ in range(200_000):
            name = names[int(len(names) * choose()**3)]
            if not index.touch(name):
                index.put(name, 4096)
        assert index.currsize == index.maxsize and len(index) == len(list(index)) == 10_000
        # of what went nothing is kept, but for some names that are known again
        assert sum(map(sys.getrefcount, names)) - before < 40_000
        assert len(index._taken) == 0 and len(getattr(index._order, '_gone', ())) <= len(index)


# what each is for

def test_lru_lets_the_least_recently_used_go():
    a, b, c, d = entry_names(4)
    index, evicted = filled('lru', [a, b, c], size=30)
    assert index.touch(a) and not index.touch(d)
    index.put(d, 10)
    assert evicted == [b] and drained(index) == [c, a, d]


@pytest.mark.parametrize('eviction', ['lfu', 'gdsf', 's3fifo'])
def test_what_was_read_often_outlives_a_scan(eviction):
    names = entry_names(5)
    index, _ = filled(eviction, names, size=100)
    for name in names * 3:
        index.touch(name)
    for name in entry_names(20, begin=5):
        index.put(name, 10)
    assert set(names) <= set(index)


@pytest.mark.parametrize('eviction', ['lfu', 'gdsf'])
def test_what_is_put_back_keeps_its_reads(eviction):
    index, _ = filled(eviction, entry_names(10))
    for name in entry_names(10) * 3:
        index.touch(name)
    for item in reversed([index.take_oldest() for _ in range(10)]):
        index.put_oldest(*item)
    for name in entry_names(10, begin=10):
        index.put(name, 10)
    assert drained(index)[:10] == entry_names(10, begin=10)


@pytest.mark.parametrize('eviction', ['lru', 'gdsf', 's3fifo'])
def test_what_was_read_often_long_ago_goes_in_time(eviction):
    (old,) = entry_names(1)
    index, evicted = filled(eviction, [old], size=100)
    for _ in range(20):
        index.touch(old)
    for name in entry_names(2000, begin=1):
        index.put(name, 10)
        index.touch(name)
    assert old in evicted


def test_gdsf_lets_the_large_go_first():
    small, (large,) = entry_names(10), entry_names(1, begin=10)
    index, _ = filled('gdsf', small, size=2**30)
    index.put(large, 1000)
    assert index.take_oldest() == (large, 1000)


@pytest.mark.parametrize('size', [0, 1, 4096, 5 * 2**30])
def test_gdsf_takes_any_size(size):
    index, _ = make_index(2**40, 'gdsf')
    index.put(entry_names(1)[0], size)
    assert index.touch(entry_names(1)[0]) and index.take_oldest() == (entry_names(1)[0], size)


def test_s3fifo_knows_again_what_it_let_go_too_soon():
    (again,) = entry_names(1)
    index, evicted = filled('s3fifo', [again, *entry_names(12, begin=1)], size=100)
    assert again in evicted
    index.put(again, 10)
    for name in entry_names(12, begin=20):
        index.put(name, 10)
    assert again in index


def test_s3fifo_decides_in_time_where_all_was_read(monkeypatch):
    monkeypatch.setattr(S3Fifo, 'MOST_PASSED', 10)
    index, evicted = filled('s3fifo', entry_names(100))
    for name in entry_names(100) * 3:
        index.touch(name)
    index.put(*entry_names(1, begin=200), 10)
    assert len(evicted) == 1 and len(index._order._main) == 10


# a restart: the scan of the folder, and what is done meanwhile

def holdings_of(eviction, *items):
    """Of a folder that was read whole; items are (number, time, bytes)."""
    scan = Loader(Path('/none'), SIZE, SIZE)
    names = {number: bytes.fromhex(name) for number, name in enumerate(entry_names(FOLDERS))}
    for folder in range(FOLDERS):
        scan.next_folder()
        scan.take([(at, names[number], taken) for number, at, taken in items if number == folder], [])
    return Inventory(SIZE, scan, lambda *_: None, eviction)


def merge(holdings):
    while holdings.merge(1):
        pass


def numbers(items):
    return [int(name[18:], 16) for name, _ in items]


def test_after_a_restart_what_was_used_longest_ago_goes_first(eviction):
    holdings = holdings_of(eviction, (1, 30, 5), (2, 10, 400), (3, 20, 7), (4, 5, 1))
    merge(holdings)
    assert holdings.total == holdings.index.currsize == 413
    assert numbers(holdings.take(math.inf, 9)) == [4, 2, 3, 1]


def test_after_a_restart_what_is_read_goes_after_what_is_not(eviction):
    holdings = holdings_of(eviction, *((number, number, 10) for number in range(20)))
    merge(holdings)
    for name in entry_names(10):
        holdings.touch(name)
    assert sorted(numbers(holdings.take(100, 99))) == list(range(10, 20))


def test_what_came_while_the_folder_was_read_goes_after_what_was_there(eviction):
    holdings = holdings_of(eviction, (1, 30, 5), (2, 10, 7))
    holdings.linked(entry_names(1, begin=9)[0], 5, 0)
    merge(holdings)
    if eviction != 's3fifo':
        assert numbers(holdings.take(math.inf, 9)) == [2, 1, 9]
    assert holdings.total == 17


def test_what_was_read_while_the_folder_was_read_goes_last(eviction):
    holdings = holdings_of(eviction, (1, 10, 5), (2, 20, 5), (3, 30, 5))
    holdings.touch(entry_names(4)[1])
    merge(holdings)
    assert numbers(holdings.take(math.inf, 9)) == [2, 3, 1]


def test_what_is_asked_whether_it_is_idle_keeps_its_reads(eviction):
    holdings = holdings_of(eviction, *((number, number, 10) for number in range(20)))
    merge(holdings)
    for name in entry_names(10) * 2:
        holdings.touch(name)
    for _ in range(50):
        holdings.keep(holdings.take(math.inf, 15))
    assert holdings.total == 200 and sorted(numbers(holdings.take(100, 99))) == list(range(10, 20))


def test_what_is_read_while_it_leaves_and_stays_after_all_counts_as_read(eviction):
    holdings = holdings_of(eviction, (1, 10, 5), (2, 20, 5))
    merge(holdings)
    batch = holdings.take(1, 1)
    holdings.touch(batch[0][0])
    holdings.keep(batch)
    assert numbers(holdings.take(math.inf, 9)) == [2, 1]


# against a model: names and bytes alone

class AsTheModel(RuleBasedStateMachine):
    """Whatever is done in whatever order, what is in the index and what it takes is as it should be."""
    NAMES = entry_names(12)

    @initialize(eviction=st.sampled_from(list(POLICIES)))
    def begin(self, eviction):
        self.model, self.away = {}, {}
        self.index = Index(SIZE, self.evicted, eviction)

    def evicted(self, name, taken):
        assert self.model.pop(name) == taken

    @rule(number=st.integers(0, 11), taken=st.integers(0, SIZE + 200))
    def put(self, number, taken):
        name = self.NAMES[number]
        if name in self.away:
            return
        self.model.pop(name, None)
        assert self.index.put(name, taken) is (taken <= SIZE)
        if taken <= SIZE:
            self.model[name] = taken

    @rule(number=st.integers(0, 11), taken=st.integers(0, 300))
    def put_oldest(self, number, taken):
        name = self.NAMES[number]
        if name in self.away:
            return
        fits = sum(self.model.values()) + taken <= SIZE
        assert self.index.put_oldest(name, taken) is fits
        if fits:
            self.model[name] = taken

    @rule(number=st.integers(0, 11), times=st.integers(1, 40))
    def touch(self, number, times):
        for _ in range(times):
            assert self.index.touch(self.NAMES[number]) is (self.NAMES[number] in self.model)

    @rule(number=st.integers(0, 11))
    def remove(self, number):
        assert self.index.pop(self.NAMES[number], None) == self.model.pop(self.NAMES[number], None)

    @precondition(lambda self: self.model)
    @rule()
    def popitem(self):
        name, taken = self.index.popitem()
        assert name not in self.model

    @precondition(lambda self: self.model)
    @rule()
    def take(self):
        name, taken = self.index.take_oldest()
        assert self.model.pop(name) == taken
        self.away[name] = taken

    @precondition(lambda self: self.away)
    @rule(is_gone=st.booleans())
    def came_back(self, is_gone):
        name, taken = self.away.popitem()
        if is_gone:
            self.index.let_go(name)
        elif self.index.put_oldest(name, taken):
            self.model[name] = taken
        else:
            assert sum(self.model.values()) + taken > SIZE

    @invariant()
    def is_as_the_model(self):
        if hasattr(self, 'index'):
            assert sorted(self.index) == sorted(self.model) and len(self.index) == len(self.model)
            assert self.index.currsize == sum(self.model.values()) <= SIZE

    @invariant()
    def the_small_queue_is_as_long_as_it_says(self):
        order = getattr(getattr(self, 'index', None), '_order', None)
        if isinstance(order, S3Fifo):
            assert order._small_bytes == sum(order.size_of(name) for name in order._small)


TestAsTheModel = AsTheModel.TestCase
TestAsTheModel.settings = tries(60, stateful_step_count=40)


# memory

@pytest.mark.parametrize('eviction, most', [('lru', 260), ('lfu', 350), ('gdsf', 350), ('s3fifo', 260)])
def test_an_entry_takes_little_memory(eviction, most):
    index, _ = make_index(2**60, eviction)
    names = [os.urandom(24) for _ in range(JUST_DOUBLED)]
    tracemalloc.start()
    try:
        for number, name in enumerate(names):
            index[bytes(bytearray(name))] = 1000 + number
        # what the allocator adds, and what is left of the making, take some 40 more
        assert tracemalloc.get_traced_memory()[0] / len(names) < most
    finally:
        tracemalloc.stop()
