"""Moves in trouble, on real servers: what failures leave, and what clients and other movers do meanwhile."""
import time
from dataclasses import replace

import pytest
from helpers.common.builders import never
from helpers.mover.moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    Told,
    check_moved,
    collected,
    make_cluster,
    misplaced,
    mover_maker,
    names,
    part_maker,
    reconcile,
    seconds_ago,
)
from helpers.mover.oneprocess import GOLD, SILVER
from swift.common.swob import Response
from swift.common.utils import Timestamp

from swiftahead.conf.names import ObjectName
from swiftahead.sidecar.mover.move import Task

pytestmark = LEFT_OPEN
DAY = 86400


# what fails


@pytest.mark.parametrize('method, policy, status, what', [
    ('GET', SILVER, 503, 'unavailable-source'), ('PUT', GOLD, 507, 'copy-failed'),
    ('DELETE', SILVER, 503, 'cleanup-failed')])
def test_a_step_that_fails_leaves_the_row_and_is_made_again(cluster, make_part, method, policy, status, what):
    """R15"""
    task = misplaced(cluster)
    cluster.enqueue(task)
    cluster.fail(method, 'object', policy, status)
    part = make_part()
    part.once(never)
    assert len(cluster.queued()) == 1 and f'prefetch.moves.{what}' in part._logger.counts
    cluster.hook = lambda asked: None
    make_part().once(never)
    assert cluster.queued() == []
    check_moved(cluster, task)


def test_a_tombstone_that_cannot_be_brought_leaves_the_row(cluster, make_part):
    """R15, R16"""
    task = misplaced(cluster, 'DELETE')
    cluster.enqueue(task)
    cluster.fail('DELETE', 'object', GOLD)
    make_part().once(never)
    assert len(cluster.queued()) == 1 and cluster.files(task, GOLD) == []
    cluster.hook = lambda asked: None
    make_part().once(never)
    assert cluster.queued() == [] and cluster.files(task, GOLD) == names(task.timestamp, 3, 'ts')


def test_a_delete_whose_object_is_still_there_is_a_move(cluster, make_mover):
    """R16: the source has something as new as what was deleted."""
    task = misplaced(cluster)
    assert make_mover().move(Task(task.name, SILVER, task.timestamp, 'DELETE')).is_done
    check_moved(cluster, task)


# what is nowhere


@pytest.mark.parametrize('age, what, is_lost', [(7 * DAY - 60, 'unavailable_source', False),
                                                (7 * DAY + 60, 'lost_source', True)])
def test_what_is_missing_is_waited_for_until_reclaim_age(cluster, make_mover, age, what, is_lost):
    """R17"""
    cluster.put_container('c')
    mover = make_mover(reclaim_age=7 * DAY)
    outcome = mover.move(Task(ObjectName('AUTH_test', 'c', 'o'), SILVER, seconds_ago(age)))
    assert (outcome.what, outcome.is_done, outcome.is_lost) == (what, False, is_lost)
    assert [line.split()[:2] for line in mover.said] == [['CRITICAL' if is_lost else 'WARNING', f'{what}:']]


@pytest.mark.parametrize('age, what', [(50, 'unavailable_source'), (2 * DAY, 'lost_source')])
def test_a_tombstone_at_the_source_does_not_end_the_wait(cluster, make_mover, age, what):
    """R17: a record of a PUT says that there was something, somewhere."""
    task = misplaced(cluster, age=age)
    cluster.delete(Task(task.name, SILVER, Timestamp(task.timestamp, delta=1)))
    assert make_mover(reclaim_age=DAY).move(task).what == what
    assert cluster.files(task, GOLD) == []


def test_a_row_that_was_given_up_is_popped(cluster, make_part):
    """R17"""
    cluster.put_container('c')
    task = Task(ObjectName('AUTH_test', 'c', 'o'), SILVER, seconds_ago(3000))
    cluster.enqueue(task)
    part = make_part('swift_queue = take\nreclaim_age = 1000')
    part.once(never)
    assert cluster.queued() == [] and 'moves.lost-source' in part._logger.counts[0]


# what clients do meanwhile

STEPS = [('HEAD', GOLD), ('GET', SILVER), ('PUT', GOLD), ('DELETE', SILVER)]


def before(cluster, step, act):
    """Have something done right before the mover's request reaches a server."""
    acting = []

    def hook(asked):
        if (asked.method, asked.policy) == step and asked.server.startswith('object') and not acting:
            acting.append(step)
            act()
    cluster.hook = hook


@pytest.mark.parametrize('step', STEPS)
def test_what_a_client_deletes_meanwhile_does_not_come_back(cluster, make_mover, step):
    task = misplaced(cluster)
    deleted = Timestamp.now()
    before(cluster, step, lambda: cluster.delete(Task(task.name, GOLD, deleted)))
    assert make_mover().move(task).is_done
    assert cluster.get(task, GOLD).status == 404
    assert cluster.files(task, GOLD) == names(deleted, 0, 'ts')
    assert cluster.files(task, SILVER) == names(task.timestamp, 1, 'ts')


@pytest.mark.parametrize('step', STEPS)
def test_what_a_client_puts_meanwhile_stays(cluster, make_mover, step):
    """R15: that the destination is newer is success."""
    task = misplaced(cluster)
    newer = Task(task.name, GOLD, Timestamp.now())
    before(cluster, step, lambda: cluster.put(newer, b'newer'))
    assert make_mover().move(task).is_done
    assert cluster.get(task, GOLD).body == b'newer'
    assert cluster.files(task, SILVER) == names(task.timestamp, 1, 'ts')


@pytest.mark.parametrize('step', STEPS[2:])
def test_another_mover_on_the_same_object_does_no_harm(cluster, make_mover, step):
    """R27: from its beginning to its end, between two steps of the first."""
    task = misplaced(cluster)
    outcomes = []
    before(cluster, step, lambda: outcomes.append(make_mover().move(task).what))
    assert make_mover().move(task).is_done and outcomes == ['cleanup_success']
    check_moved(cluster, task)


# what has expired


def expired(cluster):
    """Its time is over, and no expirer has come yet."""
    return misplaced(cluster, age=1000, X_Delete_At=str(int(time.time()) - 500))


@pytest.mark.parametrize('reclaim_age, rows', [(7 * DAY, 1), (900, 0)])
def test_what_has_expired_ends_as_with_upstreams_daemon(cluster, make_part, reclaim_age, rows):
    """R17: it is not found, waited for, and given up; nothing rises."""
    left = []
    for drain in (lambda: make_part(f'swift_queue = take\nreclaim_age = {reclaim_age}').once(never),
                  lambda: reconcile(cluster, reclaim_age)):
        task = expired(cluster)
        cluster.enqueue(task)
        drain()
        left.append((len([name for name in cluster.queued() if name.endswith(task.name.path)]),
                     cluster.get(task, GOLD).status, cluster.files(task, GOLD),
                     cluster.files(task, SILVER) == names(task.timestamp, 0, 'data')))
    assert left == [(rows, 404, [], True)] * 2


def test_what_expires_later_expires_where_it_was_moved_to(cluster, make_mover):
    """R18"""
    ends = int(time.time()) + 1000
    task = misplaced(cluster, X_Delete_At=str(ends))
    assert make_mover().move(task).is_done
    assert cluster.get(task, GOLD).headers['X-Delete-At'] == str(ends)


# once more, and back


def turn(cluster, task, policy):
    """The container's servers settle on another policy, and replicators queue what lies elsewhere."""
    for broker in cluster.brokers(task.name.container):
        broker.set_storage_policy_index(policy, Timestamp.now().internal)
    cluster.replicate()
    return cluster.queued()


def test_r11_an_object_may_be_moved_twice_and_back(cluster, make_part):
    """R11, R14: each move is later than the one before, and shows clients the same time."""
    task = misplaced(cluster)
    cluster.enqueue(task)
    make_part().once(never)
    for policy, offset in ((SILVER, 6), (GOLD, 9)):
        assert turn(cluster, task, policy) == [f'{1 - policy}:{task.name.path}']
        make_part().once(never)
        assert cluster.files(task, policy) == names(task.timestamp, offset, 'data')
        assert cluster.files(task, 1 - policy) == names(task.timestamp, offset - 2, 'ts')
        assert cluster.get(task, policy).headers['X-Timestamp'] == task.timestamp.normal
        assert cluster.queued() == []


# without changing anything


@pytest.mark.parametrize('op', ['PUT', 'DELETE'])
def test_a_dry_run_changes_nothing(cluster, make_part, op):
    task = misplaced(cluster, op)
    cluster.enqueue(task)
    rows, state = cluster.queued(), cluster.state()
    cluster.asked.clear()
    part = make_part('swift_queue = take\ndry_run = on')
    part.once(never)
    assert (cluster.queued(), cluster.state(), cluster.changes()) == (rows, state, [])
    assert any('dry_run: ' in line for line in part._logger.said)


def test_a_dry_run_leaves_what_is_newer_at_home(cluster, make_mover):
    task = misplaced(cluster)
    cluster.put(Task(task.name, GOLD, Timestamp.now()))
    state = cluster.state()
    assert make_mover(dry_run=True).move(task).what == 'dry_run' and cluster.state() == state


# what nobody foresaw


def unreadable():
    """A container server's answer that cannot be read."""
    return Response(status=404, headers={'X-Backend-Storage-Policy-Index': '0', 'X-Backend-Timestamp': 'never'})


def test_a_404_that_is_no_container_servers_does_not_count(cluster, make_mover):
    """R8: it has not the headers of one."""
    task = misplaced(cluster)
    cluster.hook = lambda asked: Response(status=404) if asked.server.startswith('container') else None
    assert make_mover().move(task).what == 'unavailable_container'


def test_an_exception_is_told_and_to_be_tried_again(cluster, make_mover):
    """R25: a container server's 404 tells no time."""
    task = misplaced(cluster)
    cluster.hook = lambda asked: unreadable() if asked.server.startswith('container') else None
    mover = make_mover()
    outcome = mover.move(task)
    assert (outcome.what, outcome.is_done, outcome.is_lost) == ('unhandled_error', False, False)
    assert [line.split(':')[0] for line in mover.said] == ['ERROR unhandled_error']


def test_bytes_are_let_through_as_fast_as_they_may(cluster, make_mover):
    """All of them, and no faster than asked for."""
    passed = []

    def paced(body):
        for chunk in body:
            passed.append(len(chunk))
            yield chunk
    task = misplaced(cluster, body=b'x' * 200_000)
    assert make_mover(paced=paced).move(task).is_done
    assert sum(passed) == 200_000 and max(passed) <= 65536


def test_another_mover_may_bring_it_home_while_its_copy_is_judged_again(cluster, make_mover):
    """R27: the source's tombstone is the other mover's, and no DELETE of a client's."""
    task = misplaced(cluster, age=8 * 86400)
    other = []

    def hook(asked):
        # only a judgement asks the source's servers so
        if (asked.method, asked.policy) == ('HEAD', SILVER) and asked.server.startswith('object') and not other:
            other.append('moves')
            other.append(make_mover().move(task).what)
    cluster.hook = hook
    waited = replace(task, is_local=True, seen_at=task.timestamp)
    assert (make_mover().move(waited).what, other) == ('cleanup_success', ['moves', 'cleanup_success'])
    assert cluster.get(task, GOLD).body == b'body'
