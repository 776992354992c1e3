"""Several processes that meet a file which cannot be used, and one that is killed while it sets it aside."""
import contextlib
import os
import signal
import subprocess
import sys

import pytest
from helpers.common.builders import ListLogger
from helpers.queue.queue_contract import ADMIT, ALL_KINDS, MISPLACED, leased
from helpers.queue.queue_files import asides, fill, in_child, sql

from swiftahead.queues import open_queue

PUTTER = """
import sys, time
from swiftahead.queues import Admit, QueueError, open_queue
print('ready', flush=True)
sys.stdin.readline()
queue = open_queue(sys.argv[1], wait=30)
queue.put([Admit(sys.argv[2])])
"""


@pytest.mark.parametrize('statement', ['PRAGMA user_version = 99', 'DROP TABLE dead'])
def test_one_of_several_processes_sets_it_aside(tmp_path, statement):
    path = tmp_path / 'queue.db'
    fill(path)
    sql(path, statement)
    crew = [subprocess.Popen([sys.executable, '-c', PUTTER, f'sqlite:{path}', str(number)], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for number in range(5)]
    try:
        assert [process.stdout.readline() for process in crew] == ['ready\n'] * 5
        for process in crew:
            process.stdin.write('\n')
            process.stdin.flush()
        said = [process.communicate(timeout=60)[1] for process in crew]
    finally:
        for process in crew:
            process.kill()
            process.communicate()
    assert sum(text.count('cannot be used') for text in said) == len(asides(path)) == 1
    queue = open_queue(f'sqlite:{path}')
    assert sorted(record.spool_name for record in leased(queue)) == list('01234')
    queue.close()


# a process that is killed at any step of it

def put_and_stay(path, ready):
    """A newer version's worker that goes on: its records lie in the -wal, since nobody closes the file last."""
    queue = open_queue(f'sqlite:{path}')
    queue.put([MISPLACED])
    with queue._file.transaction() as db:
        db.execute('PRAGMA user_version = 99')
    os.write(ready, b'y')
    signal.pause()


@contextlib.contextmanager
def newer_worker(path):
    heard, ready = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            put_and_stay(path, ready)
        os._exit(1)
    os.close(ready)
    try:
        assert os.read(heard, 1) == b'y'
        yield
    finally:
        os.close(heard)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def put_and_be_killed(path, step):
    """Killed at that call of the system that names the queue, or a connection."""
    left = step

    def count(event, args):
        nonlocal left
        if event.split('.')[0] in ('os', 'open', 'sqlite3') and 'queue.db' in str(args):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    queue = open_queue(f'sqlite:{path}', logger=ListLogger())
    queue.put([ADMIT])


def test_a_kill_at_any_step_of_setting_aside_leaves_both_files_whole(tmp_path):
    status, step = signal.SIGKILL, 0
    while status == signal.SIGKILL:
        step += 1
        path = tmp_path / f'{step}' / 'queue.db'
        path.parent.mkdir()
        with newer_worker(path):
            status = in_child(put_and_be_killed, path, step)
            queue = open_queue(f'sqlite:{path}', logger=ListLogger())
            queue.put([ADMIT])
            assert set(leased(queue, kinds=ALL_KINDS)) == {ADMIT}
            assert sql(path, 'PRAGMA integrity_check') == [[('ok',)]]
            queue.close()
        aside, = asides(path)
        assert sql(aside, 'SELECT kind FROM records', 'PRAGMA integrity_check') == [[('Misplaced',)], [('ok',)]]
    assert status == 0 and step > 8
