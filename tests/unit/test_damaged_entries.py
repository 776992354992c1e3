"""F4: a file that is cut, too long, another's, or no file at all is a miss at once, and nothing is followed."""
import errno
import os
import shutil
import socket
from random import Random

import pytest
from helpers.common.builders import NAME, NOW, link, meta_for, spool
from helpers.common.faults import PATH, alarm, no_fd_left
from helpers.filter.filtered import Proxy, seen

from swiftahead.cache import CacheError, Damaged, Stamp, Store
from swiftahead.cache.entry import BLOCK, JSON_OFFSET, PAGE, STAMP_OFFSET
from swiftahead.conf.names import ObjectName
from swiftahead.queues import Forget

BODY = Random(4).randbytes(2 * BLOCK + 1000)
TABLE = PAGE + len(BODY)
WHOLE = TABLE + 3 * 8
OTHER = ObjectName(NAME.account, NAME.container, 'other')
root_only = pytest.mark.skipif(os.geteuid() != 0, reason='only root may make this')
BOUNDARIES = sorted({max(0, edge + more) for edge in (0, STAMP_OFFSET, JSON_OFFSET, PAGE, PAGE + BLOCK, TABLE,
                                                      TABLE + 8, WHOLE) for more in (-1, 0, 1)} - {WHOLE})


@pytest.fixture(autouse=True)
def bounded():
    """Nothing here may hang, whatever it opens."""
    with alarm(20):
        yield


@pytest.fixture(scope='module')
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('f4')
    Store.create(folder / 'cache')
    proxy = Proxy(folder / 'cache', folder / 'queue.db', capture='off')
    proxy.runtime.clock = lambda: NOW + 10
    proxy.swift.put(PATH, BODY)
    proxy.swift.put('/v1' + OTHER.path, b'x' * len(BODY))
    yield proxy
    proxy.close()


@pytest.fixture
def store(proxy):
    """The cache, which is empty again afterwards."""
    store = proxy.runtime.store()
    yield store
    for path in (*store.layout.objects.glob('*/*'), *store.layout.spool.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture
def path(store):
    """The place of an entry, which is a hit at first."""
    return store.layout.entry(link(store, BODY, Stamp('', NOW)).entry_name)


def assert_a_miss(proxy, path):
    """Swift's answer by one GET, one count, one line, one Forget; the sidecar makes the place free again."""
    plain = proxy.plain()
    proxy.records(Forget)
    proxy.clear()
    with no_fd_left(proxy.folder):
        assert seen(proxy.request()) == seen(plain)
    assert (proxy.asked(), proxy.errors, len(proxy.log.errors)) == (1, ['entries_damaged'], 1)
    assert 'damaged' in proxy.log.errors[0]
    forget, = proxy.records(Forget)
    assert (forget.object, forget.identity) == (NAME.object, '')
    assert proxy.runtime.store().drop(path.name) and not os.path.lexists(path)


@pytest.mark.holds('F4')
def test_the_entry_is_a_hit(proxy, path):
    proxy.swift.requests.clear()
    assert (proxy.request().body, proxy.asked()) == (BODY, 0)


@pytest.mark.holds('F4')
@pytest.mark.parametrize('length', [*BOUNDARIES, WHOLE + PAGE, WHOLE + BLOCK])
def test_cut_or_extended_at_any_boundary(proxy, path, length):
    os.truncate(path, length)
    assert_a_miss(proxy, path)


@pytest.mark.holds('F4')
@pytest.mark.parametrize('length', [0, PAGE, PAGE + BLOCK, WHOLE - 1])
def test_cut_while_it_is_read(proxy, path, length):
    """What was open already ends with what can be checked; the rest comes from the backend."""
    resp = proxy.begin()
    os.truncate(path, length)
    assert b''.join(resp.app_iter) == BODY
    resp.app_iter.close()


@pytest.mark.holds('F4')
def test_swapped_with_another_entry(proxy, path, store):
    other = store.layout.entry(link(store, b'x' * len(BODY), Stamp('', NOW), name=OTHER).entry_name)
    os.rename(path, path.with_name('between'))
    os.rename(other, path)
    os.rename(path.with_name('between'), other)
    assert proxy.request(path='/v1' + OTHER.path).body == b'x' * len(BODY)
    assert_a_miss(proxy, path)


def entry_of_another(store, tmp_path):
    return store.layout.entry(link(store, BODY, Stamp('', NOW), name=OTHER).entry_name)


def own_entry(store, tmp_path):
    shutil.copy2(store.layout.entry(store.naming.entry(NAME)), tmp_path / 'own')
    return tmp_path / 'own'


def secret(store, tmp_path):
    (tmp_path / 'secret').write_bytes(b'secret' * 10_000)
    return tmp_path / 'secret'


def nothing(store, tmp_path):
    return tmp_path / 'nothing'


@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [entry_of_another, own_entry, secret, nothing])
def test_a_link_is_not_followed(proxy, path, store, tmp_path, make):
    target = make(store, tmp_path)
    before = target.read_bytes() if target.exists() else None
    path.unlink()
    path.symlink_to(target)
    assert_a_miss(proxy, path)
    assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [entry_of_another, secret])
def test_a_hard_link_to_another_file_is_no_entry(proxy, path, store, tmp_path, make):
    target = make(store, tmp_path)
    before = target.read_bytes(), target.stat().st_mtime_ns
    path.unlink()
    path.hardlink_to(target)
    assert_a_miss(proxy, path)
    assert (target.read_bytes(), target.stat().st_mtime_ns) == before


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def full_folder(path):
    (path / 'of').mkdir(parents=True)
    (path / 'of' / 'files').write_bytes(b'x')


def unix_socket(path):
    # the path is longer than a socket's may be
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f'/proc/self/fd/{here}/{path.name}')
    os.close(here)


def null_device(path):
    os.mknod(path, 0o20666, os.makedev(1, 3))


def endless_device(path):
    os.mknod(path, 0o20666, os.makedev(1, 5))


@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [fifo, folder, full_folder, unix_socket,
                                  pytest.param(null_device, marks=root_only),
                                  pytest.param(endless_device, marks=root_only)])
def test_what_is_no_file(proxy, path, make):
    path.unlink()
    make(path)
    assert_a_miss(proxy, path)


@pytest.mark.holds('F4')
def test_a_fifo_on_a_disk_that_is_read_only_is_not_waited_for(proxy, path, monkeypatch):
    """It is opened for reading alone then, which would wait for somebody who writes."""
    def read_only(path, flags, *args, **more):
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, 'read-only')
        return opened(path, flags, *args, **more)

    path.unlink()
    fifo(path)
    opened = os.open
    with monkeypatch.context() as patched:
        patched.setattr(os, 'open', read_only)
        assert proxy.request().body == BODY
    proxy.swift.requests.clear()


@pytest.mark.holds('F4')
@root_only
@pytest.mark.parametrize('mode', [0o600, 0o644, 0o666])
def test_a_file_of_another_user(proxy, path, mode):
    os.chown(path, 12345, -1)
    path.chmod(mode)
    assert_a_miss(proxy, path)


# the same in the spool, and for the sidecar

@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [fifo, folder, full_folder, unix_socket,
                                  pytest.param(endless_device, marks=root_only)])
def test_what_is_no_file_in_the_spool_is_not_admitted_and_goes(store, make):
    make(store.layout.spool / 'strange')
    with pytest.raises(Damaged):
        store.admit('strange')
    assert list(store.spool_files()) == []


@pytest.mark.holds('F4')
def test_a_link_in_the_spool_is_not_admitted(store, tmp_path):
    target = tmp_path / 'whole'
    os.rename(store.layout.spool / spool(store, BODY, name=OTHER), target)
    (store.layout.spool / 'link').symlink_to(target)
    with pytest.raises(Damaged):
        store.admit('link')
    assert target.exists() and not store.has(OTHER)


@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [folder, full_folder, fifo, unix_socket])
def test_what_is_admitted_takes_the_place_of_what_is_no_file(store, path, make):
    path.unlink()
    make(path)
    assert link(store, BODY).entry_name == path.name
    with store.entry(NAME) as entry:
        assert b''.join(entry.blocks(0, len(BODY))) == BODY


@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [folder, full_folder, fifo, unix_socket])
def test_check_mends_what_is_no_file(store, path, make):
    path.unlink()
    make(path)
    assert [name for name, _ in store.check(fix=True)] == [path.name]
    assert not os.path.lexists(path) and list(store.check()) == []


@pytest.mark.holds('F4')
@pytest.mark.parametrize('make', [folder, full_folder, fifo, unix_socket])
def test_sweeping_goes_on_after_what_is_no_file(store, make):
    make(store.layout.spool / 'strange')
    spool(store, BODY)
    for item in store.spool_files():
        os.utime(store.layout.spool / item.entry_name, (1000, 1000))
    assert store.sweep_spool(2000) == 2


@pytest.mark.holds('F4')
def test_a_file_beside_the_folders_of_entries_is_let_be(store, path):
    stray = store.layout.objects / 'core'
    stray.write_bytes(b'x')
    assert [item.entry_name for item in store.linked()] == [path.name]
    stray.unlink()


@pytest.mark.holds('F4')
@pytest.mark.parametrize('length', BOUNDARIES)
def test_a_spool_file_cut_at_any_boundary_is_not_admitted(store, length):
    name = spool(store, BODY, name=OTHER)
    os.truncate(store.layout.spool / name, length)
    with pytest.raises(CacheError):
        store.admit(name)
    assert not store.has(OTHER) and list(store.spool_files()) == []


@pytest.mark.holds('F4')
def test_a_spool_file_that_is_not_whole_yet_is_not_admitted(store):
    writer = store.writer(meta_for(BODY, OTHER))
    writer.write(BODY)
    with pytest.raises(Damaged):
        store.admit(writer.name)
    writer.close()
