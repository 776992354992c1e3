"""F2, with the real thing: disks that are full, have no inodes left or become read-only, and a process that has no
file descriptors left."""
import errno
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from helpers.common.builders import link
from helpers.common.faults import PATH
from helpers.common.mounts import Mount, root_only
from helpers.filter.filtered import Proxy, tell, word
from swift.common.concurrency import sleep

from swiftahead.cache import Stamp, Store, Unavailable
from swiftahead.queues import Admit

BODY = Random(2).randbytes(400_000)


@pytest.fixture
def mount(tmp_path):
    made = []

    def mount(options):
        made.append(Mount(tmp_path / 'mount', options))
        return made[-1]

    yield mount
    for mounted in made:
        mounted.unmount()


@pytest.fixture
def on(tmp_path):
    """A proxy on a mounted folder, and one object."""
    made = []

    def on(mounted, **told):
        store = Store.create(mounted.folder)
        tell(mounted.folder, **told)
        made.append(Proxy(mounted.folder, tmp_path / 'queue.db'))
        made[-1].swift.put(PATH, BODY)
        return made[-1], store

    yield on
    for proxy in made:
        proxy.close()


def leave_room(folder, length):
    """Fill a file system until so many bytes are left."""
    with open(folder / 'ballast', 'wb') as file:
        status = os.statvfs(folder)
        file.write(bytes(status.f_bavail * status.f_frsize - length))


@pytest.mark.holds('F2')
@root_only
@pytest.mark.parametrize('room', [0, 4096, 100_000, 390_000])
def test_a_disk_that_is_really_full(mount, on, room):
    """With no free-space floor that would have stopped the capture before."""
    mounted = mount('size=1m')
    proxy, store = on(mounted, free_space=0)
    assert proxy.request().body == BODY
    store.admit(proxy.records(Admit)[0].spool_name)
    proxy.swift.put(PATH + '2', BODY[::-1])
    leave_room(mounted.folder, room)
    assert proxy.runtime.spool.reserve(store, 0)
    # as if the disk had filled up just after it was measured
    proxy.runtime.spool._room = 2**30
    assert proxy.request(path=PATH + '2').body == BODY[::-1]
    proxy.settle()
    assert proxy.errors == ['errors.capture'] and len(proxy.log.errors) == 1
    assert 'No space left' in proxy.log.errors[0] and list(store.spool_files()) == []
    assert (proxy.request().body, word(proxy.request())) == (BODY, 'hit')
    (mounted.folder / 'ballast').unlink()
    proxy.look_again()
    assert word(proxy.request(path=PATH + '2')) == 'fwd=miss; stored'


@pytest.mark.holds('F2')
@root_only
def test_a_disk_below_the_floor_takes_no_captures(mount, on):
    mounted = mount('size=1m')
    proxy, _ = on(mounted, free_space=50)
    leave_room(mounted.folder, 450_000)
    assert (proxy.request().body, word(proxy.request())) == (BODY, 'fwd=miss')
    assert proxy.log.errors == []


@pytest.mark.holds('F2')
@root_only
def test_a_disk_without_inodes(mount, on):
    mounted = mount('size=2m,nr_inodes=270')
    proxy, store = on(mounted, free_space=0)
    number = 0
    with pytest.raises(OSError, match='No space left'):
        while True:
            (mounted.folder / f'ballast{number}').touch()
            number += 1
    assert (proxy.request().body, proxy.errors) == (BODY, ['errors.capture'])
    (mounted.folder / 'ballast0').unlink()
    proxy.look_again()
    again = proxy.request()
    assert (again.body, word(again)) == (BODY, 'fwd=miss; stored')


@pytest.mark.holds('F2')
@root_only
def test_a_folder_cannot_be_made_without_inodes(mount):
    with pytest.raises(Unavailable, match='No space left'):
        Store.create(mount('size=1m,nr_inodes=20').folder)


@pytest.mark.holds('F2')
@root_only
def test_a_disk_that_has_become_read_only(mount, on):
    mounted = mount('size=2m')
    proxy, store = on(mounted)
    proxy.swift.put(PATH + '2', BODY[::-1])
    assert proxy.request().body == BODY
    linked = store.admit(proxy.records(Admit)[0].spool_name)
    os.utime(store.layout.entry(linked.entry_name), (1000, 1000))
    mounted.remount('ro')
    assert [word(proxy.request()) for _ in range(2)] == ['hit', 'hit']
    assert proxy.request(path=PATH + '2').body == BODY[::-1]
    assert sorted(proxy.errors) == ['errors.capture', *['errors.stamp'] * 2]
    assert len(proxy.log.errors) == 2
    mounted.remount('rw')
    proxy.look_again()
    assert word(proxy.request(path=PATH + '2')) == 'fwd=miss; stored'


@pytest.mark.holds('F2')
@pytest.mark.parametrize('when, said', [('later', 'hit right 1 hit right written'),
                                        ('first', 'None right 1 hit right written')])
def test_a_process_without_file_descriptors(tmp_path, when, said):
    """Its limit is reached for real, in a process of its own; then descriptors are free again."""
    done = subprocess.run([sys.executable, '-W', 'ignore', __file__, tmp_path, when], timeout=60, text=True,
                          capture_output=True, env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert (done.stdout.split(), done.returncode) == (said.split(), 0), done.stderr


def without_descriptors(folder, when):
    """Run in a process of its own: tells what became of the requests before, while and after there are none."""
    store = Store.create(folder / 'cache')
    link(store, BODY, Stamp('', time.time()))
    proxy = Proxy(folder / 'cache', folder / 'queue.db', begin=False)
    proxy.swift.put(PATH, BODY)
    if when == 'later':
        print(word(proxy.ready().request()))
        proxy.flush()
    # a server has its hub by then
    sleep()
    taken = take_all_descriptors()
    answers = [proxy.request() for _ in range(10)]
    if when == 'first':
        print(word(answers[-1]))
    print('right' if all(resp.body == BODY for resp in answers) else 'wrong')
    print(len(proxy.log.errors))
    for descriptor in taken:
        os.close(descriptor)
    proxy.app._retry_at = 0.0
    proxy.ready().look_again()
    again = proxy.request()
    print(word(again), 'right' if again.body == BODY else 'wrong')
    print('written' if proxy.records(object) else 'lost')
    proxy.close()


def take_all_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    taken = []
    try:
        while True:
            taken.append(os.open('/dev/null', os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    return taken


if __name__ == '__main__':
    without_descriptors(Path(sys.argv[1]), sys.argv[2])
