"""The manager on file systems that are really full or read-only. Only root may mount them."""
from contextlib import ExitStack

import pytest
from helpers.cache.cache_managers import UNIT, admit, cached, disk_bytes, entry_of, make_manager
from helpers.common.mounts import Mount, root_only

from swiftahead.cache import Store

pytestmark = root_only
# 100 entries of UNIT are 40 percent of it
SIZE = 2 * 2**20


@pytest.fixture
def mount(tmp_path):
    with Mount(tmp_path / 'mount', f'size={SIZE}') as mounted:
        yield mounted


@pytest.fixture
def store(mount):
    return Store.create(mount.folder)


@pytest.fixture
def clock():
    """A clock that is set by hand."""
    def clock():
        return clock.now

    clock.now = 1000.0
    return clock


@pytest.fixture
def manager(store, clock):
    """With 100 entries; half of the file system is to be free."""
    manager = make_manager(store, SIZE, 100, 100, 50, clock=clock)
    for number in range(100):
        assert admit(manager, number)
    return manager


def write(mount, length):
    (mount.folder / 'ballast').write_bytes(bytes(length))


def said(manager, text):
    return len([line for line in manager._logger.said if text in line])


def test_what_others_write_is_made_room_for_and_no_more(mount, store, manager):
    write(mount, 40 * UNIT)
    assert manager.keep_free() and manager.is_roomy()
    left = cached(store, 100)
    assert 60 <= len(left) < 100 and left == list(range(100 - len(left), 100))
    assert manager.inventory.total == disk_bytes(store)


def test_where_more_is_lacking_than_there_is_nothing_goes(mount, store, manager):
    write(mount, SIZE // 2 - 64 * 1024)
    for number in range(100 - 5):
        manager.purge('AUTH_test', 'c', object=f'o{number}')
    write(mount, SIZE // 2 + 10 * UNIT)
    assert not manager.keep_free() and not admit(manager, 200)
    assert cached(store, 100) == list(range(95, 100))
    assert said(manager, 'nothing is admitted') == 1


def test_eviction_that_does_not_help_ends_and_is_tried_again_later(mount, store, manager, clock):
    # somebody who reads them keeps the bytes of evicted entries on the disk
    with ExitStack() as held:
        for item in store.linked():
            held.enter_context(open(store.layout.entry(item.entry_name), 'rb'))
        write(mount, 40 * UNIT)
        assert not manager.keep_free()
        left = len(cached(store, 100))
        assert 50 < left < 100 and not manager.keep_free() and len(cached(store, 100)) == left
    clock.now += 31
    assert manager.keep_free() and admit(manager, 200)
    assert said(manager, 'nothing is admitted') == said(manager, 'is as free as it should be again') == 1


def test_on_a_disk_that_is_read_only_nothing_is_uncounted_and_nothing_loops(mount, store, manager):
    mount.remount('ro')
    manager._evictor.evict(10 * UNIT)
    assert manager.purge('AUTH_test', 'c', object='o99') == 0
    assert manager.inventory.total == disk_bytes(store) == 100 * UNIT
    mount.remount('rw')
    manager.upkeep()
    assert manager.inventory.total == disk_bytes(store) < 100 * UNIT
    assert entry_of(store, 99) not in manager.inventory
