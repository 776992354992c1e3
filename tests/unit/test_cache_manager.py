"""The manager of the cache, on real files: what is linked is counted, and what is counted is linked."""
import errno
import itertools
import os
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import partial

import pytest
from helpers.cache.cache_managers import (
    BODY,
    UNIT,
    admit,
    cached,
    disk_bytes,
    entry_of,
    evict_next,
    in_order,
    make_manager,
    name_of,
    path_of,
)
from helpers.common.builders import NOW, spool
from helpers.common.trying import tries
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from swift.common.concurrency import Event, GreenPool, tpool

from swiftahead.cache import Store
from swiftahead.eviction.evictor import IDLE_SECONDS
from swiftahead.eviction.index_loader import FOLDERS, read_folder
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
        made.append(make_manager(store, size, high, low, floor, **tools))
        return made[-1]

    yield make
    made[-1].load()
    assert made[-1].inventory.total == disk_bytes(store)
    assert list(store.check()) == []


def used(store, number, seconds):
    """Set the time at which it was used last."""
    os.utime(path_of(store, number), (seconds, seconds))


def numbers_in_order(manager):
    names = {entry_of(manager.store, number): number for number in range(20)}
    return [names[name] for name in in_order(manager)]


def identity(manager, number):
    with manager.store.entry(name_of(number)) as entry:
        return entry.identity


def test_what_is_admitted_is_linked_and_counted(make, store):
    manager = make()
    assert admit(manager, 1)
    assert (cached(store), in_order(manager), manager.inventory.total) == ([1], [entry_of(store, 1)], UNIT)
    assert list(store.spool_files()) == []


def test_a_damaged_file_is_refused_and_removed(make, store):
    manager, name = make(), spool(store, BODY)
    with open(store.layout.spool / name, 'r+b') as file:
        file.seek(5000)
        file.write(b'?')
    assert not manager.admit(name)
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
    manager = make()
    admit(manager, 1)
    assert admit(manager, 1, b'y' * 20_000, timestamp='1800000001.00000')
    assert manager.inventory.entries == 1 and manager.inventory.total > UNIT


def test_an_older_version_is_refused_and_the_newer_stays_counted(make):
    manager = make()
    admit(manager, 1, timestamp='1800000001.00000')
    assert not admit(manager, 1, b'y' * 20_000)
    assert manager.inventory.total == UNIT


def test_at_the_high_mark_the_least_recently_used_go_down_to_the_low_mark(make, store):
    manager = make()
    for number in range(9):
        admit(manager, number)
    assert cached(store) == list(range(9))
    manager.touch(manager.store.naming.entry(name_of(0)))
    admit(manager, 9)
    assert cached(store) == [0, 6, 7, 8, 9]


def test_what_is_larger_than_the_cache_is_refused_and_evicts_nothing(make, store):
    manager = make(2 * UNIT, 100, 100)
    admit(manager, 1)
    assert not admit(manager, 2, b'y' * 50_000)
    assert cached(store) == [1]
    assert list(store.spool_files()) == []


def test_a_version_larger_than_the_cache_leaves_no_older_one_behind(make, store):
    manager = make(2 * UNIT, 100, 100)
    admit(manager, 1)
    assert not admit(manager, 1, b'y' * 50_000, timestamp='1800000001.00000')
    assert cached(store) == []


def test_a_restart_takes_over_in_the_order_of_the_files_times(make, store):
    manager = make()
    for number, used_at in enumerate([300, 100, 200]):
        admit(manager, number)
        used(store, number, used_at)
    again = make()
    assert again.load() == 3
    assert numbers_in_order(again) == [1, 2, 0]


def test_a_restart_with_a_smaller_cache_evicts_the_oldest(make, store):
    manager = make()
    for number in range(6):
        admit(manager, number)
        used(store, number, number)
    assert make(6 * UNIT, 100, 50).load() == 6
    assert make(4 * UNIT, 75, 50).load() == 2
    assert cached(store) == [4, 5]


def test_a_restart_drops_what_is_larger_than_the_cache(make, store):
    manager = make()
    admit(manager, 1, b'y' * 20_000)
    admit(manager, 2)
    assert make(2 * UNIT, 100, 100).load() == 1
    assert cached(store) == [2]


def test_forgetting_an_object_drops_it_alone(make, store):
    manager = make()
    admit(manager, 1)
    admit(manager, 2)
    assert manager.purge('AUTH_test', 'c', object='o1') == 1
    assert cached(store) == [2]


def test_forgetting_by_identity_drops_that_file(make, store):
    manager = make()
    admit(manager, 1)
    assert manager.purge('AUTH_test', 'c', object='o1', identity=identity(manager, 1)) == 1
    assert cached(store) == []


def test_forgetting_by_identity_spares_what_came_later(make, store):
    manager = make()
    admit(manager, 1)
    old = identity(manager, 1)
    admit(manager, 1, timestamp='1800000001.00000')
    assert manager.purge('AUTH_test', 'c', object='o1', identity=old) == 0
    assert cached(store) == [1]


def test_forgetting_by_prefix(make, store):
    manager = make()
    for number in (1, 2, 10, 11):
        admit(manager, number)
    assert manager.purge('AUTH_test', 'c', prefix='o1') == 3
    assert cached(store) == [2]


def test_forgetting_by_prefix_takes_what_cannot_be_read_along(make, store):
    manager = make()
    admit(manager, 1)
    store.layout.entry(store.naming.entry(name_of(1))).write_bytes(b'rubbish')
    assert manager.purge('AUTH_test', 'c', prefix='other') == 1
    assert cached(store) == []


def test_forgetting_a_container_spares_the_others(make, store):
    manager = make()
    for container in ('c', 'd'):
        for number in range(3):
            admit(manager, number, container=container)
    assert manager.purge('AUTH_test', 'c') == 3
    assert (cached(store), cached(store, container='d')) == ([], [0, 1, 2])


def test_forgetting_what_is_not_there_is_nothing(make):
    manager = make()
    assert manager.purge('AUTH_test', 'c', object='o1') == 0
    assert manager.purge('AUTH_test', 'c') == 0


def test_what_somebody_else_removed_is_counted_no_longer_once_forgotten(make, store):
    manager = make()
    admit(manager, 1)
    store.layout.entry(store.naming.entry(name_of(1))).unlink()
    assert manager.purge('AUTH_test', 'c', object='o1') == 0
    assert manager.inventory.total == 0


def test_room_is_what_is_left_to_the_low_mark(make):
    manager = make()
    admit(manager, 1)
    assert manager.room() == 4 * UNIT


def test_there_is_no_room_on_a_disk_that_is_too_full(make):
    assert make(floor=100).room() < 0


def test_nothing_is_admitted_to_a_disk_that_is_too_full_and_nothing_evicted_where_that_cannot_help(make, store):
    admit(make(), 1)
    full = make(floor=100)
    assert not admit(full, 2) and not admit(full, 3)
    assert (cached(store), list(store.spool_files())) == ([1], [])
    assert len([said for said in full._logger.said if 'nothing is admitted' in said]) == 1


def test_a_spool_name_of_what_is_not_admitted_leads_nowhere_else(make, store, tmp_path):
    (tmp_path / 'victim').write_bytes(b'x')
    assert not make(floor=100).admit('../../../victim')
    assert (tmp_path / 'victim').exists()


# what was fetched ahead and what was warmed

def fill(make, store, count=9, used_at=None):
    """A manager whose cache is at the high mark."""
    manager = make()
    for number in range(count):
        assert admit(manager, number)
        if used_at is not None:
            used(store, number, used_at)
    return manager


def test_what_was_fetched_ahead_evicts_what_is_idle(make, store):
    manager = fill(make, store, used_at=time.time() - LONG_AGO)
    assert manager.may_prefetch(UNIT)
    assert admit(manager, 9, origin='prefetch')
    assert cached(store) == [5, 6, 7, 8, 9]


def test_what_was_fetched_ahead_evicts_nothing_that_was_read_lately(make, store):
    manager = fill(make, store)
    assert not manager.may_prefetch(UNIT)
    assert not admit(manager, 9, origin='prefetch')
    assert cached(store) == list(range(9))


def test_what_was_fetched_ahead_evicts_as_far_as_is_idle(make, store):
    manager = fill(make, store)
    for number in (0, 1):
        used(store, number, 1000)
    assert admit(manager, 9, origin='prefetch')
    assert cached(store) == list(range(2, 10))
    assert numbers_in_order(manager) == list(range(2, 10))


@pytest.mark.parametrize('eviction', POLICIES)
def test_what_was_fetched_ahead_evicts_what_is_idle_though_what_goes_first_is_not(make, store, eviction):
    now = [1000.0]
    manager = fill(lambda: make(rules=(eviction, 'all'), clock=lambda: now[0]), store, used_at=1000)
    for number in range(3):
        manager.touch(entry_of(store, number))
    now[0] += LONG_AGO
    for number in range(3, 9):
        used(store, number, now[0])
    assert manager.may_prefetch(UNIT) and admit(manager, 9, origin='prefetch')
    assert cached(store) == list(range(3, 10))


@pytest.mark.parametrize('eviction', POLICIES)
def test_the_marks_hold_in_any_order(make, store, eviction):
    manager = make(rules=(eviction, 'all'))
    for number in range(30):
        assert admit(manager, number)
        assert manager.inventory.total == disk_bytes(store) <= manager.limits.high_bytes
    assert 29 in cached(store, 30)


def test_a_use_of_what_was_evicted_is_none_of_what_came_in_its_place(make, store):
    now = [1000.0]
    manager = fill(lambda: make(clock=lambda: now[0]), store, used_at=1000)
    for number in range(9):
        manager.touch(entry_of(store, number))
    for _ in range(9):
        evict_next(manager)
    now[0] = time.time()
    for number in range(9):
        admit(manager, number)
    assert not manager.may_prefetch(UNIT)


def test_what_cannot_be_looked_at_stays_counted(make, store):
    def execute(call, *args):
        if call.__name__ == '<lambda>':
            raise OSError('broken')
        return call(*args)

    manager = fill(lambda: make(execute=execute), store, used_at=1000)
    admit(manager, 9, origin='prefetch')
    assert cached(store) == list(range(9)) and manager.inventory.total == 9 * UNIT


def test_what_was_warmed_evicts_nothing(make, store):
    manager = fill(make, store, used_at=1000)
    assert not admit(manager, 9, origin='warm')
    assert cached(store) == list(range(9))


def test_what_was_fetched_ahead_and_not_read_is_told_when_it_goes(make):
    counts = Counter()
    manager = make(count=lambda name, by=1, reason=None: counts.update({name: by}))
    for number in (1, 2):
        admit(manager, number, origin='prefetch')
    assert manager.touch(entry_of(manager.store, 1)) and not manager.touch(entry_of(manager.store, 1))
    evict_next(manager)
    assert cached(manager.store) == [1]
    evict_next(manager)
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
    manager = fill(make, store)
    broken(0)
    assert admit(manager, 9)
    assert manager.inventory.total == 5 * UNIT and list(manager.inventory.stuck) == [entry_of(store, 0)]
    manager.upkeep()
    assert len([said for said in manager._logger.said if 'cannot be removed' in said]) == 1
    broken.mend()
    assert cached(store) == [0, 6, 7, 8, 9]
    manager.upkeep()
    assert cached(store) == [6, 7, 8, 9] and not manager.inventory.stuck


def test_what_cannot_be_forgotten_stays_counted_and_goes_later(make, store, broken):
    manager = make()
    admit(manager, 1)
    broken(1)
    assert manager.purge('AUTH_test', 'c', object='o1') == 0
    assert (manager.inventory.total, list(manager.inventory.stuck)) == (UNIT, [entry_of(store, 1)])
    broken.mend()
    manager.upkeep()
    assert cached(store) == [] and not manager.inventory.stuck


def test_what_took_the_place_of_what_could_not_be_unlinked_is_not_unlinked(make, store, broken):
    manager = fill(make, store)
    broken(0)
    admit(manager, 9)
    broken.mend()
    assert admit(manager, 0, timestamp='1800000001.00000')
    manager.upkeep()
    assert 0 in cached(store) and not manager.inventory.stuck


# while the folder is read

def left_by_another(store, count=20, size=100 * UNIT):
    """What an earlier process left; the later its number, the later it was used."""
    manager = make_manager(store, size)
    for number in range(count):
        assert admit(manager, number)
        used(store, number, 1000 + number)


def begun(make, steps=0, size=100 * UNIT, **more):
    """A manager that took so many steps towards a whole inventory."""
    manager = make(size, whole=False, **more)
    for _ in range(steps):
        assert manager.rebuild_step()
    return manager


STEPS = pytest.mark.parametrize('steps', [0, 1, 100, FOLDERS, FOLDERS + 1])


@STEPS
def test_nothing_is_admitted_before_all_is_known(make, store, steps):
    left_by_another(store)
    manager, name = begun(make, steps), spool(store, BODY, name=name_of(30))
    with pytest.raises(AssertionError):
        manager.admit(name)
    assert not manager.is_whole and cached(store, 31) == list(range(20)) and store.is_in_spool(name)
    manager.load()
    assert manager.is_whole and manager.admit(name)


@STEPS
def test_what_is_there_is_known_by_its_file_before_all_is(make, store, steps):
    left_by_another(store)
    manager = begun(make, steps)
    assert manager.has(entry_of(store, 5)) and not manager.has(entry_of(store, 30))


@STEPS
def test_what_is_purged_meanwhile_is_gone_at_once_and_does_not_come_back(make, store, steps):
    left_by_another(store)
    manager = begun(make, steps)
    assert manager.purge('AUTH_test', 'c', object='o1') == 1
    assert cached(store) == [0, *range(2, 20)] and not manager.has(entry_of(store, 1))
    assert manager.load() == 19 and manager.inventory.total == 19 * UNIT


@STEPS
def test_what_was_purged_meanwhile_comes_again_when_all_is_known(make, store, steps):
    left_by_another(store, 3)
    manager = begun(make, steps)
    manager.purge('AUTH_test', 'c', object='o1')
    manager.load()
    assert admit(manager, 1) and numbers_in_order(manager) == [0, 2, 1]


def test_what_is_purged_while_its_folder_is_read_does_not_come_back(make, store):
    left_by_another(store)

    def execute(call, *args):
        found = call(*args)
        if call is read_folder and args[0] == path_of(store, 1).parent:
            manager.purge('AUTH_test', 'c', object='o1')
        return found

    manager = begun(make, execute=execute)
    assert manager.load() == 19


class BadDisk:
    """Runs blocking calls, of which those that read these folders fail."""

    def __init__(self, *folders):
        self.folders = folders

    def __call__(self, call, *args):
        if call is read_folder and args[0] in self.folders:
            raise OSError(errno.EIO, 'Input/output error')
        return call(*args)


def rebuild_often(manager, times=2 * FOLDERS):
    for _ in range(times):
        with suppress(OSError):
            manager.rebuild_step()


def test_a_folder_that_can_never_be_read_is_left_out_in_the_end(store):
    left_by_another(store)
    bad = path_of(store, 1).parent
    manager = begun(partial(make_manager, store), execute=BadDisk(bad))
    rebuild_often(manager)
    readable = [number for number in range(20) if path_of(store, number).parent != bad]
    assert manager.is_whole and manager.failing_folders() == 1
    assert manager.inventory.entries == len(readable) and admit(manager, readable[0])


def test_a_folder_that_can_be_read_again_is_not_left_out(make, store):
    left_by_another(store)
    disk = BadDisk(path_of(store, 1).parent)
    manager = begun(make, execute=disk)
    rebuild_often(manager, FOLDERS + 5)
    assert not manager.is_whole and manager.failing_folders() == 1
    disk.folders = ()
    assert manager.load() == 20 and manager.failing_folders() == 0


def test_a_disk_that_is_away_leaves_nothing_out(make, store):
    left_by_another(store)
    disk = BadDisk(*store.layout.objects.iterdir())
    manager = begun(make, execute=disk)
    rebuild_often(manager, 40 * FOLDERS)
    assert not manager.is_whole
    disk.folders = ()
    assert manager.load() == 20 and manager.failing_folders() == 0


@STEPS
def test_what_is_purged_meanwhile_by_its_container_goes_whole(make, store, steps):
    left_by_another(store)
    manager = begun(make, steps)
    assert manager.purge('AUTH_test', 'c', prefix='o1') == 11
    assert manager.load() == 9


@STEPS
def test_what_cannot_be_purged_meanwhile_is_counted_once_and_goes_later(make, store, broken, steps):
    left_by_another(store, 10)
    manager = begun(make, steps)
    folder = path_of(store, 1).parent
    broken(1)
    assert manager.purge('AUTH_test', 'c', object='o1') == 0
    broken.mend()
    manager.upkeep()
    assert manager.load() == 10 and manager.inventory.total == 10 * UNIT
    manager.upkeep()
    assert cached(store) == [0, *range(2, 10)] and folder.is_dir() and not manager.inventory.stuck


@STEPS
def test_what_is_read_meanwhile_goes_last(make, store, steps):
    left_by_another(store)
    manager = begun(make, steps)
    for number in (3, 1):
        manager.touch(entry_of(store, number))
    manager.load()
    assert numbers_in_order(manager) == [0, 2, *range(4, 20), 3, 1]


@STEPS
def test_a_cache_that_is_too_large_already_does_not_grow_meanwhile(make, store, steps):
    left_by_another(store, 60)
    manager = begun(make, steps, 10 * UNIT, high=100, low=50)
    manager.upkeep()
    assert disk_bytes(store) == 60 * UNIT
    manager.load()
    assert cached(store, 100) == [55, 56, 57, 58, 59] and admit(manager, 100)


def test_nothing_is_evicted_for_a_full_disk_while_it_is_not_known_what_is_old(make, store):
    left_by_another(store)
    assert not begun(make, 100, floor=100).keep_free() and len(cached(store)) == 20


def test_what_was_found_is_counted_as_it_is_found(make, store):
    left_by_another(store)
    manager = begun(make, 100)
    assert 0 < manager.inventory.entries < 20 and manager.inventory.total == manager.inventory.entries * UNIT
    assert manager.rebuilt() == 100 / FOLDERS


@pytest.mark.parametrize('eviction', POLICIES)
def test_a_restart_takes_over_in_the_order_of_the_files_times_in_any_order(make, store, eviction):
    left_by_another(store, 10)
    used(store, 4, 999)
    manager = make(100 * UNIT, rules=(eviction, 'all'))
    assert numbers_in_order(manager) == [4, 0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_what_is_larger_than_may_be_goes_first_whatever_its_age(make, store):
    manager = make(100 * UNIT)
    for number in range(4):
        assert admit(manager, number, bytes(60_000) if number == 3 else BODY)
    assert make(8 * UNIT, 80, 60).load() == 3 and cached(store) == [0, 1, 2]


def test_a_time_to_come_counts_as_now(store):
    assert admit(make_manager(store), 0)
    used(store, 0, NOW + 10**6)
    found, _ = read_folder(path_of(store, 0).parent, NOW)
    assert found == [(NOW, bytes.fromhex(entry_of(store, 0)), UNIT)]


def test_foreign_files_are_left_and_told_once(make, store):
    strange = [store.layout.objects / '00' / 'notes.txt', store.layout.objects / 'ff' / ('0' * 48),
               store.layout.objects / 'other']
    for path in strange:
        path.write_text('x')
    manager = make(high=100, low=0)
    assert manager.inventory.total == manager.inventory.entries == 0
    assert len([said for said in manager._logger.said if said.startswith('2 files in ')]) == 1
    for path in strange:
        path.unlink()


def test_a_folder_that_cannot_be_read_is_tried_again_after_the_others(make, store, broken):
    left_by_another(store, 3)
    manager = begun(make)
    folder = path_of(store, 1).parent
    away = folder.rename(folder.with_name('away'))
    folder.symlink_to(folder)
    with pytest.raises(OSError):
        manager.load()
    with pytest.raises(OSError):
        manager.load()
    assert manager.rebuilt() == (FOLDERS - 1) / FOLDERS and not manager.is_whole
    folder.unlink()
    away.rename(folder)
    assert manager.load() == 3


# admissions at the same time

def test_a_large_file_is_checked_while_others_are_admitted(make, store):
    gate, names = Event(), {}

    def execute(call, *args):
        if args == (names.get('large'),):
            gate.wait()
        return tpool.execute(call, *args)

    manager, pool = make(execute=execute), GreenPool()
    names['large'] = spool(store, BODY, name=name_of(1))
    large = pool.spawn(manager.admit, names['large'])
    assert admit(manager, 2) and cached(store) == [2]
    gate.send()
    assert large.wait() and cached(store) == [1, 2]


def test_a_closed_manager_links_nothing_and_leaves_what_was_captured(make, store):
    manager, name = make(), spool(store, BODY, name=name_of(1))
    manager.close()
    with pytest.raises(Stopped):
        manager.admit(name)
    assert (cached(store), [item.entry_name for item in store.spool_files()]) == ([], [name])


NUMBERS = st.integers(0, 12)
CONTAINERS = st.sampled_from(['c', 'd'])


class AnyOrder(RuleBasedStateMachine):
    """Whatever is done in whatever order, the inventory has exactly what lies in the folder."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.create(self.folder.name)
        self.manager = self.make()

    def make(self, eviction='lru'):
        return make_manager(self.store, 12 * UNIT, 80, 40, rules=(eviction, 'all'))

    def teardown(self):
        self.folder.cleanup()

    @rule(number=NUMBERS, container=CONTAINERS, length=st.integers(0, 150_000), second=st.integers(0, 9),
          origin=st.sampled_from(['read', 'read', 'prefetch']))
    def admit(self, number, container, length, second, origin):
        admit(self.manager, number, bytes(length), container, timestamp=f'179999999{second}.00000', origin=origin)

    @rule(number=NUMBERS, container=CONTAINERS)
    def refuse(self, number, container):
        name = spool(self.store, BODY, name=name_of(number, container))
        os.truncate(self.store.layout.spool / name, 5000)
        assert not self.manager.admit(name)

    @rule(number=NUMBERS, container=CONTAINERS)
    def forget_object(self, number, container):
        self.manager.purge('AUTH_test', container, object=f'o{number}')

    @rule(container=CONTAINERS, prefix=st.sampled_from(['', 'o1', 'o']))
    def forget_container(self, container, prefix):
        self.manager.purge('AUTH_test', container, prefix)

    @rule(number=NUMBERS, container=CONTAINERS)
    def touch(self, number, container):
        self.manager.touch(self.store.naming.entry(name_of(number, container)))

    @rule(eviction=st.sampled_from(list(POLICIES)))
    def restart(self, eviction):
        self.manager = self.make(eviction)

    @invariant()
    def inventory_and_folder_are_one(self):
        inventory = self.manager.inventory
        held = {item.entry_name: item.disk_bytes for item in self.store.linked()}
        assert {name: inventory.size_of(name) for name in in_order(self.manager)} == held
        assert inventory.total == sum(held.values()) <= 0.8 * self.manager.limits.size
        assert list(self.store.spool_files()) == []


AnyOrder.TestCase.settings = tries(15, stateful_step_count=40)
test_any_order_of_operations_keeps_inventory_and_folder_one = AnyOrder.TestCase
