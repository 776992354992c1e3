"""The keeper, on real files: what is linked is counted, and what is counted is linked."""
import itertools
import os
import tempfile
import time
from collections import Counter

import pytest
from helpers import NOW, spool
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from keepers import BODY, UNIT, admit, cached, disk_bytes, entry_of, make_keeper, name_of, path_of
from swift.common.concurrency import Event, GreenPool, tpool
from trying import tries

from swiftahead.cache import Store
from swiftahead.eviction.evictor import IDLE_SECONDS
from swiftahead.eviction.loader import FOLDERS, read_folder
from swiftahead.eviction.manager import Stopped
from swiftahead.eviction.policies import POLICIES

# after which an entry is idle, since a hit is noted in its file's time a minute later at most
LONG_AGO = IDLE_SECONDS + 60 + 1


@pytest.fixture
def store(tmp_path):
    """Where each of some entries lies in a folder of its own: which it is, its key decides."""
    for number in itertools.count():
        store = Store.create(tmp_path / f'cache{number}')
        if len({path_of(store, entry).parent for entry in range(10)}) == 10:
            return store


@pytest.fixture
def make(store):
    made = []

    def make(size=10 * UNIT, high=90, low=50, floor=0, **tools):
        made.append(make_keeper(store, size, high, low, floor, **tools))
        return made[-1]

    yield make
    made[-1].load()
    assert made[-1].holdings.total == made[-1].index.currsize == disk_bytes(store)
    assert list(store.check()) == []


def used(store, number, seconds):
    """Set the time at which it was used last."""
    os.utime(path_of(store, number), (seconds, seconds))


def evicted_in_order(keeper):
    names = {entry_of(keeper.store, number): number for number in range(20)}
    return [names[keeper.index.popitem()[0]] for _ in range(len(keeper.index))]


def identity(keeper, number):
    with keeper.store.entry(name_of(number)) as entry:
        return entry.identity


def test_what_is_admitted_is_linked_and_counted(make, store):
    keeper = make()
    assert admit(keeper, 1)
    assert (cached(store), list(keeper.index), keeper.index.currsize) == (
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


def test_what_touches_the_disk_is_left_to_the_executor(make, store):
    called = []

    def execute(call, *args):
        called.append(call)
        return call(*args)

    assert admit(make(execute=execute), 1)
    assert store.verified in called


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


def test_at_the_high_mark_the_least_recently_used_go_down_to_the_low_mark(make, store):
    keeper = make()
    for number in range(9):
        admit(keeper, number)
    assert cached(store) == list(range(9))
    keeper.index.touch(keeper.store.naming.entry(name_of(0)))
    admit(keeper, 9)
    assert cached(store) == [0, 6, 7, 8, 9]


def test_what_is_larger_than_the_cache_is_refused_and_evicts_nothing(make, store):
    keeper = make(2 * UNIT, 100, 100)
    admit(keeper, 1)
    assert not admit(keeper, 2, b'y' * 50_000)
    assert cached(store) == [1]
    assert list(store.spool_files()) == []


def test_a_version_larger_than_the_cache_leaves_no_older_one_behind(make, store):
    keeper = make(2 * UNIT, 100, 100)
    admit(keeper, 1)
    assert not admit(keeper, 1, b'y' * 50_000, timestamp='1800000001.00000')
    assert cached(store) == []


def test_a_restart_takes_over_in_the_order_of_the_files_times(make, store):
    keeper = make()
    for number, used_at in enumerate([300, 100, 200]):
        admit(keeper, number)
        used(store, number, used_at)
    again = make()
    assert again.load() == 3
    assert evicted_in_order(again) == [1, 2, 0]


def test_a_restart_with_a_smaller_cache_evicts_the_oldest(make, store):
    keeper = make()
    for number in range(6):
        admit(keeper, number)
        used(store, number, number)
    assert make(6 * UNIT, 100, 50).load() == 6
    assert make(4 * UNIT, 75, 50).load() == 2
    assert cached(store) == [4, 5]


def test_a_restart_drops_what_is_larger_than_the_cache(make, store):
    keeper = make()
    admit(keeper, 1, b'y' * 20_000)
    admit(keeper, 2)
    assert make(2 * UNIT, 100, 100).load() == 1
    assert cached(store) == [2]


def test_forgetting_an_object_drops_it_alone(make, store):
    keeper = make()
    admit(keeper, 1)
    admit(keeper, 2)
    assert keeper.purge('AUTH_test', 'c', object='o1') == 1
    assert cached(store) == [2]


def test_forgetting_by_identity_drops_that_file(make, store):
    keeper = make()
    admit(keeper, 1)
    assert keeper.purge('AUTH_test', 'c', object='o1', identity=identity(keeper, 1)) == 1
    assert cached(store) == []


def test_forgetting_by_identity_spares_what_came_later(make, store):
    keeper = make()
    admit(keeper, 1)
    old = identity(keeper, 1)
    admit(keeper, 1, timestamp='1800000001.00000')
    assert keeper.purge('AUTH_test', 'c', object='o1', identity=old) == 0
    assert cached(store) == [1]


def test_forgetting_by_prefix(make, store):
    keeper = make()
    for number in (1, 2, 10, 11):
        admit(keeper, number)
    assert keeper.purge('AUTH_test', 'c', prefix='o1') == 3
    assert cached(store) == [2]


def test_forgetting_by_prefix_takes_what_cannot_be_read_along(make, store):
    keeper = make()
    admit(keeper, 1)
    store.layout.entry(store.naming.entry(name_of(1))).write_bytes(b'rubbish')
    assert keeper.purge('AUTH_test', 'c', prefix='other') == 1
    assert cached(store) == []


def test_forgetting_a_container_spares_the_others(make, store):
    keeper = make()
    for container in ('c', 'd'):
        for number in range(3):
            admit(keeper, number, container=container)
    assert keeper.purge('AUTH_test', 'c') == 3
    assert (cached(store), cached(store, container='d')) == ([], [0, 1, 2])


def test_forgetting_what_is_not_there_is_nothing(make):
    keeper = make()
    assert keeper.purge('AUTH_test', 'c', object='o1') == 0
    assert keeper.purge('AUTH_test', 'c') == 0


def test_what_somebody_else_removed_is_counted_no_longer_once_forgotten(make, store):
    keeper = make()
    admit(keeper, 1)
    store.layout.entry(store.naming.entry(name_of(1))).unlink()
    assert keeper.purge('AUTH_test', 'c', object='o1') == 0
    assert keeper.index.currsize == 0


def test_room_is_what_is_left_to_the_low_mark(make):
    keeper = make()
    admit(keeper, 1)
    assert keeper.room() == 4 * UNIT


def test_there_is_no_room_on_a_disk_that_is_too_full(make):
    assert make(floor=100).room() < 0


def test_nothing_is_admitted_to_a_disk_that_is_too_full_and_nothing_evicted_where_that_cannot_help(make, store):
    admit(make(), 1)
    full = make(floor=100)
    full.load()
    assert not admit(full, 2) and not admit(full, 3)
    assert (cached(store), list(store.spool_files())) == ([1], [])
    assert len([said for said in full._logger.said if 'nothing is admitted' in said]) == 1


def test_a_spool_name_of_what_is_not_admitted_leads_nowhere_else(make, store, tmp_path):
    (tmp_path / 'victim').write_bytes(b'x')
    assert not make(floor=100).admit('../../../victim')
    assert (tmp_path / 'victim').exists()


# what was fetched ahead and what was warmed

def fill(make, store, count=9, used_at=None):
    """A keeper whose cache is at the high mark."""
    keeper = make()
    keeper.load()
    for number in range(count):
        assert admit(keeper, number)
        if used_at is not None:
            used(store, number, used_at)
    return keeper


def test_what_was_fetched_ahead_evicts_what_is_idle(make, store):
    keeper = fill(make, store, used_at=time.time() - LONG_AGO)
    assert keeper.may_prefetch(UNIT)
    assert admit(keeper, 9, origin='prefetch')
    assert cached(store) == [5, 6, 7, 8, 9]


def test_what_was_fetched_ahead_evicts_nothing_that_was_read_lately(make, store):
    keeper = fill(make, store)
    assert not keeper.may_prefetch(UNIT)
    assert not admit(keeper, 9, origin='prefetch')
    assert cached(store) == list(range(9))


def test_what_was_fetched_ahead_evicts_as_far_as_is_idle(make, store):
    keeper = fill(make, store)
    for number in (0, 1):
        used(store, number, 1000)
    assert admit(keeper, 9, origin='prefetch')
    assert cached(store) == list(range(2, 10))
    assert evicted_in_order(keeper) == list(range(2, 10))


@pytest.mark.parametrize('eviction', POLICIES)
def test_what_was_fetched_ahead_evicts_what_is_idle_though_what_goes_first_is_not(make, store, eviction):
    now = [1000.0]
    keeper = fill(lambda: make(rules=(eviction, 'all'), clock=lambda: now[0]), store, used_at=1000)
    for number in range(3):
        keeper.touch(entry_of(store, number))
    now[0] += LONG_AGO
    for number in range(3, 9):
        used(store, number, now[0])
    assert keeper.may_prefetch(UNIT) and admit(keeper, 9, origin='prefetch')
    assert cached(store) == list(range(3, 10))


@pytest.mark.parametrize('eviction', POLICIES)
def test_the_marks_hold_in_any_order(make, store, eviction):
    keeper = make(rules=(eviction, 'all'))
    for number in range(30):
        assert admit(keeper, number)
        assert keeper.holdings.total == disk_bytes(store) <= keeper.limits.high_bytes
    assert 29 in cached(store, 30)


def test_a_use_of_what_was_evicted_is_none_of_what_came_in_its_place(make, store):
    now = [1000.0]
    keeper = fill(lambda: make(clock=lambda: now[0]), store, used_at=1000)
    for number in range(9):
        keeper.touch(entry_of(store, number))
    for _ in range(9):
        keeper.index.popitem()
    now[0] = time.time()
    for number in range(9):
        admit(keeper, number)
    assert not keeper.may_prefetch(UNIT)


def test_what_cannot_be_looked_at_stays_counted(make, store):
    def execute(call, *args):
        if call.__name__ == '<lambda>':
            raise OSError('broken')
        return call(*args)

    keeper = fill(lambda: make(execute=execute), store, used_at=1000)
    admit(keeper, 9, origin='prefetch')
    assert cached(store) == list(range(9)) and keeper.holdings.total == 9 * UNIT


def test_what_was_warmed_evicts_nothing(make, store):
    keeper = fill(make, store, used_at=1000)
    assert not admit(keeper, 9, origin='warm')
    assert cached(store) == list(range(9))


def test_what_was_fetched_ahead_and_not_read_is_told_when_it_goes(make):
    counts = Counter()
    keeper = make(count=lambda name, by=1, reason=None: counts.update({name: by}))
    for number in (1, 2):
        admit(keeper, number, origin='prefetch')
    assert keeper.touch(entry_of(keeper.store, 1)) and not keeper.touch(entry_of(keeper.store, 1))
    assert evicted_in_order(keeper) == [2, 1]
    assert counts == {'admitted': 2, 'evicted': 2, 'evicted_bytes': 2 * UNIT, 'evicted_unused': 1}


# what cannot be unlinked

@pytest.fixture
def broken(store):
    """Break the folder of an entry, so that it cannot be unlinked, and mend it."""
    away = []

    def broken(number):
        folder = path_of(store, number).parent
        away.append((folder, folder.rename(folder.with_name('away'))))
        folder.touch()

    def mend():
        while away:
            folder, other = away.pop()
            folder.unlink()
            other.rename(folder)

    broken.mend = mend
    yield broken
    mend()


def test_what_cannot_be_unlinked_stays_counted_and_goes_later(make, store, broken):
    keeper = fill(make, store)
    broken(0)
    assert admit(keeper, 9)
    assert keeper.holdings.total == 5 * UNIT and list(keeper.holdings.stuck) == [entry_of(store, 0)]
    keeper.upkeep()
    assert len([said for said in keeper._logger.said if 'cannot be removed' in said]) == 1
    broken.mend()
    assert cached(store) == [0, 6, 7, 8, 9]
    keeper.upkeep()
    assert cached(store) == [6, 7, 8, 9] and not keeper.holdings.stuck


def test_what_cannot_be_forgotten_stays_counted_and_goes_later(make, store, broken):
    keeper = make()
    admit(keeper, 1)
    broken(1)
    assert keeper.purge('AUTH_test', 'c', object='o1') == 0
    assert (keeper.holdings.total, list(keeper.holdings.stuck)) == (UNIT, [entry_of(store, 1)])
    broken.mend()
    keeper.upkeep()
    assert cached(store) == [] and not keeper.holdings.stuck


def test_what_took_the_place_of_what_could_not_be_unlinked_is_not_unlinked(make, store, broken):
    keeper = fill(make, store)
    broken(0)
    admit(keeper, 9)
    broken.mend()
    assert admit(keeper, 0, timestamp='1800000001.00000')
    keeper.upkeep()
    assert 0 in cached(store) and not keeper.holdings.stuck


# while the folder is read

def left_by_another(store, count=20, size=100 * UNIT):
    """What an earlier process left; the later its number, the later it was used."""
    keeper = make_keeper(store, size)
    for number in range(count):
        assert admit(keeper, number)
        used(store, number, 1000 + number)


def test_records_are_handled_before_the_folder_is_read(make, store):
    left_by_another(store)
    keeper = make(100 * UNIT)
    assert admit(keeper, 30) and keeper.purge('AUTH_test', 'c', object='o3') == 1
    assert keeper.rebuilt() < 1 and keeper.holdings.total >= disk_bytes(store)
    assert keeper.has(entry_of(store, 5)) and not keeper.has(entry_of(store, 3))
    assert keeper.load() == 20


@pytest.mark.parametrize('steps', [0, 1, 100, FOLDERS, FOLDERS + 1])
def test_what_is_dropped_or_replaced_meanwhile_is_counted_once(make, store, steps):
    left_by_another(store)
    keeper = make(100 * UNIT)
    for _ in range(steps):
        keeper.rebuild_step()
    keeper.purge('AUTH_test', 'c', object='o1')
    admit(keeper, 2, timestamp='1800000001.00000')
    keeper.purge('AUTH_test', 'c', object='o4')
    admit(keeper, 4)
    assert keeper.holdings.total >= disk_bytes(store)
    assert keeper.holdings.total == disk_bytes(store) or not keeper.holdings.is_whole
    assert keeper.load() == 19
    assert evicted_in_order(keeper)[-2:] == [2, 4]


def test_what_is_forgotten_meanwhile_by_its_container_goes_whole(make, store):
    left_by_another(store)
    keeper = make(100 * UNIT)
    assert keeper.purge('AUTH_test', 'c', prefix='o1') == 11
    assert keeper.load() == 9


def test_what_is_read_meanwhile_goes_last(make, store):
    left_by_another(store)
    keeper = make(100 * UNIT)
    for number in (3, 1):
        keeper.touch(entry_of(store, number))
    keeper.load()
    assert evicted_in_order(keeper) == [0, 2, *range(4, 20), 3, 1]


def test_what_is_evicted_meanwhile_is_the_oldest(make, store):
    left_by_another(store, 10)
    keeper = make(10 * UNIT, 100, 100)
    keeper.touch(entry_of(store, 0))
    assert admit(keeper, 18) and admit(keeper, 19)
    assert cached(store) == [0, 3, 4, 5, 6, 7, 8, 9, 18, 19]


def test_a_cache_that_is_too_large_already_does_not_grow_meanwhile(make, store):
    left_by_another(store, 60)
    keeper = make(10 * UNIT, 100, 50)
    for _ in range(200):
        keeper.rebuild_step()
    assert admit(keeper, 100)
    assert disk_bytes(store) == 60 * UNIT and keeper.rebuilt() < 1
    keeper.load()
    assert cached(store, 101) == [56, 57, 58, 59, 100]


def test_a_time_to_come_counts_as_now(store):
    assert admit(make_keeper(store), 0)
    used(store, 0, NOW + 10**6)
    found, _ = read_folder(path_of(store, 0).parent, NOW)
    assert found == [(NOW, bytes.fromhex(entry_of(store, 0)), UNIT)]


def test_foreign_files_are_left_and_told_once(make, store):
    keeper = make(high=100, low=0)
    strange = [store.layout.objects / '00' / 'notes.txt', store.layout.objects / 'ff' / ('0' * 48),
               store.layout.objects / 'other']
    for path in strange:
        path.write_text('x')
    keeper.load()
    assert keeper.index.currsize == keeper.holdings.total == 0
    assert len([said for said in keeper._logger.said if said.startswith('2 files in ')]) == 1
    for path in strange:
        path.unlink()


def test_a_folder_that_cannot_be_read_is_tried_again(make, store, broken):
    left_by_another(store, 3)
    keeper = make(100 * UNIT)
    folder = path_of(store, 1).parent
    away = folder.rename(folder.with_name('away'))
    folder.symlink_to(folder)
    with pytest.raises(OSError):
        keeper.load()
    folder.unlink()
    away.rename(folder)
    assert keeper.load() == 3


def test_a_restart_knows_how_much_there_may_be(make, store):
    left_by_another(store)
    keeper = make(100 * UNIT)
    assert 20 * UNIT <= keeper.holdings.total <= 21 * UNIT


# admissions at the same time

def test_a_large_file_is_checked_while_others_are_admitted(make, store):
    gate, names = Event(), {}

    def execute(call, *args):
        if args == (names.get('large'),):
            gate.wait()
        return tpool.execute(call, *args)

    keeper, pool = make(execute=execute), GreenPool()
    names['large'] = spool(store, BODY, name=name_of(1))
    large = pool.spawn(keeper.admit, names['large'])
    assert admit(keeper, 2) and cached(store) == [2]
    gate.send()
    assert large.wait() and cached(store) == [1, 2]


def test_a_closed_keeper_links_nothing_and_leaves_what_was_captured(make, store):
    keeper, name = make(), spool(store, BODY, name=name_of(1))
    keeper.close()
    with pytest.raises(Stopped):
        keeper.admit(name)
    assert (cached(store), [item.entry_name for item in store.spool_files()]) == ([], [name])


NUMBERS = st.integers(0, 12)
CONTAINERS = st.sampled_from(['c', 'd'])


class AnyOrder(RuleBasedStateMachine):
    """Whatever is done in whatever order, the index has exactly what lies in the folder."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.create(self.folder.name)
        self.keeper = self.make()

    def make(self, eviction='lru'):
        return make_keeper(self.store, 12 * UNIT, 80, 40, rules=(eviction, 'all'))

    def teardown(self):
        self.folder.cleanup()

    @rule(number=NUMBERS, container=CONTAINERS, length=st.integers(0, 150_000), second=st.integers(0, 9),
          origin=st.sampled_from(['read', 'read', 'prefetch']))
    def admit(self, number, container, length, second, origin):
        admit(self.keeper, number, bytes(length), container, timestamp=f'179999999{second}.00000', origin=origin)

    @rule(number=NUMBERS, container=CONTAINERS)
    def refuse(self, number, container):
        name = spool(self.store, BODY, name=name_of(number, container))
        os.truncate(self.store.layout.spool / name, 5000)
        assert not self.keeper.admit(name)

    @rule(number=NUMBERS, container=CONTAINERS)
    def forget_object(self, number, container):
        self.keeper.purge('AUTH_test', container, object=f'o{number}')

    @rule(container=CONTAINERS, prefix=st.sampled_from(['', 'o1', 'o']))
    def forget_container(self, container, prefix):
        self.keeper.purge('AUTH_test', container, prefix)

    @rule(number=NUMBERS, container=CONTAINERS)
    def touch(self, number, container):
        self.keeper.index.touch(self.store.naming.entry(name_of(number, container)))

    @rule(eviction=st.sampled_from(list(POLICIES)))
    def restart(self, eviction):
        self.keeper = self.make(eviction)
        self.keeper.load()

    @invariant()
    def index_and_folder_are_one(self):
        index = self.keeper.index
        assert dict(index) == {item.entry_name: item.disk_bytes for item in self.store.linked()}
        assert index.currsize == sum(index.values()) <= 0.8 * index.maxsize
        assert list(self.store.spool_files()) == []


AnyOrder.TestCase.settings = tries(15, stateful_step_count=40)
test_any_order_of_operations_keeps_index_and_folder_one = AnyOrder.TestCase
