"""The recorder, on a real queue."""
import logging

import pytest
from swift.common.concurrency import Timeout, sleep

from swiftahead.middleware.recorder import Recorder
from swiftahead.queues import Access, QueueError, WakeListener, Warm, open_queue

WARM = Warm('AUTH_a', 'c')


class Logger(logging.Logger):
    def __init__(self):
        super().__init__('test')
        self.counts = []
        self.said = []

    def increment(self, name):
        self.counts.append(name)

    def error(self, text, *args):
        self.said.append(text % args)

    info = error


@pytest.fixture
def queue(tmp_path):
    queue = open_queue(f'sqlite:{tmp_path}/folder/queue.db')
    yield queue
    queue.close()


@pytest.fixture
def make(queue):
    made = []

    def make(limit=100, interval=0.001, logger=None, count=lambda *args: None):
        made.append(Recorder(queue, logger or Logger(), count, limit, interval))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'folder').mkdir()


def access(number):
    return Access('AUTH_a', 'c', str(number), 'client', 1.0)


def eventually(condition):
    with Timeout(20):
        while not condition():
            sleep(0.01)


def objects(queue):
    return [item.record.object for item in queue.lease(1000, 0.0)]


def test_records_reach_the_queue_in_order_and_wake_the_consumer(make, queue, folder):
    listener = WakeListener(queue.path)
    recorder = make()
    for number in range(5):
        recorder.add(access(number))
    eventually(lambda: recorder.idle)
    assert listener.wait(20)
    assert objects(queue) == list('01234')
    listener.close()


def test_put_returns_when_the_record_is_there(make, queue, folder):
    make().put(WARM)
    assert [item.record for item in queue.lease(10, 60)] == [WARM]


def test_put_says_when_the_record_is_not_there(make):
    logger = Logger()
    recorder = make(logger=logger)
    for _ in range(2):
        with pytest.raises(QueueError):
            recorder.put(WARM)
    assert len(logger.said) == 1


def test_what_does_not_fit_is_dropped_and_counted(make):
    counted = []
    recorder = make(10, count=counted.append)
    for number in range(25):
        recorder.add(access(number))
    assert recorder.dropped == 15
    assert counted == ['records_dropped'] * 15


def test_a_queue_that_comes_back_gets_what_was_held(make, queue, tmp_path):
    logger = Logger()
    recorder = make(logger=logger)
    recorder.add(access(0))
    eventually(lambda: logger.said)
    (tmp_path / 'folder').mkdir()
    eventually(lambda: len(logger.said) == 2)
    assert objects(queue) == ['0']
