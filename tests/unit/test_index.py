"""The index: bytes, and which entry leaves next, whatever the policy; and the memory that it takes."""
import os
import random
import sys
import tracemalloc

import pytest
from helpers.common.trying import tries
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swiftahead.eviction.index import Index
from swiftahead.eviction.policies import POLICIES
from swiftahead.eviction.policies.s3fifo import S3Fifo

# one more than a hash table of 2**17 places takes: it has just been doubled, and is as empty as it gets
JUST_DOUBLED = 2**17 * 2 // 3 + 1
SIZE = 1000


@pytest.fixture(params=POLICIES)
def make(request):
    """Makes an index of entries of ten bytes each, for a cache of so many bytes."""
    def make(names='', room=SIZE):
        index = Index(POLICIES[request.param](room))
        for name in names:
            index.add(name, 10)
        return index

    make.policy = request.param
    return make


def evicted(index, count=None):
    """Evict so many entries, or all; which they were."""
    names = []
    for _ in range(len(index) if count is None else count):
        name, _ = index.take()
        index.let_go(name)
        names.append(name)
    return names


def test_bytes_follow_what_comes_and_goes(make):
    index = make()
    index.add('a', 10)
    index.add('b', 20)
    index.add('a', 5)
    index.remove('b')
    index.remove('nothing')
    assert (index.bytes, list(index), index.size_of('a'), index.size_of('b')) == (5, ['a'], 5, 0)
    assert index.take() == ('a', 5) and index.take() is None
    assert (index.bytes, len(index)) == (0, 0)


def test_what_is_not_there_is_not_read(make):
    index = make('a')
    index.expect('nothing')
    assert index.read('a') and not index.read('nothing') and list(index) == ['a']


def test_what_took_the_place_of_another_goes_once(make):
    index = make('a')
    for _ in range(3):
        assert index.read('a')
    index.add('a', 70)
    index.add('b', 10)
    assert sorted(index.take() for _ in range(2)) == [('a', 70), ('b', 10)] and index.take() is None


def test_what_was_removed_comes_back_as_if_new(make):
    index = make()
    for _ in range(5):
        index.add('a', 5)
        index.remove('a')
    assert index.bytes == 0
    index.add('a', 5)
    assert evicted(index) == ['a']


def test_each_goes_once_until_there_is_none(make):
    assert sorted(evicted(make('abcdefghij'))) == list('abcdefghij')


def test_of_what_was_read_once_the_oldest_goes_first(make):
    assert evicted(make(range(20))) == list(range(20))


def test_what_is_read_all_the_time_outlives_what_is_read_once(make):
    index = make(['hot'], room=100)
    for number in range(200):
        while index.bytes > 90:
            assert evicted(index, 1) != ['hot']
        index.add(number, 10)
        assert index.read('hot')


def test_what_is_expected_does_not_go_next(make):
    index = make('abcde', room=50)
    index.expect('a')
    assert evicted(index, 3) == list('bcd')
    assert index.bytes == 20 and index.size_of('a') == 10


def test_what_is_put_back_has_the_place_that_it_had(make):
    index, again = make(range(20)), make(range(20))
    for name in list(range(5, 15)) * 3:
        assert index.read(name) and again.read(name)
    for item in reversed([again.take() for _ in range(3)]):
        again.put_back(*item)
    assert again.bytes == 200 and evicted(again) == evicted(index)


def test_what_comes_back_from_an_earlier_process_leaves_in_its_order(make):
    index = make()
    for number, size in enumerate([5, 400, 7, 1]):
        index.put_back(number, size)
    assert index.bytes == 413 and evicted(index) == [3, 2, 1, 0]


def test_what_comes_back_and_is_read_goes_after_what_is_not(make):
    index = make()
    for number in range(20):
        index.put_back(number, 10)
    for number in range(10):
        index.read(number)
    assert sorted(evicted(index, 10)) == list(range(10, 20))


def test_what_is_let_go_is_gone(make):
    index = make('ab')
    name, _ = index.take()
    index.let_go(name)
    index.let_go(name)
    assert name not in index and index.bytes == 10 and not index._taken


def test_many_steps_leave_no_more_than_fits(make):
    index, room = make(room=10_000 * 4096), 10_000 * 4096
    choose = random.Random(make.policy).random
    names = [os.urandom(24) for _ in range(150_000)]
    before = sum(map(sys.getrefcount, names))
    for _ in range(200_000):
        name = names[int(len(names) * choose()**3)]
        if not index.read(name):
            while index.bytes + 4096 > room:
                evicted(index, 1)
            index.add(name, 4096)
    assert index.bytes == room and len(index) == len(list(index)) == 10_000
    # of what went nothing is kept, but for some names that are known again
    assert sum(map(sys.getrefcount, names)) - before < 40_000
    assert len(index._taken) == 0 and len(getattr(index._policy, '_gone', ())) <= len(index)


# against a model: names and bytes alone

class AsTheModel(RuleBasedStateMachine):
    """Whatever is done in whatever order, what is in the index and what it takes is as it should be."""
    NUMBERS = st.integers(0, 11)

    @initialize(policy=st.sampled_from(list(POLICIES)))
    def begin(self, policy):
        self.model, self.away = {}, {}
        self.index = Index(POLICIES[policy](SIZE))

    @rule(number=NUMBERS, taken=st.integers(0, SIZE))
    def add(self, number, taken):
        if number not in self.away:
            self.index.add(number, taken)
            self.model[number] = taken

    @rule(number=NUMBERS, taken=st.integers(0, 300))
    def restore(self, number, taken):
        if number not in self.away:
            self.index.put_back(number, taken)
            self.model[number] = taken

    @rule(number=NUMBERS, times=st.integers(1, 40))
    def read(self, number, times):
        for _ in range(times):
            assert self.index.read(number) is (number in self.model)

    @rule(number=NUMBERS)
    def remove(self, number):
        self.index.remove(number)
        self.model.pop(number, None)

    @precondition(lambda self: self.model)
    @rule()
    def take(self):
        number, taken = self.index.take()
        assert self.model.pop(number) == taken
        self.away[number] = taken

    @precondition(lambda self: self.away)
    @rule(is_gone=st.booleans())
    def came_back(self, is_gone):
        number, taken = self.away.popitem()
        if is_gone:
            self.index.let_go(number)
        else:
            self.index.put_back(number, taken)
            self.model[number] = taken

    @invariant()
    def is_as_the_model(self):
        if hasattr(self, 'index'):
            assert {number: self.index.size_of(number) for number in self.index} == self.model
            assert len(self.index) == len(self.model)
            assert self.index.bytes == sum(self.model.values())

    @invariant()
    def the_small_queue_is_as_long_as_it_says(self):
        policy = getattr(getattr(self, 'index', None), '_policy', None)
        if isinstance(policy, S3Fifo):
            assert policy._small_bytes == sum(policy.size_of(name) for name in policy._small)


TestAsTheModel = AsTheModel.TestCase
TestAsTheModel.settings = tries(60, stateful_step_count=40)


# memory

@pytest.mark.parametrize('policy, most', [('lru', 260), ('lfu', 350), ('gdsf', 350), ('s3fifo', 260)])
def test_an_entry_takes_little_memory(policy, most):
    index = Index(POLICIES[policy](2**60))
    names = [os.urandom(24) for _ in range(JUST_DOUBLED)]
    tracemalloc.start()
    try:
        for number, name in enumerate(names):
            index.add(bytes(bytearray(name)), 1000 + number)
        # what the allocator adds, and what is left of the making, take some 40 more
        assert tracemalloc.get_traced_memory()[0] / len(names) < most
    finally:
        tracemalloc.stop()
