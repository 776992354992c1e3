import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from swiftahead.queues import (
    Access,
    Fill,
    Forget,
    Misplaced,
    QueueError,
    SqliteQueue,
    WakeListener,
    Waker,
    Warm,
    decode,
    encode,
)

ACCESS = Access('AUTH_a', 'c', 'o', 'client', 1.0, 10, 'miss')
MISPLACED = Misplaced('AUTH_a', 'c', 'o', 1, '1700000000.00000')
RECORDS = [ACCESS, Warm('AUTH_a', 'c', 'p', 3), Forget('AUTH_a', 'c', object='o'), Fill('file', 2.0), MISPLACED,
           Access('AUTH_a', 'c', 'not utf-8: \udcff', 'client', 1.0)]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(tmp_path, clock):
    queue = SqliteQueue(f'sqlite:{tmp_path}/queue.db', clock=clock)
    yield queue
    queue.close()


def leased(queue, n=10, seconds=60, **more):
    return [item.record for item in queue.lease(n, seconds, **more)]


@pytest.mark.parametrize('record', RECORDS, ids=lambda record: type(record).__name__)
def test_records_survive_their_encoding(record):
    assert decode(*encode(record)) == record


def test_a_record_of_a_later_version_still_decodes():
    assert decode('Fill', '{"spool_name": "x", "at": 1.0, "colour": "red"}') == Fill('x', 1.0)


def test_a_record_of_an_earlier_version_still_decodes():
    assert decode('Fill', '{"spool_name": "x"}') == Fill('x')


@pytest.mark.parametrize('kind, text', [('Else', '{}'), ('Fill', 'x'), ('Fill', '[]'), ('Fill', '{}')])
def test_what_is_no_record_is_refused(kind, text):
    with pytest.raises(ValueError, match='not a record'):
        decode(kind, text)


def test_records_come_in_the_order_they_went(queue):
    records = [replace(ACCESS, object=str(number)) for number in range(5)]
    queue.put(records[:3])
    queue.put(records[3:])
    assert leased(queue, n=4) == records[:4]
    assert leased(queue) == records[4:]


def test_a_leased_record_is_nobody_elses_until_its_lease_runs_out(queue, clock):
    queue.put([ACCESS])
    assert leased(queue, seconds=60) == [ACCESS]
    clock.now += 59
    assert leased(queue) == []
    clock.now += 2
    item, = queue.lease(1, 60)
    assert (item.record, item.tries) == (ACCESS, 1)


def test_what_is_done_does_not_come_back(queue, clock):
    queue.put([ACCESS])
    queue.done([item.id for item in queue.lease(1, 60)])
    clock.now += 1000
    assert leased(queue) == []


def test_what_is_given_back_comes_at_its_time(queue, clock):
    queue.put([ACCESS])
    queue.retry([item.id for item in queue.lease(1, 60)], clock.now + 5)
    assert leased(queue) == []
    clock.now += 5
    assert leased(queue) == [ACCESS]


def test_a_dead_letter_is_kept_and_not_leased(queue, clock):
    queue.put([ACCESS])
    queue.dead([item.id for item in queue.lease(1, 60)], 'broken')
    clock.now += 1000
    assert leased(queue) == []
    assert queue.depth()['dead'] == 1


def test_a_record_that_cannot_be_decoded_is_a_dead_letter(queue):
    queue.put([ACCESS])
    queue.connection().execute("UPDATE records SET body = 'rubbish'")
    assert leased(queue) == []
    assert queue.depth() == {'dead': 1, 'dropped': 0}


def test_kinds_are_leased_apart(queue):
    queue.put([MISPLACED, ACCESS])
    assert leased(queue) == [ACCESS]
    assert leased(queue, kinds=['Misplaced']) == [MISPLACED]


def test_the_oldest_prefetch_records_go_first_and_are_counted(tmp_path):
    queue = SqliteQueue(f'sqlite:{tmp_path}/queue.db', limit=100)
    queue.put([MISPLACED])
    for number in range(150):
        queue.put([replace(ACCESS, object=str(number))])
    depth = queue.depth()
    assert depth['Access'] <= 100
    assert depth['dropped'] == 150 - depth['Access']
    assert depth['Misplaced'] == 1
    assert leased(queue, n=1) == [replace(ACCESS, object=str(depth['dropped']))]
    queue.close()


def test_a_folder_that_is_not_there_is_said(tmp_path):
    queue = SqliteQueue(f'sqlite:{tmp_path}/none/queue.db')
    with pytest.raises(QueueError, match='none/queue.db'):
        queue.put([ACCESS])


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / 'queue.db').write_bytes(b'no database' * 100)
    with pytest.raises(QueueError, match='not a database'):
        SqliteQueue(f'sqlite:{tmp_path}/queue.db').put([ACCESS])


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / 'queue.db') as db:
        db.execute('PRAGMA user_version = 99')
    db.close()
    with pytest.raises(QueueError, match='version 99'):
        SqliteQueue(f'sqlite:{tmp_path}/queue.db').put([ACCESS])


def test_the_queue_recovers_when_its_folder_comes_back(tmp_path):
    queue = SqliteQueue(f'sqlite:{tmp_path}/later/queue.db')
    with pytest.raises(QueueError):
        queue.put([ACCESS])
    (tmp_path / 'later').mkdir()
    queue.put([ACCESS])
    assert leased(queue) == [ACCESS]
    queue.close()


def test_a_file_that_is_moved_away_is_left_for_a_new_one(tmp_path, queue):
    queue.put([ACCESS])
    for path in list(tmp_path.glob('queue.db*')):
        path.rename(tmp_path / f'away-{path.name}')
    queue.put([MISPLACED])
    fresh = SqliteQueue(f'sqlite:{tmp_path}/queue.db')
    assert leased(fresh, kinds=['Access', 'Misplaced']) == [MISPLACED]
    fresh.close()


WRITER = textwrap.dedent("""
    import sys
    from swiftahead.queues import Misplaced, SqliteQueue
    queue = SqliteQueue(sys.argv[1])
    number = 0
    while True:
        queue.put([Misplaced('AUTH_a', 'c', f'{sys.argv[2]}-{number}', 1, '1')])
        print(number, flush=True)
        number += 1
""")


@pytest.fixture
def writers(tmp_path):
    """Three processes that put Misplaced records and print the number of each that is in."""
    started = [subprocess.Popen([sys.executable, '-c', WRITER, f'sqlite:{tmp_path}/queue.db', str(number)],
                                stdout=subprocess.PIPE, text=True) for number in range(3)]
    yield started
    for writer in started:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def test_no_misplaced_record_is_lost_by_kill_9(tmp_path, writers):
    """Several processes write, each is killed in mid-work; what put() had returned for is there."""
    promised = []
    for number, writer in enumerate(writers):
        for _ in range(20):
            promised.append(f'{number}-{int(writer.stdout.readline())}')
        os.kill(writer.pid, signal.SIGKILL)
        promised.extend(f'{number}-{int(line)}' for line in writer.stdout if line.endswith('\n'))
    queue = SqliteQueue(f'sqlite:{tmp_path}/queue.db')
    there = {item.record.object for item in queue.lease(10_000_000, 60, kinds=['Misplaced'])}
    assert set(promised) <= there
    assert queue.connection().execute('PRAGMA integrity_check').fetchone() == ('ok',)
    queue.close()


def test_a_forked_process_gets_a_connection_of_its_own(queue):
    queue.put([ACCESS])
    pid = os.fork()
    if not pid:
        status = 1
        try:
            queue.put([ACCESS])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    queue.put([ACCESS])
    assert queue.depth()['Access'] == 3


def test_waking(tmp_path):
    path = tmp_path / 'queue.db'
    waker, listener = Waker(path), WakeListener(path)
    assert not listener.wait(0)
    waker.wake()
    waker.wake()
    assert listener.wait(10)
    assert not listener.wait(0)
    waker.close()
    listener.close()


def test_waking_nobody_does_no_harm(tmp_path):
    waker = Waker(tmp_path / 'queue.db')
    waker.wake()
    waker.close()


def test_a_sleeper_who_was_killed_does_not_keep_the_next_from_waking(tmp_path):
    path = tmp_path / 'queue.db'
    WakeListener(path).close()
    waker, listener = Waker(path), WakeListener(path)
    waker.wake()
    assert listener.wait(10)
    waker.close()
    listener.close()
