"""F14: the cache folder is taken away, replaced, closed or full while requests run: answers stay right, it is said
once, and the cache is used again as soon as it can be."""
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import pytest
from helpers.common.builders import NOW, link
from helpers.common.faults import PATH, no_fd_left
from helpers.common.mounts import Mount, root_only
from helpers.filter.filtered import Proxy, word
from swift.common.concurrency import spawn

from swiftahead.cache import Stamp, Store
from swiftahead.queues import Admit

BODY = Random(14).randbytes(300_000)
OTHER = PATH + '2'
NOBODY = 65534


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'cache'


@pytest.fixture
def proxy(tmp_path, folder):
    """An object that is a hit, and one that is not."""
    store = Store.create(folder)
    proxy = Proxy(folder, tmp_path / 'queue.db')
    proxy.runtime.clock = lambda: NOW + 1
    for path in (PATH, OTHER):
        proxy.swift.put(path, BODY)
    link(store, BODY, Stamp('', NOW))
    assert word(proxy.request()) == 'hit'
    yield proxy
    proxy.close()


def delete(folder):
    shutil.rmtree(folder)


def move_away(folder):
    folder.rename(folder.with_name('moved'))


def replace_by_another(folder):
    move_away(folder)
    Store.create(folder)


def replace_by_one_of_an_older_format(folder):
    move_away(folder)
    shutil.move(Store.create(folder).layout.objects.parent, folder / 'v0')


def replace_by_a_file(folder):
    move_away(folder)
    folder.write_bytes(b'x')


def replace_by_an_empty_folder(folder):
    move_away(folder)
    folder.mkdir(0o700)


def replace_by_a_folder_that_others_may_read(folder):
    replace_by_another(folder)
    folder.chmod(0o755)


def replace_by_a_link_to_nothing(folder):
    move_away(folder)
    folder.symlink_to(folder.with_name('nothing'))


def lose_the_key(folder):
    (folder / 'key').unlink()


def cut_the_key(folder):
    (folder / 'key').write_bytes(b'short')


def lose_the_spool(folder):
    shutil.rmtree(folder / 'v1' / 'spool')


def lose_the_objects(folder):
    shutil.rmtree(folder / 'v1' / 'objects')


HARMS = [delete, move_away, replace_by_another, replace_by_one_of_an_older_format, replace_by_a_file,
         replace_by_an_empty_folder, replace_by_a_folder_that_others_may_read, replace_by_a_link_to_nothing,
         lose_the_key, cut_the_key, lose_the_spool, lose_the_objects]


def make_anew(folder):
    """As the sidecar does at its next start, after an operator has cleared up."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
    elif folder.exists():
        shutil.rmtree(folder)
    return Store.create(folder)


def assert_right(proxy, times=3):
    """Hits and misses, before and after the filter looks again."""
    for _ in range(times):
        assert [proxy.request(path=path).body for path in (PATH, OTHER)] == [BODY, BODY]
        assert proxy.request('HEAD').content_length == len(BODY)
        # half of what happens does so before a second is over
        proxy.runtime._look_at = proxy.runtime.spool._room_at = 0.0
    proxy.settle()


@pytest.mark.holds('F14')
@pytest.mark.parametrize('harm', HARMS)
def test_the_folder_is_harmed_and_made_anew(proxy, folder, harm):
    with no_fd_left(folder.parent / 'moved'), no_fd_left(folder):
        harm(folder)
        assert_right(proxy, 10)
    # one line of the folder, and one where a miss was to be captured into it just then
    assert len(proxy.log.errors) == len(set(proxy.log.errors)) <= 2
    proxy.records(Admit)
    store = make_anew(folder)
    proxy.look_again()
    proxy.log.errors.clear()
    assert word(proxy.request()) == 'fwd=miss; stored'
    fill, = proxy.records(Admit)
    store.admit(fill.spool_name)
    assert (proxy.request().body, word(proxy.request()), proxy.log.errors) == (BODY, 'hit', [])


@pytest.mark.holds('F14')
@pytest.mark.parametrize('harm', HARMS)
def test_the_folder_is_harmed_during_a_fill_and_a_hit(proxy, folder, harm):
    """What is open stays so: both go on."""
    hit, miss = proxy.begin(), proxy.begin(path=OTHER)
    parts = iter(miss.app_iter)
    got = next(parts)
    harm(folder)
    assert b''.join(hit.app_iter) == BODY and got + b''.join(parts) == BODY
    for resp in (hit, miss):
        resp.app_iter.close()
    proxy.settle()
    assert_right(proxy, 1)


@pytest.mark.holds('F14')
def test_entries_of_another_key_are_never_mixed_up(proxy, folder):
    """A folder that was put in the place of ours, with its entries, before the filter looks again."""
    aside = folder.with_name('aside')
    link(Store.create(aside), b'old' * 100, Stamp('', NOW), timestamp='1000000000.00000')
    proxy.runtime._look_at = math.inf
    move_away(folder)
    aside.rename(folder)
    assert proxy.request().body == BODY
    proxy.settle()
    for record in proxy.records(Admit):
        Store.open(folder).admit(record.spool_name)
    assert list(Store.open(folder).check()) == []


@pytest.mark.holds('F14')
def test_the_same_folder_comes_back_with_what_was_in_it(proxy, folder):
    move_away(folder)
    assert_right(proxy)
    (folder.parent / 'moved').rename(folder)
    proxy.look_again()
    assert word(proxy.request()) == 'hit'


@pytest.mark.holds('F14')
def test_it_is_said_again_when_it_happens_again(proxy, folder):
    for _ in range(2):
        proxy.log.errors.clear()
        move_away(folder)
        proxy.look_again()
        assert_right(proxy)
        assert len(proxy.log.errors) == 1 and 'the sidecar makes the folder' in proxy.log.errors[0]
        (folder.parent / 'moved').rename(folder)
        proxy.look_again()
        assert_right(proxy)


@pytest.mark.holds('F14')
def test_many_requests_while_the_folder_goes_and_comes(proxy, folder):
    def read(_):
        return proxy.request(path=PATH).body == BODY

    readers = []
    for turn in range(20):
        readers += [spawn(read, n) for n in range(5)]
        if turn % 2:
            (folder.parent / 'moved').rename(folder)
        else:
            folder.rename(folder.parent / 'moved')
        proxy.look_again()
        assert proxy.request().body == BODY
    assert all(reader.wait() for reader in readers)


@pytest.mark.holds('F14')
@root_only
def test_the_folder_is_moved_to_a_full_disk(proxy, folder, tmp_path):
    """A file system is mounted over it, takes the folder's place whole, and is full."""
    with Mount(folder, 'size=2m'):
        store = Store.create(folder)
        with pytest.raises(OSError, match='No space left'), open(folder / 'ballast', 'wb', buffering=0) as file:
            while file.write(bytes(2**16)):
                pass
        proxy.look_again()
        assert_right(proxy, 5)
        assert len(proxy.log.errors) <= 1
        (folder / 'ballast').unlink()
        proxy.look_again()
        assert word(proxy.request()) == 'fwd=miss; stored'
        store.admit(proxy.records(Admit)[-1].spool_name)
        assert word(proxy.request()) == 'hit'


# root may read everything, so this is done as somebody else, in a process of its own

CLOSED = ['cache', 'cache/key', 'cache/v1', 'cache/v1/objects', 'cache/v1/spool']


@pytest.fixture
def nobodys():
    """A folder of nobody's, where root runs this; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix='swiftahead-'))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    subprocess.run(['chmod', '-R', 'u+rwX', folder], check=True)
    shutil.rmtree(folder)


@pytest.mark.holds('F14')
@pytest.mark.parametrize('closed', CLOSED)
def test_a_folder_without_any_rights(nobodys, closed):
    done = subprocess.run([sys.executable, '-W', 'ignore', __file__, nobodys, closed], capture_output=True,
                          text=True, timeout=60, env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert (done.stdout.split(), done.returncode) == (['right', 'hit'], 0), done.stderr


def without_rights(base, closed):
    """Run in a process of its own."""
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    store = Store.create(base / 'cache')
    proxy = Proxy(base / 'cache', base / 'queue.db')
    proxy.runtime.clock = lambda: NOW + 1
    for path in (PATH, OTHER):
        proxy.swift.put(path, BODY)
    link(store, BODY, Stamp('', NOW))
    assert word(proxy.request()) == 'hit'
    (base / closed).chmod(0)
    assert_right(proxy, 5)
    assert len(proxy.log.errors) == len(set(proxy.log.errors)) <= 2, proxy.log.errors
    (base / closed).chmod(0o700)
    proxy.look_again()
    print('right', word(proxy.request()))
    proxy.close()


if __name__ == '__main__':
    without_rights(Path(sys.argv[1]), sys.argv[2])
