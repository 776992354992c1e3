"""Which captured misses are kept: with second_hit, those of what was read before."""
from collections import Counter

import pytest
from helpers import spool
from keepers import BODY, UNIT, admit, cached, entry_of, make_keeper, name_of

from swiftahead.cache import Store


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def make(store, counts):
    def make(rule='second_hit'):
        keeper = make_keeper(store, rules=('lru', rule),
                             count=lambda name, by=1, reason=None: counts.update({name: by}))
        keeper.load()
        return keeper
    return make


def test_a_first_read_is_not_kept_and_leaves_nothing_behind(make, store, counts):
    assert not admit(make(), 1)
    assert (cached(store), list(store.spool_files()), counts) == ([], [], {'first_reads': 1})


def test_a_second_read_is_kept(make, store):
    keeper = make()
    admit(keeper, 1)
    admit(keeper, 2)
    assert admit(keeper, 1) and cached(store) == [1] and keeper.holdings.total == UNIT


@pytest.mark.parametrize('origin', ['prefetch', 'whole', 'warm'])
def test_what_nobody_read_yet_is_kept_where_the_sidecar_brings_it(make, store, origin):
    assert admit(make(), 1, origin=origin) and cached(store) == [1]


def test_what_was_a_hit_was_read_before(make, store):
    keeper = make()
    admit(keeper, 1, origin='prefetch')
    keeper.touch(entry_of(store, 1))
    keeper.index.popitem()
    assert cached(store) == [] and admit(keeper, 1)


def test_what_was_fetched_ahead_and_never_read_was_not(make, store):
    keeper = make()
    admit(keeper, 1, origin='prefetch')
    keeper.index.popitem()
    assert not admit(keeper, 1)


def test_a_newer_version_of_what_is_here_is_kept(make, store):
    keeper = make()
    admit(keeper, 1, origin='prefetch')
    assert admit(keeper, 1, b'new', timestamp='1800000001.00000')
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
