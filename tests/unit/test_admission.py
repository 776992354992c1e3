"""Which captured misses are kept: with second_hit, those of what was read before."""
import tracemalloc
from collections import Counter

import pytest
from helpers.cache.cache_managers import BODY, UNIT, admit, cached, entry_of, evict_next, make_manager, name_of
from helpers.common.builders import spool

from swiftahead.cache import Store
from swiftahead.eviction.admission import SecondHit, admits_all


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def make(store, counts):
    def make(rule='second_hit'):
        return make_manager(store, rules=('lru', rule),
                            count=lambda name, by=1, reason=None: counts.update({name: by}))
    return make


def test_a_first_read_is_not_kept_and_leaves_nothing_behind(make, store, counts):
    assert not admit(make(), 1)
    assert (cached(store), list(store.spool_files()), counts) == ([], [], {'first_reads': 1})


def test_a_second_read_is_kept(make, store):
    manager = make()
    admit(manager, 1)
    admit(manager, 2)
    assert admit(manager, 1) and cached(store) == [1] and manager.inventory.total == UNIT


@pytest.mark.parametrize('origin', ['prefetch', 'whole', 'warm'])
def test_what_nobody_read_yet_is_kept_where_the_sidecar_brings_it(make, store, origin):
    assert admit(make(), 1, origin=origin) and cached(store) == [1]


def test_what_was_a_hit_was_read_before(make, store):
    manager = make()
    admit(manager, 1, origin='prefetch')
    manager.touch(entry_of(store, 1))
    evict_next(manager)
    assert cached(store) == [] and admit(manager, 1)


def test_what_was_fetched_ahead_and_never_read_was_not(make, store):
    manager = make()
    admit(manager, 1, origin='prefetch')
    evict_next(manager)
    assert not admit(manager, 1)


def test_a_newer_version_of_what_is_here_is_kept(make, store):
    manager = make()
    admit(manager, 1, origin='prefetch')
    assert admit(manager, 1, b'new', timestamp='1800000001.00000')
    with store.entry(name_of(1)) as entry:
        assert entry.meta.body_length == 3


def test_a_damaged_file_is_refused_as_ever(make, store, counts):
    name = spool(store, BODY, name=name_of(1))
    (store.layout.spool / name).write_bytes(b'rubbish')
    assert not make().admit(name) and not make().admit('nothing')
    assert (list(store.spool_files()), counts) == ([], {'refused': 2})


def test_a_spool_name_leads_nowhere_else(make, tmp_path):
    (tmp_path / 'victim').write_bytes(b'x')
    assert not make().admit('../../../victim')
    assert (tmp_path / 'victim').exists()


def test_after_a_restart_all_is_read_for_the_first_time_once_more(make, store):
    admit(make(), 1)
    assert not admit(make(), 1)


# the rules

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
