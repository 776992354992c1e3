"""The mover's process on a real cluster and a real queue: what waits for what, and what a failure leaves."""
import time
from contextlib import contextmanager

import pytest
from helpers.common.builders import never
from helpers.mover.moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    collected,
    eventually,
    make_cluster,
    misplaced,
    part_maker,
    seconds_ago,
)
from helpers.mover.oneprocess import GOLD, SILVER
from swift.common.concurrency import Event, socket, spawn
from swift.common.utils import Timestamp

from swiftahead.conf.names import ObjectName
from swiftahead.queues import Misplaced, QueueError, Waker, open_queue, wake
from swiftahead.queues.records import Forget
from swiftahead.sidecar.mover import local_queue
from swiftahead.sidecar.mover import part as mover_part
from swiftahead.sidecar.mover.local_queue import Backoff
from swiftahead.sidecar.mover.move import Task

pytestmark = LEFT_OPEN
MISPLACED = Misplaced.__name__


@pytest.fixture
def queue(cluster):
    """The local one, as the filter and the operator's command have it."""
    queue = open_queue(cluster.settings().sidecar.queue)
    yield queue
    queue.close()


@pytest.fixture(autouse=True)
def daemons(monkeypatch):
    """As in a daemon, whose sockets let others go on; and less patient."""
    monkeypatch.setattr(wake, 'socket', socket)
    monkeypatch.setattr(mover_part, 'POP_SECONDS', 0.05)


def hand(queue, *tasks):
    """As the filter does it."""
    queue.put([record_of(task) for task in tasks])
    waker = Waker(queue.path)
    waker.wake([MISPLACED])
    waker.close()


def record_of(task: Task, age: float = 0) -> Misplaced:
    return Misplaced(*task.name.parts, task.policy_index, task.timestamp.internal, task.op, time.time() - age)


@contextmanager
def at_work(part):
    """Its loop, until the end of the block."""
    over = []
    thread = spawn(part.run, lambda: bool(over))
    try:
        yield
    finally:
        over.append(True)
        thread.wait()


@contextmanager
def hanging(cluster, *tasks):
    """What is read of these objects is answered at the end of the block."""
    over, begun = Event(), []

    def hook(asked):
        if asked.method == 'GET' and asked.path in [task.name.path for task in tasks]:
            begun.append(asked.path)
            over.wait()
    cluster.hook = hook
    try:
        yield begun
    finally:
        over.send()


def is_moved(cluster, task):
    return len(cluster.files(task, GOLD)) == 3 and all(
        name.endswith('.ts') for name in cluster.files(task, SILVER))


# records


@pytest.mark.parametrize('op', ['PUT', 'DELETE'])
def test_a_record_is_moved_and_gone_and_the_cache_forgets_it(cluster, make_part, queue, op):
    task = misplaced(cluster, op)
    queue.put([record_of(task)])
    make_part('').once(never)
    assert len(cluster.files(task, GOLD)) == 3 and MISPLACED not in queue.depth()
    leased, = queue.lease(9, 1)
    assert isinstance(leased.record, Forget) and leased.record.object == task.name.object


WHOLE = {'account': 'a', 'container': 'c', 'object': 'o', 'policy_index': SILVER, 'timestamp': '1.0'}


WRONG = [({'op': 'POST'}, 'operation'), ({'object': ''}, 'name'), ({'container': ''}, 'name'),
         ({'account': ''}, 'name'), ({'object': 5}, 'name'), ({'policy_index': 'silver'}, 'silver'),
         ({'policy_index': None}, 'None'), ({'timestamp': ''}, 'float'), ({'timestamp': None}, 'None')]


def test_records_that_are_none_are_given_up_and_others_go_on(cluster, make_part, queue):
    """R25, R6: nothing is asked of the cluster for them."""
    task = misplaced(cluster)
    queue.put([Misplaced(**{**WHOLE, **wrong}) for wrong, _ in WRONG])
    queue.put([record_of(task)])
    make_part('').once(never)
    assert all(word in letter.why for letter, (_, word) in zip(queue.dead_letters(99), WRONG, strict=True))
    assert is_moved(cluster, task) and MISPLACED not in queue.depth()
    assert not [asked for asked in cluster.asked if asked.path.startswith('/a/')]


def test_what_cannot_be_moved_yet_waits_longer_each_time(cluster, make_part, queue):
    cluster.put_container('c')
    queue.put([record_of(Task(ObjectName('AUTH_test', 'c', 'o'), SILVER, seconds_ago(60)))])
    waits = []
    for _ in range(4):
        begin = time.time()
        make_part('retry_backoff = 100').once(never)
        letter, = queue.waiting(MISPLACED, 9)
        waits.append((letter.due - begin) / 100)
        queue.retry([letter.id], 0)
    assert all(0.8 * 2**tries <= wait < 1.2 * 2**tries + 1 for tries, wait in enumerate(waits))


@pytest.mark.parametrize('tries, least, most', [(0, 4, 6), (1, 8, 12), (5, 128, 192), (30, 2880, 4320),
                                                (10**6, 2880, 4320)])
def test_the_wait_doubles_and_is_bounded(tries, least, most):
    waits = {Backoff(5)(tries) for _ in range(50)}
    assert least <= min(waits) and max(waits) <= most and len(waits) > 1


def test_what_was_given_up_can_be_tried_again(cluster, make_part, queue):
    """R17: it is kept, and moved if it has come back meanwhile."""
    task = Task(ObjectName('AUTH_test', 'c', 'o'), SILVER, seconds_ago(6000))
    cluster.put_container('c')
    queue.put([record_of(task)])
    part = make_part('reclaim_age = 1000')
    part.once(never)
    letter, = queue.dead_letters(9)
    assert letter.why.startswith('lost_source') and MISPLACED not in queue.depth()
    assert any(line.startswith('CRITICAL lost_source: ') for line in part._logger.said)
    cluster.put(task)
    assert queue.revive([letter.id]) == 1
    make_part('reclaim_age = 1000').once(never)
    assert is_moved(cluster, task) and queue.dead_letters(9) == [] and MISPLACED not in queue.depth()


def test_a_dry_run_keeps_the_record(cluster, make_part, queue):
    task = misplaced(cluster)
    queue.put([record_of(task)])
    state = cluster.state()
    cluster.asked.clear()
    make_part('dry_run = on').once(never)
    assert (cluster.state(), cluster.changes()) == (state, [])
    assert queue.depth()[MISPLACED] == 1 and 'Forget' not in queue.depth()


# what may have been deleted since it was recorded

DAY = 86400


def name_in(cluster, task, policy):
    """A live row of the container, with the copy's time, on all its servers."""
    for broker in cluster.brokers(task.name.container):
        broker.put_object(task.name.object, task.timestamp.internal, 4, 'a/b', 'e', storage_policy_index=policy)


@pytest.mark.parametrize('is_named', [False, True])
def test_a_record_that_waited_longer_than_tombstones_live_needs_a_row(cluster, make_part, queue, is_named):
    """It is moved only if the container still names it at home."""
    task = misplaced(cluster, age=8 * DAY)
    if is_named:
        name_in(cluster, task, GOLD)
    queue.put([record_of(task, age=8 * DAY)])
    state, part = cluster.state(), make_part('')
    part.once(never)
    assert is_moved(cluster, task) == is_named and MISPLACED not in queue.depth()
    assert [letter.why.partition(':')[0] for letter in queue.dead_letters(9)] == ([] if is_named else ['refused'])
    if not is_named:
        assert cluster.state() == state and 'prefetch.moves.refused' in part._logger.counts


def test_a_record_that_was_put_lately_is_moved_however_old_the_copy_is(cluster, make_part, queue):
    """A row named it then, or it would not have been recorded."""
    task = misplaced(cluster, age=8 * DAY)
    queue.put([record_of(task)])
    make_part('').once(never)
    assert is_moved(cluster, task)


def test_a_container_that_was_made_again_since_has_to_name_the_copy(cluster, make_part, queue):
    task = misplaced(cluster, age=2 * DAY)
    for broker in cluster.brokers(task.name.container):
        broker.delete_object(task.name.object, Timestamp.now().internal, storage_policy_index=SILVER)
    queue.put([record_of(task, age=DAY)])
    state = cluster.state()
    make_part('').once(never)
    assert cluster.state() == state
    assert [letter.why.partition(':')[0] for letter in queue.dead_letters(9)] == ['refused']


# what waits for what


def test_one_that_hangs_delays_no_other(cluster, make_part, queue):
    slow, *quick = (misplaced(cluster) for _ in range(6))
    with at_work(make_part('concurrency = 2')), hanging(cluster, slow) as begun:
        hand(queue, slow)
        eventually(lambda: begun)
        hand(queue, *quick)
        eventually(lambda: all(is_moved(cluster, task) for task in quick))
        assert not is_moved(cluster, slow)
    assert is_moved(cluster, slow) and MISPLACED not in queue.depth()


def test_a_row_that_hangs_delays_no_other_row_and_no_later_pass(cluster, make_part):
    slow, quick, later = (misplaced(cluster) for _ in range(3))
    for task in (slow, quick):
        cluster.enqueue(task)
    part = make_part('swift_queue = take\ninterval = 0.1\nconcurrency = 2')
    with at_work(part), hanging(cluster, slow) as begun:
        eventually(lambda: begun and is_moved(cluster, quick))
        cluster.enqueue(later)
        eventually(lambda: is_moved(cluster, later))
        assert len(begun) == 1 and not is_moved(cluster, slow)
    assert is_moved(cluster, slow) and cluster.queued() == []


def test_rows_that_hang_delay_no_record(cluster, make_part, queue):
    """As many rows as there are places."""
    slow, record = misplaced(cluster), misplaced(cluster)
    cluster.enqueue(slow)
    with at_work(make_part('swift_queue = take\nconcurrency = 1')), hanging(cluster, slow) as begun:
        eventually(lambda: begun)
        hand(queue, record)
        eventually(lambda: is_moved(cluster, record))


def test_the_lease_of_a_move_that_takes_long_is_renewed(cluster, make_part, queue, monkeypatch):
    """Nobody else gets it meanwhile."""
    monkeypatch.setattr(local_queue, 'RENEW_SECONDS', 0.05)
    slow = misplaced(cluster)
    with at_work(make_part('')), hanging(cluster, slow) as begun:
        hand(queue, slow)
        eventually(lambda: begun)
        due = queue.waiting(MISPLACED, 1)[0].due
        for _ in range(3):
            due = eventually(lambda due=due: (queue.waiting(MISPLACED, 1)[0].due > due
                                              and queue.waiting(MISPLACED, 1)[0].due))
            assert due > time.time() and queue.lease(9, 1, [MISPLACED]) == []
    assert is_moved(cluster, slow) and MISPLACED not in queue.depth()


@pytest.mark.parametrize('swift_queue', ['off', 'take'])
def test_a_pass_that_is_over_early_ends_what_it_began_and_keeps_the_rest(cluster, make_part, queue, swift_queue):
    tasks = [misplaced(cluster) for _ in range(4)]
    for task in tasks:
        queue.put([record_of(task)])
    looks = iter([False, True] if swift_queue == 'off' else [True] * 2)
    make_part(f'concurrency = 1\nswift_queue = {swift_queue}').once(lambda: next(looks))
    moved = 1 if swift_queue == 'off' else 0
    assert sum(is_moved(cluster, task) for task in tasks) == moved
    assert queue.depth()[MISPLACED] == 4 - moved


def test_the_newest_is_moved_first(cluster, make_part, queue):
    tasks = [misplaced(cluster) for _ in range(4)]
    for task in tasks:
        queue.put([record_of(task)])
    make_part('concurrency = 1').once(never)
    puts = [asked.path for asked in cluster.asked
            if (asked.server, asked.method, asked.policy) == ('object1', 'PUT', GOLD)]
    assert puts == [task.name.path for task in reversed(tasks)]


# what fails


def break_queue(cluster):
    """So that it cannot be opened, and not be set aside either."""
    path = open_queue(cluster.settings().sidecar.queue).path
    (path / 'not empty').mkdir(parents=True)


def test_a_queue_that_cannot_be_read_does_not_stop_swifts(cluster, make_part):
    break_queue(cluster)
    first, second = misplaced(cluster), misplaced(cluster)
    part = make_part('swift_queue = take\ninterval = 0.1')
    with at_work(part):
        for task in (first, second):
            cluster.enqueue(task)
            eventually(lambda task=task: is_moved(cluster, task) and cluster.queued() == [])
    assert sum('cannot be read' in line for line in part._logger.said) == 1


def test_once_works_off_swifts_queue_though_the_other_cannot_be_read(cluster, make_part):
    """R26"""
    break_queue(cluster)
    tasks = [misplaced(cluster) for _ in range(3)]
    for task in tasks:
        cluster.enqueue(task)
    with pytest.raises(QueueError):
        make_part('swift_queue = take').once(never)
    assert all(is_moved(cluster, task) for task in tasks) and cluster.queued() == []


def test_once_ends_with_both_queues_empty(cluster, make_part, queue):
    """R26"""
    rows, records = [[misplaced(cluster) for _ in range(3)] for _ in range(2)]
    for task in rows:
        cluster.enqueue(task)
    queue.put([record_of(task) for task in records])
    make_part('swift_queue = take').once(never)
    assert all(is_moved(cluster, task) for task in rows + records)
    assert cluster.queued() == [] and MISPLACED not in queue.depth()


@pytest.mark.parametrize('swift_queue, is_row_moved, is_record_moved', [
    ('off', False, True), ('take', True, True), ('give', False, False), ('both', True, False)])
def test_what_becomes_of_rows_and_records(cluster, make_part, queue, swift_queue, is_row_moved, is_record_moved):
    row, record = misplaced(cluster), misplaced(cluster)
    cluster.enqueue(row)
    queue.put([record_of(record)])
    make_part(f'swift_queue = {swift_queue}').once(never)
    assert (is_moved(cluster, row), is_moved(cluster, record)) == (is_row_moved, is_record_moved)
    assert MISPLACED not in queue.depth()
    assert len(cluster.queued()) == (not is_row_moved) + (not is_record_moved)


def test_without_swift_queue_its_rows_are_left(cluster, make_part):
    cluster.enqueue(misplaced(cluster))
    state, rows = cluster.state(), cluster.queued()
    make_part('').once(never)
    assert (cluster.state(), cluster.queued()) == (state, rows) and rows


def test_rows_that_could_not_be_popped_are_met_again(cluster, make_part):
    """R15: and found done."""
    task = misplaced(cluster)
    cluster.enqueue(task)
    cluster.fail('UPDATE', 'container')
    with at_work(make_part('swift_queue = take\ninterval = 0.1')):
        eventually(lambda: is_moved(cluster, task))
        eventually(lambda: any(asked.method == 'UPDATE' for asked in cluster.asked))
        assert len(cluster.queued()) == 1
        cluster.hook = lambda asked: None
        eventually(lambda: cluster.queued() == [])
    assert cluster.files(task, GOLD) == [f'{Timestamp(task.timestamp, offset=3).internal}.data'] * 3
