"""A9: what somebody plants in or beside the cache folder.

A planted entry or spool file has its tests under F4. Here: folders, the files beside the entries, and modes.
"""
import json
import os
from contextlib import suppress

import pytest
from helpers.common.builders import ListLogger, link, meta_for, spool
from helpers.common.faults import alarm
from helpers.queue.queue_contract import ACCESS

from swiftahead.cache import Store, Unavailable, writer
from swiftahead.cache import folder as cache_folder
from swiftahead.conf.names import KEY_BYTES
from swiftahead.eviction.manager import CacheLimits, CacheManager
from swiftahead.metrics.counters import Counters
from swiftahead.metrics.totals import fold, read_all
from swiftahead.queues import QueueError, open_queue
from swiftahead.sidecar.status.report import cache_report, write

root_only = pytest.mark.skipif(os.geteuid() != 0, reason='only root may make this')


@pytest.fixture(autouse=True)
def bounded():
    """Nothing here may wait for a writer that never comes."""
    with alarm(60):
        yield


@pytest.fixture
def folder(tmp_path):
    return Store.create(tmp_path / 'cache').layout.cache_dir


@pytest.fixture
def secret(tmp_path):
    """A file of the same user that has nothing to do with the cache."""
    path = tmp_path / 'secret'
    path.write_bytes(b'x' * KEY_BYTES)
    path.chmod(0o640)
    yield path
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b'x' * KEY_BYTES, 0o640)
    assert (path.stat().st_uid, path.stat().st_nlink) == (os.geteuid(), 1)


def refused(folder):
    """As the filter opens it, and as the sidecar makes it."""
    for use in (Store.open, Store.create):
        with pytest.raises(Unavailable):
            use(folder)


MODES = [0o777, 0o770, 0o722, 0o702, 0o755, 0o710, 0o701]


def mode_of(path):
    return path.stat().st_mode & 0o777


@pytest.mark.holds('A9')
@pytest.mark.parametrize('mode', MODES)
def test_a_folder_that_others_may_enter_is_not_used(folder, mode):
    folder.chmod(mode)
    with pytest.raises(Unavailable, match='mode 0700'):
        Store.open(folder)


@pytest.mark.holds('A9')
@pytest.mark.parametrize('mode', MODES)
def test_an_empty_folder_that_others_may_enter_is_closed_by_the_sidecar(tmp_path, mode):
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache').chmod(mode)
    assert Store.create(tmp_path / 'cache').layout.cache_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.holds('A9')
@pytest.mark.parametrize('mode', MODES)
def test_a_cache_that_others_may_enter_is_closed_where_nothing_in_it_is_theirs(folder, mode):
    names = 'queue.db', 'queue.db-wal', 'sidecar.json', 'lock'
    for name in names:
        (folder / name).touch(0o600)
    before = (folder / 'key').read_bytes()
    folder.chmod(mode)
    Store.create(folder, 'queue.db')
    assert (mode_of(folder), (folder / 'key').read_bytes()) == (0o700, before)


def others_file(folder):
    (folder / 'key').touch()
    os.chown(folder / 'key', 12345, -1)


def file_of_a_home(folder):
    (folder / '.profile').touch()


def queue_of_another_name(folder):
    (folder / 'queue.db').touch()


def link_to_a_key(folder):
    (folder / 'key').symlink_to('/etc/hostname')


def second_name(folder):
    (folder.parent / 'file').touch()
    (folder / 'key').hardlink_to(folder.parent / 'file')


def entries_that_others_may_add(folder):
    (folder / 'v1' / 'objects' / 'a7').mkdir(parents=True)
    (folder / 'v1' / 'objects' / 'a7').chmod(0o777)


def others_spool(folder):
    (folder / 'v1' / 'spool').mkdir(parents=True)
    os.chown(folder / 'v1' / 'spool', 12345, -1)


@pytest.mark.holds('A9')
@pytest.mark.parametrize('mode', [0o755, 0o777])
@pytest.mark.parametrize('put', [
    file_of_a_home, queue_of_another_name, link_to_a_key, second_name, entries_that_others_may_add,
    pytest.param(others_file, marks=root_only), pytest.param(others_spool, marks=root_only)])
def test_a_folder_with_what_may_be_theirs_stays_as_it_is(tmp_path, put, mode):
    folder = tmp_path / 'cache'
    folder.mkdir()
    put(folder)
    folder.chmod(mode)
    before = sorted(folder.rglob('*'))
    for beside in ('', 'other.db'):
        with pytest.raises(Unavailable, match='in it is no part of a cache or may be somebody else\'s'):
            Store.create(folder, beside)
    assert (mode_of(folder), sorted(folder.rglob('*'))) == (mode, before)


@pytest.mark.holds('A9')
def test_what_comes_while_the_folder_is_closed_is_found(folder, monkeypatch):
    """The last moment: somebody is quicker than we."""
    def close(descriptor, mode):
        (folder / 'theirs').touch()
        fchmod(descriptor, mode)

    fchmod = os.fchmod
    folder.chmod(0o777)
    monkeypatch.setattr(cache_folder.os, 'fchmod', close)
    with pytest.raises(Unavailable, match="'theirs' in it"):
        Store.create(folder)
    assert mode_of(folder) == 0o777


@pytest.mark.holds('A9')
def test_a_folder_behind_a_link_is_not_closed(folder, tmp_path):
    folder.chmod(0o755)
    (tmp_path / 'link').symlink_to(folder)
    refused(tmp_path / 'link')
    assert mode_of(folder) == 0o755


@pytest.mark.holds('A9')
@root_only
def test_a_file_system_of_its_own_is_closed(tmp_path):
    (tmp_path / 'lost+found').mkdir(0o700)
    tmp_path.chmod(0o755)
    assert mode_of(Store.create(tmp_path).layout.cache_dir) == 0o700


@pytest.mark.holds('A9')
@root_only
def test_a_folder_of_somebody_else_is_not_used(tmp_path):
    (tmp_path / 'cache').mkdir(0o700)
    os.chown(tmp_path / 'cache', 12345, -1)
    refused(tmp_path / 'cache')
    assert list((tmp_path / 'cache').iterdir()) == []


@pytest.mark.holds('A9')
@pytest.mark.parametrize('name', ['v1', 'v1/objects', 'v1/spool', 'v1/fetching'])
def test_a_link_in_place_of_a_folder_is_not_followed(folder, tmp_path, name):
    (tmp_path / 'elsewhere').mkdir()
    (folder / name).rename(tmp_path / 'before')
    (folder / name).symlink_to(tmp_path / 'elsewhere')
    refused(folder)
    assert list((tmp_path / 'elsewhere').iterdir()) == []


def a_link(path, secret):
    path.symlink_to(secret)


def a_dangling_link(path, secret):
    path.symlink_to(secret.with_name('nothing'))


def a_fifo(path, secret):
    os.mkfifo(path)


def a_folder(path, secret):
    path.mkdir()


def a_device(path, secret):
    os.mknod(path, 0o20600, os.makedev(1, 5))


def writable_by_others(path, secret):
    path.write_bytes(b'{"spool_size": 1}'.ljust(KEY_BYTES))
    path.chmod(0o666)


def another_users(path, secret):
    path.write_bytes(b'{"spool_size": 1}'.ljust(KEY_BYTES))
    os.chown(path, 12345, -1)


PLANTS = [a_link, a_dangling_link, a_fifo, a_folder, pytest.param(a_device, marks=root_only), writable_by_others,
          pytest.param(another_users, marks=root_only)]


@pytest.mark.holds('A9')
@pytest.mark.parametrize('plant', PLANTS)
def test_a_planted_key_is_not_used(folder, secret, plant):
    (folder / 'key').unlink()
    plant(folder / 'key', secret)
    with pytest.raises(Unavailable):
        Store.open(folder)


@pytest.mark.holds('A9')
@pytest.mark.parametrize('size', [0, KEY_BYTES - 1, KEY_BYTES + 1, 2**20])
def test_a_key_of_another_size_is_not_used(folder, size):
    (folder / 'key').write_bytes(b'k' * size)
    refused(folder)


@pytest.mark.holds('A9')
@pytest.mark.parametrize('plant', PLANTS)
def test_a_planted_report_is_none(folder, secret, plant):
    plant(folder / 'sidecar.json', secret)
    assert Store.open(folder).report() == {}


@pytest.mark.holds('A9')
@pytest.mark.parametrize('text', ['[' * 60_000, '{"a":' * 10_000, '1' * 60_000, ' ' * 10**6 + '{}', '\0', '[]'])
def test_a_report_that_is_made_to_hurt_is_none(folder, text):
    (folder / 'sidecar.json').write_text(text)
    assert Store.open(folder).report() == {}


@pytest.mark.holds('A9')
@pytest.mark.parametrize('plant', [a_link, a_dangling_link, a_fifo, a_folder])
def test_a_planted_lock_is_not_followed(folder, secret, plant):
    store = Store.open(folder)
    plant(folder / 'lock', secret)
    with suppress(Unavailable):
        store.lock().close()
    assert not (folder.parent / 'nothing').exists()


@pytest.mark.holds('A9')
@pytest.mark.parametrize('plant', [a_link, a_dangling_link, a_fifo, a_folder, writable_by_others])
@pytest.mark.parametrize('write', [lambda store: spool(store, b'body'), lambda store: store.keep(
    meta_for(b'body'), b'body', None)], ids=['stream', 'small'])
def test_what_lies_at_a_spool_files_name_is_not_written_to(folder, secret, monkeypatch, plant, write):
    """Names are drawn; this one is known beforehand."""
    monkeypatch.setattr(writer.secrets, 'token_hex', lambda n: 'drawn')
    plant(folder / 'v1' / 'spool' / 'drawn', secret)
    with pytest.raises(FileExistsError):
        write(Store.open(folder))


@pytest.mark.holds('A9')
def test_names_in_the_spool_cannot_be_foretold(folder):
    store = Store.open(folder)
    names = {spool(store, b'body') for _ in range(20)}
    assert len(names) == 20 and {len(name) for name in names} == {32}


@pytest.fixture
def manager(folder):
    return CacheManager(Store.open(folder), CacheLimits(2**30, 95, 90, 0), ListLogger())


@pytest.mark.holds('A9')
@pytest.mark.parametrize('name', ['sidecar.json', f'sidecar.json.{os.getpid()}'], ids=['report', 'temporary'])
@pytest.mark.parametrize('plant', [a_link, a_dangling_link, a_fifo])
def test_the_report_is_written_to_no_planted_file(manager, folder, secret, plant, name):
    plant(folder / name, secret)
    write(manager.store.layout.report, cache_report(manager))
    assert Store.open(folder).report()['pid'] == os.getpid()
    assert not (folder.parent / 'nothing').exists()


@pytest.mark.holds('A9')
@pytest.mark.parametrize('plant', [a_link, a_dangling_link, a_fifo, a_folder])
@pytest.mark.parametrize('name', ['queue.db', 'queue.db.lock'])
def test_a_planted_queue_is_not_followed_and_nobody_is_given_it(tmp_path, secret, plant, name):
    """Root's look at the queue gives files to the folder's owner: not what a link leads to."""
    (tmp_path / 'queue').mkdir()
    os.chown(tmp_path / 'queue', *((12345, -1) if os.geteuid() == 0 else (-1, -1)))
    plant(tmp_path / 'queue' / name, secret)
    with pytest.raises(QueueError):
        open_queue(f'sqlite:{tmp_path}/queue/queue.db', wait=0.5).put([ACCESS])
    assert not (tmp_path / 'nothing').exists()


@pytest.mark.holds('A9')
def test_a_hard_link_at_the_queues_place_is_given_to_nobody(tmp_path, secret):
    (tmp_path / 'queue').mkdir()
    (tmp_path / 'queue' / 'queue.db').hardlink_to(secret)
    with pytest.raises(QueueError):
        open_queue(f'sqlite:{tmp_path}/queue/queue.db', wait=0.5).put([ACCESS])
    (tmp_path / 'queue' / 'queue.db').unlink()


@pytest.mark.holds('A9')
@pytest.mark.parametrize('plant', [a_link, a_fifo, a_folder])
def test_planted_totals_are_not_read(tmp_path, secret, plant):
    counters = Counters(tmp_path / 'counters')
    counters.count('hits', 1)
    counters.flush()
    plant(tmp_path / 'counters' / 'total.json', secret)
    for use in (fold, read_all):
        with pytest.raises(OSError):
            use(tmp_path / 'counters')
    counters.close()


@pytest.fixture
def wide_open():
    """As if somebody had started the proxy with this umask."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.holds('A9')
def test_whatever_the_umask_nothing_is_open_to_others(wide_open, tmp_path):
    store = Store.create(tmp_path / 'cache')
    link(store, b'linked')
    spool(store, b'spooled')
    queue = open_queue(f'sqlite:{tmp_path}/cache/queue.db')
    queue.put([ACCESS])
    counters = Counters(tmp_path / 'cache' / 'counters')
    counters.count('hits', 1)
    counters.flush()
    write(store.layout.report, cache_report(CacheManager(store, CacheLimits(2**30, 95, 90, 0), ListLogger())))
    store.lock().close()
    found = {path: path.stat().st_mode & 0o077 for path in (tmp_path / 'cache').rglob('*')}
    assert len(found) > 260 and set(found.values()) == {0}, {path for path, mode in found.items() if mode}
    queue.close()
    counters.close()


@pytest.mark.holds('A9')
def test_a_report_is_json_alone(manager, folder):
    write(manager.store.layout.report, cache_report(manager))
    assert isinstance(json.loads((folder / 'sidecar.json').read_text()), dict)
