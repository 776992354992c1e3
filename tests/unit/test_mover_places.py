"""Where an object belongs, and what lies there: real container and object servers are asked."""
from contextlib import closing

import memcacheds
import pytest
from moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    collected,
    make_cluster,
    misplaced,
    mover_maker,
    part_maker,
    part_of,
    places_of,
    seconds_ago,
)
from oneprocess import BRONZE, GOLD, SILVER
from swift.common.concurrency import Event
from swift.common.direct_client import (
    direct_delete_container,
    direct_delete_object,
    direct_put_container,
    direct_put_object,
)
from swift.common.storage_policy import POLICIES
from swift.common.swob import Response
from swift.common.utils import Timestamp

from swiftahead.sidecar.mover import places
from swiftahead.sidecar.mover.task import Task

pytestmark = LEFT_OPEN
TASK = Task('AUTH_test', 'c', 'o', SILVER, Timestamp(5))


def tell(cluster, *servers):
    """Each server's own history of the container: +T:P is a PUT at T in policy P, -T a DELETE at T."""
    part, nodes = cluster.container_ring.get_nodes(TASK.account, TASK.container)
    for node, history in zip(nodes, servers, strict=False):
        for step in history.split():
            time, _, policy = step[1:].partition(':')
            call = direct_put_container if step[0] == '+' else direct_delete_container
            call(node, part, TASK.account, TASK.container, headers={
                'X-Timestamp': Timestamp(time).internal, 'X-Backend-Storage-Policy-Index': policy or '0'})


@pytest.mark.parametrize('servers, home', [
    # the oldest
    (('+1:0', '+2:1', '+2:1'), GOLD), (('+2:1', '+1:2', '+3:0'), BRONZE),
    # what was made again, however old the other is
    (('+1:0', '+1:0', '+1:0 -2 +3:1'), SILVER), (('+4:0', '+4:0', '+1:0 -2 +3:1'), SILVER),
    # the newest of these
    (('+1:0 -2 +3:1', '+1:0 -2 +3:1', '+1:0 -4 +5:2'), BRONZE),
    # what is there, however new what was deleted is
    (('+1:1 -8', '+1:1 -8', '+5:0'), GOLD),
    # a server that has never heard of it, such as one with a new disk, has no say
    (('', '', '+5:1'), SILVER), (('', '+1:2 -2', '+5:1'), SILVER), (('', '', ''), GOLD),
    # the last that was deleted, where none is there
    (('+1:1 -2', '+1:1 -2', '+1:2 -3'), BRONZE)])
def test_which_of_several_policies_a_container_has(cluster, servers, home):
    """R9, R8: a 404 counts as well."""
    tell(cluster, *servers)
    assert places_of(cluster).home(TASK) == home


@pytest.mark.parametrize('down, home', [((1,), SILVER), ((2,), SILVER), ((1, 3), None), ((1, 2, 3), None)])
def test_a_majority_of_the_containers_servers_has_to_tell(cluster, down, home):
    """R8"""
    tell(cluster, '+1:1', '+1:1', '+1:1')
    with cluster.without(*(f'container{number}' for number in down)):
        assert places_of(cluster).home(TASK) == home


def test_servers_that_fail_do_not_tell(cluster, make_mover):
    """R8: what has to be tried again, and changes nothing."""
    task = misplaced(cluster)
    before = cluster.state()
    cluster.fail('HEAD', 'container', times=2)
    assert make_mover().move(task).what == 'unavailable_container'
    assert cluster.state() == before


def test_a_container_is_asked_for_once_by_the_network_of_replication(cluster):
    """R8: each of its primaries."""
    tell(cluster, '+1:1', '+1:1', '+1:1')
    cluster.asked.clear()
    for name in ('o', 'p', 'q'):
        places_of(cluster).home(Task('AUTH_test', 'c', name, SILVER, Timestamp(5)))
    assert sorted((asked.server, asked.method) for asked in cluster.asked) == [
        (f'container{number}', 'HEAD') for number in (1, 2, 3)]
    assert {asked.headers['X_BACKEND_USE_REPLICATION_NETWORK'] for asked in cluster.asked} == {'true'}


def test_what_memcached_says_of_a_container_is_not_believed(cluster):
    """R8: there it still has its old policy."""
    with closing(memcacheds.Server()) as server:
        task = Task('AUTH_test', 'c', 'o', SILVER, seconds_ago(5))
        cluster.memcached = server.address
        cluster.put_container('c', SILVER)
        cluster.put(task)
        assert cluster.get(task, SILVER).status == 200
        for broker in cluster.brokers('c'):
            broker.set_storage_policy_index(GOLD, Timestamp.now().internal)
        cluster.enqueue(task)
        part = part_of(cluster, 'swift_queue = take')
        part.once()
    assert len(cluster.files(task, GOLD)) == 3 and 'moves.cleanup-success' in part._logger.counts[0]


# what lies at the destination


def put_on(cluster, number, method, time):
    """On one object server alone."""
    part, nodes = POLICIES.get_object_ring(GOLD, str(cluster.folder)).get_nodes(*TASK.parts)
    node = next(node for node in nodes if node['port'] == cluster.ports[f'object{number}'])
    headers = {'X-Timestamp': time.internal, 'X-Backend-Storage-Policy-Index': str(GOLD)}
    if method == 'PUT':
        direct_put_object(node, part, *TASK.parts, b'body', content_length=4, headers=headers)
    else:
        direct_delete_object(node, part, *TASK.parts, headers=headers)


def test_nothing_is_older_than_anything(cluster):
    """R12"""
    assert places_of(cluster).time_at(TASK, GOLD) == Timestamp.zero()


@pytest.mark.parametrize('number, method', [(1, 'PUT'), (2, 'DELETE'), (3, 'DELETE')])
def test_the_newest_of_any_primary_counts(cluster, number, method):
    """R12: an object, and a tombstone."""
    for other in (1, 2, 3):
        put_on(cluster, other, 'PUT', seconds_ago(60))
    newest = seconds_ago(30)
    put_on(cluster, number, method, newest)
    assert places_of(cluster).time_at(TASK, GOLD) == newest


@pytest.mark.parametrize('down, time', [((3,), Timestamp.zero()), ((1, 3), None)])
def test_a_majority_of_the_objects_servers_has_to_tell(cluster, down, time):
    """R12"""
    with cluster.without(*(f'object{number}' for number in down)):
        assert places_of(cluster).time_at(TASK, GOLD) == time


@pytest.mark.parametrize('status, times, what', [
    (503, 1, 'cleanup_success'), (507, 2, 'unavailable_destination'), (500, 2, 'unavailable_destination')])
def test_without_word_of_the_destination_nothing_is_moved(cluster, make_mover, status, times, what):
    """R12"""
    task = misplaced(cluster)
    cluster.asked.clear()
    cluster.fail('HEAD', 'object', GOLD, status, times)
    assert make_mover().move(task).what == what
    assert bool(cluster.changes()) == (times == 1)


def test_a_server_that_hangs_does_not_hold_up_the_others_answer(cluster, monkeypatch):
    """R12"""
    monkeypatch.setattr(places, 'ANSWER_SECONDS', 1.0)
    over = Event()
    cluster.hook = lambda asked: asked.server == 'object2' and over.wait()
    assert places_of(cluster).time_at(TASK, GOLD) == Timestamp.zero()
    over.send(Response(status=503))


# policies that wait


def look_again(policy):
    """As after ring_check_interval."""
    POLICIES.get_by_index(policy).object_ring._rtime = 0


def test_rings_are_looked_at_as_often_as_the_option_says(cluster):
    """R10, R24"""
    assert places_of(cluster, 7).is_movable(SILVER)
    assert POLICIES.get_by_index(SILVER).object_ring.reload_time == 7


@pytest.mark.parametrize('policy', [GOLD, SILVER])
def test_a_policy_whose_part_power_grows_waits(cluster, make_mover, policy):
    """R10: as source, and as destination; its ring is read again when its file has changed."""
    task = misplaced(cluster)
    ring = f'object-{policy}'.removesuffix('-0')
    mover = make_mover()
    cluster.make_ring(ring, next_part_power=3)
    look_again(policy)
    before = cluster.state()
    assert (mover.move(task).what, cluster.state()) == ('ppi_skip', before)
    cluster.make_ring(ring)
    look_again(policy)
    assert mover.move(task).what == 'cleanup_success'


@pytest.mark.parametrize('policy, known', [(GOLD, True), (BRONZE, True), (3, False), (-1, False), (10**9, False)])
def test_a_policy_that_is_not_known_waits(cluster, policy, known):
    """R10"""
    assert places_of(cluster).is_movable(policy) == known


def test_a_record_of_a_policy_that_is_not_known_is_tried_again(cluster, make_mover):
    """R10"""
    task = misplaced(cluster)
    outcome = make_mover().move(Task(*task.parts, 7, task.timestamp))
    assert (outcome.what, outcome.is_done, outcome.is_lost) == ('ppi_skip', False, False)
