"""F10: a queue that is locked, full, read-only, or out of anything: each call ends within its bound, nothing
is half written, the file stays where it is, and all is well when the fault is over."""
import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from helpers.common.builders import ListLogger
from helpers.common.mounts import Mount
from helpers.queue.queue_contract import ALL_KINDS, MISPLACED, WARM, accesses, leased

from swiftahead.queues import QueueError, open_queue

WAIT = 0.3
# what the machine may take beside the wait
SLACK = 5.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def queue(folder):
    queue = open_queue(f'sqlite:{folder}/queue.db', logger=ListLogger(), wait=WAIT)
    yield queue
    queue.close()


@contextlib.contextmanager
def refused(match=None, within=WAIT + SLACK):
    """QueueError, within the bound."""
    began = time.monotonic()
    with pytest.raises(QueueError, match=match):
        yield
    assert time.monotonic() - began < within


def is_whole(queue):
    """One file, nothing set aside."""
    names = {path.name for path in queue.path.parent.glob('queue.db*')}
    with contextlib.closing(sqlite3.connect(queue.path)) as db:
        check = db.execute('PRAGMA integrity_check').fetchall()
    return names <= {f'queue.db{suffix}' for suffix in ('', '-wal', '-shm', '.lock')} and check == [('ok',)]


# locked by another process

LOCKER = """
import fcntl, sqlite3, sys
path, how = sys.argv[1:]
if how == 'turn':
    file = open(path + '.lock')
    fcntl.flock(file, fcntl.LOCK_EX)
else:
    db = sqlite3.connect(path, isolation_level=None)
    if how == 'alone':
        db.execute('PRAGMA locking_mode = EXCLUSIVE')
    db.execute('BEGIN IMMEDIATE')
    db.execute("INSERT INTO counters VALUES ('x', 1)")
print('locked', flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(path, how):
    """By a process that is then stopped, as one whose disk hangs."""
    with subprocess.Popen([sys.executable, '-c', LOCKER, str(path), how], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as locker:
        try:
            assert locker.stdout.readline() == 'locked\n'
            os.kill(locker.pid, signal.SIGSTOP)
            yield
        finally:
            locker.kill()


@pytest.mark.holds('F10')
@pytest.mark.parametrize('is_open', [True, False])
@pytest.mark.parametrize('how', ['transaction', 'alone', 'turn'])
def test_queue_locked_by_another_process(queue, how, is_open):
    queue.put([MISPLACED])
    if not is_open or how == 'alone':
        queue.close()
    with locked(queue.path, how), contextlib.ExitStack() as stack:
        if not (how == 'turn' and is_open):
            stack.enter_context(refused('lock'))
        queue.put([WARM])
    queue.put([WARM])
    assert set(leased(queue)) == {MISPLACED, WARM}
    assert is_whole(queue)


@pytest.mark.holds('F10')
def test_a_locked_queue_can_be_looked_at(queue):
    queue.put([MISPLACED])
    with locked(queue.path, 'transaction'):
        assert queue.depth() == {'Misplaced': 1, 'dead': 0, 'dropped': 0}


# a full disk

@pytest.fixture
def mount(tmp_path):
    """A file system of 512 KiB."""
    with Mount(tmp_path, 'size=512k') as mount:
        yield mount


@pytest.fixture
def disk(mount):
    return mount.folder


def put_until_refused(queue):
    """How many puts of 11 records were taken, one after the other."""
    taken = 0
    with refused(within=60):
        while True:
            began = time.monotonic()
            queue.put([*accesses(0, 10), MISPLACED])
            taken += 1
            assert taken < 10_000 and time.monotonic() - began < WAIT + SLACK
    return taken


@pytest.mark.holds('F10')
def test_queue_on_a_full_disk(mount, queue):
    taken = put_until_refused(queue)
    assert taken > 0
    with refused('full|I/O'):
        queue.put([MISPLACED] * 100)
    with contextlib.suppress(QueueError):
        queue.depth()
    mount.remount('size=4m')
    assert queue.depth() == {'Access': 10 * taken, 'Misplaced': taken, 'dead': 0, 'dropped': 0}
    queue.put([WARM])
    assert leased(queue, kinds=['Warm']) == [WARM]
    assert is_whole(queue)


@pytest.mark.holds('F10')
def test_queue_begun_on_a_full_disk(disk, queue):
    (disk / 'ballast').write_bytes(bytes(500 * 1024))
    with refused():
        queue.put([WARM])
    (disk / 'ballast').unlink()
    queue.put([WARM])
    assert leased(queue) == [WARM]
    assert is_whole(queue)


@pytest.mark.holds('F10')
def test_queue_on_a_disk_that_fills_at_any_moment_of_its_beginning(disk, tmp_path):
    """At each number of free pages there are all tables afterwards, or none."""
    for pages in range(40):
        folder = disk / str(pages)
        folder.mkdir()
        free = os.statvfs(disk).f_bavail
        (disk / 'ballast').write_bytes(bytes(4096 * max(free - pages, 0)))
        queue = open_queue(f'sqlite:{folder}/queue.db', logger=ListLogger(), wait=WAIT)
        with contextlib.suppress(QueueError):
            queue.put([MISPLACED])
        (disk / 'ballast').unlink()
        queue.put([WARM])
        assert leased(queue, kinds=['Warm']) == [WARM]
        assert is_whole(queue)
        queue.close()
        subprocess.run(['rm', '-r', str(folder)], check=True)


@contextlib.contextmanager
def limited(what, most):
    """This process, by the kernel."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@pytest.mark.holds('F10')
def test_queue_whose_file_may_not_grow(queue):
    queue.put([MISPLACED])
    with limited(resource.RLIMIT_FSIZE, 200 * 1024):
        # what is closed after the first refusal is written back, and frees the -wal
        taken = put_until_refused(queue) + put_until_refused(queue)
    assert queue.depth()['Misplaced'] == taken + 1 > 1
    queue.put([WARM])
    assert is_whole(queue)


# read-only, out of files

KILLED = """
import os, signal, sys
from swiftahead.queues import Misplaced, open_queue
queue = open_queue(f'sqlite:{sys.argv[1]}')
queue.put([Misplaced('AUTH_a', 'c', 'o', 1, '1700000000.00000')])
os.kill(os.getpid(), signal.SIGKILL)
"""

@pytest.mark.holds('F10')
@pytest.mark.parametrize('closed', [True, False])
def test_queue_on_a_disk_that_is_read_only(mount, queue, closed):
    """:param closed: or left by a killed process, with its -wal and -shm"""
    subprocess.run([sys.executable, '-c', KILLED, str(queue.path)], check=False)
    assert (mount.folder / 'queue.db-wal').exists()
    if closed:
        queue.depth()
        queue.close()
    mount.remount('ro')
    for _ in range(2):
        with refused():
            queue.put([WARM])
    mount.remount('rw')
    queue.put([WARM])
    assert set(leased(queue)) == {MISPLACED, WARM}
    assert is_whole(queue)


@contextlib.contextmanager
def descriptors(free):
    """So many can still be opened."""
    taken = []
    # above what other tests have left open for the collector of garbage
    highest = max(map(int, os.listdir('/proc/self/fd')))
    with limited(resource.RLIMIT_NOFILE, highest + 32):
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open('/dev/null', os.O_RDONLY))
        try:
            for _ in range(free):
                os.close(taken.pop())
            yield
        finally:
            for number in taken:
                os.close(number)


@pytest.mark.holds('F10')
@pytest.mark.parametrize('free', range(4))
def test_queue_without_file_descriptors(queue, free):
    queue.put([MISPLACED])
    queue.close()
    with descriptors(free), refused():
        queue.put([MISPLACED])
    queue.put([WARM])
    assert set(leased(queue)) == {MISPLACED, WARM}
    assert is_whole(queue)


@pytest.mark.holds('F10')
def test_queue_in_a_folder_that_is_removed_and_comes_back(folder, queue):
    queue.put([MISPLACED])
    folder.rename(f'{folder}-away')
    for _ in range(2):
        with refused():
            queue.put([WARM])
    os.rename(f'{folder}-away', folder)
    queue.put([WARM])
    assert leased(queue, kinds=ALL_KINDS) == [MISPLACED, WARM]
