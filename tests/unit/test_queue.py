"""Records, the SQLite queue on its own, and waking. The promises of every queue: queue_contract.py."""
import os
import time

import pytest
from helpers.common.builders import ListLogger
from helpers.queue.queue_contract import ACCESS, ADMIT, FORGET, MISPLACED, WARM, accesses, leased, makes

from swiftahead.queues import Access, Admit, QueueError, WakeListener, Waker, decode, encode, open_queue
from swiftahead.queues.wake import MISPLACED as MISPLACED_KIND

RECORDS = [ACCESS, WARM, FORGET, ADMIT, MISPLACED, Access('AUTH_a', 'c', 'not utf-8: \udcff', 'client', 1.0)]


@pytest.fixture
def make(tmp_path):
    with makes(f'sqlite:{tmp_path}/queue.db') as make:
        yield make


@pytest.fixture
def queue(make):
    return make()


@pytest.mark.parametrize('record', RECORDS, ids=lambda record: type(record).__name__)
def test_records_survive_their_encoding(record):
    assert decode(*encode(record)) == record


def test_a_record_of_a_later_version_still_decodes():
    assert decode('Admit', '{"spool_name": "x", "at": 1.0, "colour": "red"}') == Admit('x', 1.0)


def test_a_record_of_an_earlier_version_still_decodes():
    assert decode('Admit', '{"spool_name": "x"}') == Admit('x')


@pytest.mark.parametrize('kind, text', [('Else', '{}'), ('Admit', 'x'), ('Admit', '[]'), ('Admit', '{}')])
def test_what_is_no_record_is_refused(kind, text):
    with pytest.raises(ValueError, match='not a record'):
        decode(kind, text)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    queue = open_queue(f'sqlite:{tmp_path}/none/queue.db')
    with pytest.raises(QueueError, match='none/queue.db'):
        queue.put([ACCESS])


def test_the_queue_recovers_when_its_folder_comes_back(tmp_path):
    queue = open_queue(f'sqlite:{tmp_path}/later/queue.db')
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
    fresh = open_queue(f'sqlite:{tmp_path}/queue.db')
    assert leased(fresh, kinds=['Access', 'Misplaced']) == [MISPLACED]
    fresh.close()


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')
def test_what_root_begins_belongs_to_the_folders_owner(tmp_path, queue):
    os.chown(tmp_path, 12345, 12345)
    queue.put([ACCESS])
    found = [path.stat() for path in tmp_path.glob('queue.db*')]
    assert {(status.st_uid, status.st_mode & 0o777) for status in found} == {(12345, 0o600)}
    assert len(found) == 4


@pytest.mark.parametrize('records, level', [([ACCESS], 1), ([ACCESS, MISPLACED], 2), ([WARM], 1)])
def test_misplaced_records_are_on_the_disk_when_put_returns(queue, records, level):
    """As far as SQLite promises: 2 is FULL, which syncs the -wal at each commit; 1 is NORMAL."""
    queue.put([MISPLACED])
    queue.put([ACCESS])
    queue.put(records)
    assert queue._file._db.execute('PRAGMA synchronous').fetchone() == (level,)


# cost: instructions of SQLite's machine, whatever the clock says

def steps(queue, function, *args):
    """How many hundreds of them a call takes."""
    queue.depth()
    taken = []
    queue._file._db.set_progress_handler(lambda: taken.append(1), 100)
    function(*args)
    queue._file._db.set_progress_handler(None, 100)
    return len(taken)


@pytest.fixture
def long_queue(make):
    """At its limit; before its 500 prefetch records lie 5,000 Misplaced ones, half of them held back."""
    queue = make(limit=500)
    for _ in range(5):
        queue.put([MISPLACED] * 1000)
    queue.retry([item.id for item in queue.lease(2500, 60, ['Misplaced'])], time.time() + 3600)
    queue.put(accesses(0, 1000))
    return queue


def test_a_put_costs_the_same_whatever_waits(long_queue):
    # a look at each of the rows that wait would be 100 and more
    assert max(steps(long_queue, long_queue.put, accesses(0, number)) for number in (10, 100)) < 20


@pytest.mark.parametrize('kinds', [['Misplaced'], ['Access', 'Warm', 'Forget', 'Admit']])
def test_a_lease_costs_the_same_whatever_waits(long_queue, kinds):
    assert steps(long_queue, long_queue.lease, 10, 60, kinds) < 20


def test_a_lease_of_the_newest_costs_as_little(long_queue):
    assert steps(long_queue, long_queue.lease, 10, 60, ['Misplaced'], True) < 20


def test_to_count_costs_the_same_whatever_waits(long_queue):
    assert steps(long_queue, long_queue.depth) < 5


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


def test_each_consumer_is_woken_for_its_own_records(tmp_path):
    path = tmp_path / 'queue.db'
    waker, prefetcher, mover = Waker(path), WakeListener(path), WakeListener(path, MISPLACED_KIND)
    waker.wake(['Misplaced'])
    assert mover.wait(10) and not prefetcher.wait(0)
    waker.wake(['Access', 'Admit'])
    assert prefetcher.wait(10) and not mover.wait(0)
    for each in (waker, prefetcher, mover):
        each.close()


@pytest.mark.parametrize('name', ['x' * 100, 'queue.db'], ids=['too long', 'a folder is there'])
def test_a_consumer_that_can_bind_no_socket_polls_and_says_so(tmp_path, name):
    (tmp_path / f'{name}.wake').mkdir()
    listener = WakeListener(tmp_path / name, logger=(logger := ListLogger()))
    assert not listener.wait(0.01)
    assert len(logger.said) == 1 and f'{name}.wake' in logger.said[0]
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
