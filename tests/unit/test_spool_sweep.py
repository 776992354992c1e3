"""The spool as the sidecar looks after it."""
import os
import time

import pytest
from helpers.common.builders import ListLogger, spool

from swiftahead.cache import Store
from swiftahead.eviction.admission import SpoolSweep
from swiftahead.sidecar.status.report import SPOOL_LEAST, spool_size


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def watch(store):
    watch = SpoolSweep(store, 20_000, 3600, ListLogger(), lambda: watch.now)
    watch.now = time.time()
    return watch


def test_the_default_is_a_part_of_the_cache_and_not_too_little():
    assert spool_size(100 * 2**30) == 5 * 2**30
    assert spool_size(2**20) == SPOOL_LEAST == 2**30


def test_too_much_is_told_once_until_it_is_less(store, watch):
    names = [spool(store, bytes(9000)) for _ in range(2)]
    for _ in range(2):
        watch.look()
    assert len(watch._logger.said) == 1 and 'more than its 20000' in watch._logger.said[0]
    (store.layout.spool / names[0]).unlink()
    watch.look()
    spool(store, bytes(9000))
    watch.look()
    assert len(watch._logger.said) == 2


@pytest.mark.parametrize('ahead', [-10**6, 10**6, 10**9])
def test_a_file_goes_some_day_whatever_its_time(store, watch, ahead):
    name = spool(store, b'x')
    os.utime(store.layout.spool / name, (watch.now + ahead, watch.now + ahead))
    watch.look()
    watch.now += 3600 + 1
    watch.look()
    assert not store.is_in_spool(name)
