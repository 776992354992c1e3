"""Swift's queue: in which order it is read, what failures leave, whose a row is, and when it is tried again."""
from types import SimpleNamespace

import pytest
from helpers.common.builders import NOW, never
from helpers.common.trying import tries
from helpers.mover.moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    Told,
    collected,
    hour_of,
    make_cluster,
    misplaced,
    part_maker,
    seconds_ago,
)
from helpers.mover.oneprocess import GOLD, HOUR, QUEUE, SILVER
from hypothesis import given
from hypothesis import strategies as st
from swift.common.internal_client import UnexpectedResponse
from swift.common.swob import Response
from swift.common.utils import EventletRateLimiter, Timestamp, hash_path
from swift.container import reconciler

from swiftahead.conf.names import ObjectName
from swiftahead.sidecar.mover import part as mover_part
from swiftahead.sidecar.mover import reconciler_queue
from swiftahead.sidecar.mover.move import Task
from swiftahead.sidecar.mover.reconciler_queue import ProcessShare, ReconcilerQueue

pytestmark = LEFT_OPEN
CURRENT = int(NOW) // HOUR * HOUR
DAY = 86400


class QueueAccount:
    """As much of an InternalClient as listing the queue takes: hours and the names in each.

    :param broken: hours whose listing fails, 'account' for theirs; after the first row of each
    """

    def __init__(self, hours: dict, broken=()):
        self.hours = hours
        self.broken = broken
        self.asked: list[str] = []

    def iter_containers(self, account):
        assert account == QUEUE
        for hour in sorted(self.hours, key=str):
            yield {'name': str(hour)}
        self._fail('account')

    def iter_objects(self, account, hour):
        assert account == QUEUE
        self.asked.append(hour)
        for name in self.hours.get(int(hour) if hour.isdigit() else hour, ()):
            yield row(name, float(hour))
            self._fail(hour)
        self._fail(hour)

    def delete_container(self, account, hour, acceptable_statuses):
        assert acceptable_statuses == (2, 404, 409, 412)
        self.asked.append(f'DELETE {hour}')
        self._fail(f'DELETE {hour}')

    def _fail(self, what):
        if what in self.broken:
            raise UnexpectedResponse('503', SimpleNamespace(status_int=503, headers={}))


def row(name, at):
    timestamp = Timestamp(at)
    return {'name': f'{SILVER}:/a/c/{name}', 'hash': timestamp.internal, 'content_type': 'application/x-put',
            'last_modified': timestamp.isoformat}


def queue_of(account, reclaim_age=7 * DAY, share=None, clock=lambda: NOW, backoff=lambda tries: 10.0):
    queue = ReconcilerQueue(account, Told(), reclaim_age, share or ProcessShare(), backoff, clock)
    queue.said = queue._logger.said
    return queue


def names(queue):
    return [found.task.name.object for found in queue.rows()]


# which containers, and in which order


def test_the_current_hour_comes_first_and_then_the_newest_before_the_older():
    """R23, R1"""
    hours = {CURRENT - back * HOUR: [f'o{back}'] for back in (5, 0, 2, 3, 1)}
    assert names(queue_of(QueueAccount(hours))) == ['o0', 'o1', 'o2', 'o3', 'o5']


def test_the_current_hour_is_read_though_no_listing_has_it_and_but_once():
    """R23: container-updaters may be behind."""
    account = QueueAccount({CURRENT: ['o']})
    account.iter_containers = lambda name: iter([{'name': str(CURRENT - HOUR)}])
    assert names(queue_of(account)) == ['o'] and account.asked == [str(CURRENT), str(CURRENT - HOUR)]


def test_each_page_of_containers_is_read_backwards(monkeypatch):
    """R23: no more than a page is kept in memory."""
    monkeypatch.setattr(reconciler_queue, 'CONTAINER_LISTING_LIMIT', 2)
    account = QueueAccount({CURRENT - back * HOUR: [] for back in (1, 2, 3, 4, 5)})
    assert names(queue_of(account)) == []
    backs = [(CURRENT - int(hour)) // HOUR for hour in account.asked]
    assert backs == [0, 4, 5, 2, 3, 1]


@pytest.mark.parametrize('broken, found', [
    ('account', ['o0']), (str(CURRENT), ['o0', 'o1', 'p1', 'o2']), (str(CURRENT - HOUR), ['o0', 'o1', 'o2'])])
def test_a_listing_that_fails_is_told_and_the_pass_goes_on(broken, found):
    """R23: with what had been listed before."""
    hours = {CURRENT: ['o0'], CURRENT - HOUR: ['o1', 'p1'], CURRENT - 2 * HOUR: ['o2']}
    queue = queue_of(QueueAccount(hours, [broken]))
    assert names(queue) == found
    assert [line.split()[0] for line in queue.said] == ['ERROR'] and 'not listed: 503' in queue.said[0]


@pytest.mark.parametrize('age, goes', [(7 * DAY + HOUR, True), (7 * DAY - 2 * HOUR, False)])
@pytest.mark.parametrize('rows', [[], ['o']])
def test_what_is_old_and_empty_is_deleted(age, goes, rows):
    """R23"""
    hour = int(NOW - age) // HOUR * HOUR
    account = QueueAccount({hour: rows})
    names(queue_of(account))
    assert (f'DELETE {hour}' in account.asked) == (goes and not rows)


def test_a_delete_that_fails_ends_no_pass():
    """R23"""
    hours = [CURRENT - 9 * DAY, CURRENT - 10 * DAY]
    account = QueueAccount({hour: [] for hour in hours}, [f'DELETE {hours[0]}'])
    queue = queue_of(account)
    assert names(queue) == [] and account.asked[-1] == f'DELETE {hours[1]}' and 'not deleted' in queue.said[0]


def test_a_container_that_is_no_hour_ends_no_pass():
    """R25, R23: it comes before all hours, read backwards."""
    account = QueueAccount({'somebodys': [], CURRENT - HOUR: ['o']})
    assert names(queue_of(account)) == ['o'] and 'DELETE somebodys' not in account.asked


def test_old_containers_go_from_a_real_account(cluster, make_part):
    """R23: one that has a row in it stays."""
    task = misplaced(cluster, age=9 * DAY)
    full, empty = cluster.enqueue(task), hour_of(seconds_ago(20 * DAY))
    cluster.announce(empty)
    cluster.fail('HEAD', 'object')
    make_part('swift_queue = take').once(never)
    assert [cluster.request('HEAD', QUEUE, hour).status for hour in (full, empty)] == [204, 404]


# whose a row is

PARTS = st.tuples(*(st.text(st.characters(codec='utf-8'), min_size=1, max_size=8) for _ in range(3)))


@tries(60)
@given(st.lists(PARTS, min_size=1, max_size=30), st.sampled_from([1, 2, 3, 7, 100]))
def test_each_object_is_exactly_one_processs(names, count):
    """R24: whatever its name is, and the same as upstream's."""
    for parts in names:
        task = Task(ObjectName(*parts), SILVER, Timestamp(1))
        owners = [number for number in range(count) if ProcessShare(number, count).has(task)]
        assert owners == [int(hash_path(*parts), 16) % count]


def test_a_hundred_processes_share_the_rows(monkeypatch):
    """R24: exactly once each, and as upstream's daemons with the same options would."""
    listed = [f'o{number}' for number in range(500)]
    account, shares, theirs = QueueAccount({CURRENT: listed}), [], []
    for number in range(100):
        shares.append(names(queue_of(account, share=ProcessShare(number, 100))))
        daemon = reconciler.ContainerReconciler({'processes': '100', 'process': str(number)}, Told(), account)
        theirs.append([name for name in listed if daemon.should_process(
            {'account': 'a', 'container': 'c', 'obj': name})])
    assert shares == theirs
    assert sorted(name for share in shares for name in share) == sorted(listed)


def test_without_processes_each_takes_all():
    """R24"""
    assert names(queue_of(QueueAccount({CURRENT: ['o', 'p']}), share=ProcessShare(0, 0))) == ['o', 'p']


def test_two_processes_move_each_object_once(cluster, make_part):
    """R24: of real rows."""
    tasks = [misplaced(cluster) for _ in range(6)]
    for task in tasks:
        cluster.enqueue(task)
    for number in (0, 1):
        make_part(f'swift_queue = take\nprocesses = 2\nprocess = {number}').once(never)
    puts = [asked.path for asked in cluster.asked if (asked.method, asked.policy) == ('PUT', GOLD)
            and asked.server == 'object1']
    assert sorted(puts) == sorted(task.name.path for task in tasks)
    assert cluster.queued() == []


# when it is tried again


def test_a_row_is_tried_again_after_its_backoff_alone():
    clock, tries = [NOW], []
    queue = queue_of(QueueAccount({CURRENT: ['o', 'p']}), clock=lambda: clock[0],
                     backoff=lambda n: tries.append(n) or 10.0 * 2**n)
    waits = []
    for _ in range(4):
        queue.retry(next(found for found in queue.rows() if found.task.name.object == 'o'))
        begin = clock[0]
        while 'o' not in names(queue):
            assert names(queue) == ['p']
            clock[0] += 1
        waits.append(clock[0] - begin)
    assert (waits, tries) == ([10, 20, 40, 80], [0, 1, 2, 3])


def test_a_row_that_was_popped_and_put_anew_begins_anew():
    tries = []
    queue = queue_of(QueueAccount({CURRENT: ['o']}), backoff=lambda n: tries.append(n) or 0.0)
    for _ in range(2):
        queue.retry(next(queue.rows()))
    queue.pop(next(queue.rows()))
    queue.retry(next(queue.rows()))
    assert tries == [0, 1, 0]


def test_a_row_of_another_hour_with_the_same_name_waits_for_nothing():
    queue = queue_of(QueueAccount({CURRENT: ['o'], CURRENT - HOUR: ['o']}))
    queue.retry(next(queue.rows()))
    assert [found.queue_container for found in queue.rows()] == [str(CURRENT - HOUR)]


# one bad entry


def test_an_exception_in_one_move_stops_no_other(cluster, make_part):
    """R25: it is told, counted and left; what is beside it is moved."""
    tasks = [misplaced(cluster) for _ in range(4)]
    for task in tasks:
        cluster.enqueue(task)
    cluster.hook = lambda asked: (
        Response(status=404, headers={'X-Backend-Storage-Policy-Index': '0', 'X-Backend-Timestamp': 'never'})
        if asked.server.startswith('container') and asked.method == 'HEAD'
        and asked.path == f'/AUTH_test/{tasks[1].name.container}' else None)
    part = make_part('swift_queue = take')
    part.once(never)
    assert cluster.queued() == [f'1:{tasks[1].name.path}']
    assert [len(cluster.files(task, GOLD)) for task in tasks] == [3, 0, 3, 3]
    assert {name for name in part._logger.counts if '.moves.' in name} == {
        'prefetch.moves.cleanup-success', 'prefetch.moves.unhandled-error'}
    assert sum(line.startswith('ERROR unhandled_error: ') for line in part._logger.said) == 1


def test_what_became_of_it_is_told_by_upstreams_names(cluster, make_part):
    """R25, R26: once at the end of a pass that is made alone."""
    cluster.enqueue(misplaced(cluster))
    part = make_part('swift_queue = take')
    part.once(never)
    stats = [line for line in part._logger.said if 'Stats' in line]
    assert stats == ['INFO Mover Stats: {"cleanup_success": 1}']
    assert any(line.startswith('INFO copy_success: ') for line in part._logger.said)


# how fast


class Simulated(EventletRateLimiter):
    """Sleeps by moving the clock on."""
    now = 1000.0

    def wait(self, incr_by=1, now=None):
        super().wait(incr_by, Simulated.now)

    def _sleep(self, seconds):
        Simulated.now += seconds


@pytest.mark.parametrize('rate, seconds', [(0, 0), (100_000, 6), (1_000_000, 0.6)])
def test_bytes_per_second_holds_for_all_moves_together(cluster, make_part, monkeypatch, rate, seconds):
    """But for the last pieces, after which nothing is waited for."""
    monkeypatch.setattr(mover_part, 'EventletRateLimiter', Simulated)
    monkeypatch.setattr(Simulated, 'now', 1000.0)
    for _ in range(3):
        cluster.enqueue(misplaced(cluster, body=b'x' * 200_000))
    make_part(f'swift_queue = take\nbytes_per_second = {rate}').once(never)
    took = Simulated.now - 1000
    assert took <= seconds and (not rate or took >= seconds - 3 * 65536 / rate)
    assert cluster.queued() == []
