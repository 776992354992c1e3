"""The keeper, on real files: what is linked is counted, and what is counted is linked."""
import os
import tempfile

import pytest
from helpers import ListLogger, spool
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from swiftahead.cache import Store
from swiftahead.conf.naming import ObjectName
from swiftahead.queues import Forget
from swiftahead.sidecar.keeper import Keeper

# one entry of BODY takes this much of the disk: a page for the header, one for body and table
UNIT = 8192
BODY = b'x' * 4000


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def make(store):
    made = []

    def make(size=10 * UNIT, high=90, low=50, floor=0):
        made.append(Keeper(store, size, high, low, floor, ListLogger()))
        return made[-1]

    yield make
    assert made[-1].index.currsize == disk_bytes(store)
    assert list(store.check()) == []


def disk_bytes(store):
    return sum(item.disk_bytes for item in store.linked())


def name_of(number, container='c'):
    return ObjectName('AUTH_test', container, f'o{number}')


def admit(keeper, number, body=BODY, container='c', **more):
    return keeper.admit(spool(keeper.store, body, name=name_of(number, container), **more))


def cached(keeper, count=20, container='c'):
    return [number for number in range(count) if keeper.store.has(name_of(number, container))]


def identity(keeper, number):
    with keeper.store.entry(name_of(number)) as entry:
        return entry.identity


def test_what_is_admitted_is_linked_and_counted(make, store):
    keeper = make()
    assert admit(keeper, 1)
    assert (cached(keeper), list(keeper.index), keeper.index.currsize) == (
        [1], [store.naming.entry(name_of(1))], UNIT)
    assert list(store.spool_files()) == []


def test_a_damaged_file_is_refused_and_removed(make, store):
    keeper, name = make(), spool(store, BODY)
    with open(store.layout.spool / name, 'r+b') as file:
        file.seek(5000)
        file.write(b'?')
    assert not keeper.admit(name)
    assert list(store.linked()) == list(store.spool_files()) == []


def test_a_file_that_is_gone_is_refused(make):
    assert not make().admit('nothing')


def test_the_reading_of_a_file_is_left_to_the_executor(make, store):
    keeper, called = make(), []

    def execute(call, *args):
        called.append(call)
        return call(*args)

    assert keeper.admit(spool(store, BODY), execute)
    assert called == [store.admit]


def test_a_newer_version_is_counted_once(make):
    keeper = make()
    admit(keeper, 1)
    assert admit(keeper, 1, b'y' * 20_000, timestamp='1800000001.00000')
    assert len(keeper.index) == 1 and keeper.index.currsize > UNIT


def test_an_older_version_is_refused_and_the_newer_stays_counted(make):
    keeper = make()
    admit(keeper, 1, timestamp='1800000001.00000')
    assert not admit(keeper, 1, b'y' * 20_000)
    assert keeper.index.currsize == UNIT


def test_at_the_high_mark_the_least_recently_used_go_down_to_the_low_mark(make):
    keeper = make()
    for number in range(9):
        admit(keeper, number)
    assert cached(keeper) == list(range(9))
    keeper.index.touch(keeper.store.naming.entry(name_of(0)))
    admit(keeper, 9)
    assert cached(keeper) == [0, 6, 7, 8, 9]


def test_what_is_larger_than_the_cache_is_refused_and_evicts_nothing(make, store):
    keeper = make(2 * UNIT, 100, 100)
    admit(keeper, 1)
    assert not admit(keeper, 2, b'y' * 50_000)
    assert cached(keeper) == [1]
    assert list(store.spool_files()) == []


def test_a_version_larger_than_the_cache_leaves_no_older_one_behind(make):
    keeper = make(2 * UNIT, 100, 100)
    admit(keeper, 1)
    assert not admit(keeper, 1, b'y' * 50_000, timestamp='1800000001.00000')
    assert cached(keeper) == []


def test_a_restart_takes_over_in_the_order_of_the_files_times(make, store):
    keeper = make()
    for number, used_at in enumerate([300, 100, 200]):
        admit(keeper, number)
        os.utime(store.layout.entry(store.naming.entry(name_of(number))), (used_at, used_at))
    again = make()
    assert again.load() == 3
    assert list(again.index) == [store.naming.entry(name_of(number)) for number in (1, 2, 0)]


def test_a_restart_with_a_smaller_cache_evicts_the_oldest(make, store):
    keeper = make()
    for number in range(6):
        admit(keeper, number)
        os.utime(store.layout.entry(store.naming.entry(name_of(number))), (number, number))
    assert make(4 * UNIT, 100, 50).load() == 4
    assert make(4 * UNIT, 75, 50).load() == 2
    assert cached(keeper) == [4, 5]


def test_a_restart_drops_what_is_larger_than_the_cache(make):
    keeper = make()
    admit(keeper, 1, b'y' * 20_000)
    admit(keeper, 2)
    assert make(2 * UNIT, 100, 100).load() == 1
    assert cached(keeper) == [2]


def test_forgetting_an_object_drops_it_alone(make):
    keeper = make()
    admit(keeper, 1)
    admit(keeper, 2)
    assert keeper.forget(Forget('AUTH_test', 'c', object='o1')) == 1
    assert cached(keeper) == [2]


def test_forgetting_by_identity_drops_that_file(make):
    keeper = make()
    admit(keeper, 1)
    assert keeper.forget(Forget('AUTH_test', 'c', object='o1', identity=identity(keeper, 1))) == 1
    assert cached(keeper) == []


def test_forgetting_by_identity_spares_what_came_later(make):
    keeper = make()
    admit(keeper, 1)
    old = identity(keeper, 1)
    admit(keeper, 1, timestamp='1800000001.00000')
    assert keeper.forget(Forget('AUTH_test', 'c', object='o1', identity=old)) == 0
    assert cached(keeper) == [1]


def test_forgetting_by_prefix(make):
    keeper = make()
    for number in (1, 2, 10, 11):
        admit(keeper, number)
    assert keeper.forget(Forget('AUTH_test', 'c', prefix='o1')) == 3
    assert cached(keeper) == [2]


def test_forgetting_by_prefix_takes_what_cannot_be_read_along(make, store):
    keeper = make()
    admit(keeper, 1)
    store.layout.entry(store.naming.entry(name_of(1))).write_bytes(b'rubbish')
    assert keeper.forget(Forget('AUTH_test', 'c', prefix='other')) == 1
    assert cached(keeper) == []


def test_forgetting_a_container_spares_the_others(make):
    keeper = make()
    for container in ('c', 'd'):
        for number in range(3):
            admit(keeper, number, container=container)
    assert keeper.forget(Forget('AUTH_test', 'c')) == 3
    assert (cached(keeper), cached(keeper, container='d')) == ([], [0, 1, 2])


def test_forgetting_what_is_not_there_is_nothing(make):
    keeper = make()
    assert keeper.forget(Forget('AUTH_test', 'c', object='o1')) == 0
    assert keeper.forget(Forget('AUTH_test', 'c')) == 0


def test_what_somebody_else_removed_is_counted_no_longer_once_forgotten(make, store):
    keeper = make()
    admit(keeper, 1)
    store.layout.entry(store.naming.entry(name_of(1))).unlink()
    assert keeper.forget(Forget('AUTH_test', 'c', object='o1')) == 0
    assert keeper.index.currsize == 0


def test_room_is_what_is_left_to_the_low_mark(make):
    keeper = make()
    admit(keeper, 1)
    assert keeper.room() == 4 * UNIT


def test_there_is_no_room_on_a_disk_that_is_too_full(make):
    assert make(floor=100).room() < 0


def test_nothing_is_admitted_to_a_disk_that_is_too_full(make, store):
    keeper = make()
    admit(keeper, 1)
    full = make(floor=100)
    full.load()
    assert not admit(full, 2)
    assert cached(full) == []
    assert list(store.spool_files()) == []


def test_a_spool_name_of_what_is_not_admitted_leads_nowhere_else(make, store, tmp_path):
    (tmp_path / 'victim').write_bytes(b'x')
    assert not make(floor=100).admit('../../../victim')
    assert (tmp_path / 'victim').exists()


def test_keeping_free_evicts_and_says_whether_that_helped(make):
    keeper = make()
    for number in range(5):
        admit(keeper, number)
    assert keeper.keep_free()
    assert cached(keeper) == list(range(5))
    full = make(floor=100)
    full.load()
    assert not full.keep_free()
    assert cached(full) == []


NUMBERS = st.integers(0, 12)
CONTAINERS = st.sampled_from(['c', 'd'])


class AnyOrder(RuleBasedStateMachine):
    """Whatever is done in whatever order, the index has exactly what lies in the folder."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.create(self.folder.name)
        self.keeper = self.make()

    def make(self):
        return Keeper(self.store, 12 * UNIT, 80, 40, 0, ListLogger())

    def teardown(self):
        self.folder.cleanup()

    @rule(number=NUMBERS, container=CONTAINERS, length=st.integers(0, 150_000), second=st.integers(0, 9))
    def admit(self, number, container, length, second):
        admit(self.keeper, number, bytes(length), container, timestamp=f'179999999{second}.00000')

    @rule(number=NUMBERS, container=CONTAINERS)
    def refuse(self, number, container):
        name = spool(self.store, BODY, name=name_of(number, container))
        os.truncate(self.store.layout.spool / name, 5000)
        assert not self.keeper.admit(name)

    @rule(number=NUMBERS, container=CONTAINERS)
    def forget_object(self, number, container):
        self.keeper.forget(Forget('AUTH_test', container, object=f'o{number}'))

    @rule(container=CONTAINERS, prefix=st.sampled_from(['', 'o1', 'o']))
    def forget_container(self, container, prefix):
        self.keeper.forget(Forget('AUTH_test', container, prefix))

    @rule(number=NUMBERS, container=CONTAINERS)
    def touch(self, number, container):
        self.keeper.index.touch(self.store.naming.entry(name_of(number, container)))

    @rule()
    def restart(self):
        self.keeper = self.make()
        self.keeper.load()

    @invariant()
    def index_and_folder_are_one(self):
        index = self.keeper.index
        assert dict(index) == {item.entry_name: item.disk_bytes for item in self.store.linked()}
        assert index.currsize == sum(index.values()) <= 0.8 * index.maxsize
        assert list(self.store.spool_files()) == []


AnyOrder.TestCase.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
test_any_order_of_operations_keeps_index_and_folder_one = AnyOrder.TestCase
