"""Where an object belongs, and what lies there: real container and object servers are asked."""
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from helpers.common.builders import never
from helpers.freshness import memcacheds
from helpers.mover.moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    Told,
    collected,
    eventually,
    make_cluster,
    misplaced,
    mover_maker,
    part_maker,
    part_of,
    seconds_ago,
)
from helpers.mover.oneprocess import BRONZE, GOLD, SILVER
from swift.common.concurrency import Event, GreenPool
from swift.common.direct_client import (
    direct_delete_container,
    direct_delete_object,
    direct_put_container,
    direct_put_object,
)
from swift.common.storage_policy import POLICIES
from swift.common.swob import Request, Response
from swift.common.utils import Timestamp

from swiftahead.cli.misplaced import ScanRun, _head
from swiftahead.conf.names import ObjectName
from swiftahead.middleware.detector import Detector
from swiftahead.misplaced.search import Search
from swiftahead.misplaced.servers import Judge, StorageServers, is_movable
from swiftahead.sidecar.mover.move import Task, servers_of

pytestmark = LEFT_OPEN
TASK = Task(ObjectName('AUTH_test', 'c', 'o'), SILVER, Timestamp(5))


def tell(cluster, *servers):
    """Each server's own history of the container: +T:P is a PUT at T in policy P, -T a DELETE at T."""
    part, nodes = cluster.container_ring.get_nodes(TASK.name.account, TASK.name.container)
    for node, history in zip(nodes, servers, strict=False):
        for step in history.split():
            time, _, policy = step[1:].partition(':')
            call = direct_put_container if step[0] == '+' else direct_delete_container
            call(node, part, TASK.name.account, TASK.name.container, headers={
                'X-Timestamp': Timestamp(time).internal, 'X-Backend-Storage-Policy-Index': policy or '0'})


# which policy is home, by each of the three that ask


def put_everywhere(cluster):
    """A copy on all servers of all policies, by no proxy: containers may be gone."""
    at = Timestamp.now().internal
    for policy in (GOLD, SILVER, BRONZE):
        part, nodes = POLICIES.get_object_ring(policy, str(cluster.folder)).get_nodes(*TASK.name.parts)
        for node in nodes:
            direct_put_object(node, part, *TASK.name.parts, b'body', content_length=4, headers={
                'X-Timestamp': at, 'X-Backend-Storage-Policy-Index': str(policy)})


def movers_home(cluster, make_mover):
    """The policy where the mover leaves a record alone."""
    mover = make_mover()
    found = {policy: mover.move(Task(TASK.name, policy, TASK.timestamp)).what for policy in (GOLD, SILVER, BRONZE)}
    homes = [policy for policy, what in found.items() if what == 'noop_object']
    assert homes or set(found.values()) == {'unavailable_container'}
    return homes[0] if homes else None


def filters_home(cluster, make_mover):
    """The policy of which the filter records no copy, where it records the others."""
    put_everywhere(cluster)
    records: list = []
    logger = Told()
    logger.thread_locals = ()
    runtime = SimpleNamespace(
        settings=SimpleNamespace(serve_misplaced=True, reclaim_age=7 * 86400, detect_rate=10),
        logger=logger, clock=time.time, count=lambda *_, **__: None, recorder=SimpleNamespace(put=records.append))
    detector = Detector(runtime)
    env = Request.blank(quote(f'/v1{TASK.name.path}')).environ
    detector.sight(cluster.client.app._pipeline_final_app, env, TASK.name, -1)
    eventually(lambda: not detector.running)
    return policy_without(records)


def scans_home(cluster, make_mover):
    """The policy of which the scan records no copy, where it records the others."""
    put_everywhere(cluster)
    records: list = []
    judge = Judge(StorageServers.of_proxy(cluster.client.app._pipeline_final_app), 7 * 86400, time.time)
    search = Search(judge, partial(_head, cluster.client))
    run = ScanRun(search, lambda *of: [TASK.name.object], records.append, lambda done: None)
    run.container(*TASK.name.parts[:2], GreenPool(1))
    assert not (records and run.unknown)
    return policy_without(records)


def policy_without(records):
    policies = {record.policy_index for record in records}
    assert len(policies) in (0, 2)
    return ({GOLD, SILVER, BRONZE} - policies).pop() if policies else None


# :param exists: where it does not, the mover alone has to know
HOMES = [
    # the oldest
    (('+1:0', '+2:1', '+2:1'), GOLD, True), (('+2:1', '+1:2', '+3:0'), BRONZE, True),
    # what was made again, however old the other is
    (('+1:0', '+1:0', '+1:0 -2 +3:1'), SILVER, True), (('+4:0', '+4:0', '+1:0 -2 +3:1'), SILVER, True),
    # the newest of these
    (('+1:0 -2 +3:1', '+1:0 -2 +3:1', '+1:0 -4 +5:2'), BRONZE, True),
    # what is there, however new what was deleted is
    (('+1:1 -8', '+1:1 -8', '+5:0'), GOLD, True),
    # a server that has never heard of it, such as one with a new disk, has no say
    (('', '', '+5:1'), SILVER, True), (('', '+1:2 -2', '+5:1'), SILVER, True),
    # where nobody has ever heard of it, Swift reads in policy 0
    (('', '', ''), GOLD, False),
    # the last that was deleted, where none is there
    (('+1:1 -2', '+1:1 -2', '+1:2 -3'), BRONZE, False), (('', '', '+1:2 -3'), BRONZE, False)]
CALLERS = [movers_home, filters_home, scans_home]


@pytest.mark.parametrize('caller', CALLERS)
@pytest.mark.parametrize('servers, home, exists', HOMES)
def test_which_of_several_policies_a_container_has(cluster, make_mover, servers, home, exists, caller):
    """R9, R8: a 404 counts as well."""
    tell(cluster, *servers)
    assert caller(cluster, make_mover) == (home if exists or caller is movers_home else None)


@pytest.mark.parametrize('caller', CALLERS)
@pytest.mark.parametrize('servers, down, home', [
    (('+1:1', '+1:1', '+1:1'), (0,), SILVER), (('+1:1', '+1:1', '+1:1'), (1,), SILVER),
    (('+1:1', '+1:1', '+1:1'), (0, 2), None), (('+1:1', '+1:1', '+1:1'), (0, 1, 2), None),
    # one that knows, beside one that has never heard of it, is a majority
    (('', '+1:1', '+1:1'), (2,), SILVER),
    # the one that knows is silent: the others would have it in policy 0
    (('', '', '+1:1'), (2,), None), (('', '', '+1:1 -2'), (2,), None), (('', '', ''), (2,), None)])
def test_a_majority_of_the_containers_servers_has_to_tell(cluster, make_mover, servers, down, home, caller):
    """R8"""
    tell(cluster, *servers)
    _, nodes = cluster.container_ring.get_nodes(*TASK.name.parts[:2])
    ports = [nodes[number]['port'] for number in down]
    with cluster.without(*(name for name, port in cluster.ports.items() if port in ports)):
        assert caller(cluster, make_mover) == home


def test_servers_that_fail_do_not_tell(cluster, make_mover):
    """R8: what has to be tried again, and changes nothing."""
    task = misplaced(cluster)
    before = cluster.state()
    cluster.fail('HEAD', 'container', times=2)
    assert make_mover().move(task).what == 'unavailable_container'
    assert cluster.state() == before


def test_a_container_is_asked_for_once_by_the_network_of_replication(cluster, make_mover):
    """R8: each of its primaries."""
    tell(cluster, '+1:1', '+1:1', '+1:1')
    cluster.asked.clear()
    mover = make_mover()
    for name in ('o', 'p', 'q'):
        mover.container(Task(ObjectName('AUTH_test', 'c', name), SILVER, Timestamp(5)))
    assert sorted((asked.server, asked.method) for asked in cluster.asked) == [
        (f'container{number}', 'HEAD') for number in (1, 2, 3)]
    assert {asked.headers['X_BACKEND_USE_REPLICATION_NETWORK'] for asked in cluster.asked} == {'true'}


def test_what_memcached_says_of_a_container_is_not_believed(cluster):
    """R8: there it still has its old policy."""
    with closing(memcacheds.Server()) as server:
        task = Task(ObjectName('AUTH_test', 'c', 'o'), SILVER, seconds_ago(5))
        cluster.memcached = server.address
        cluster.put_container('c', SILVER)
        cluster.put(task)
        assert cluster.get(task, SILVER).status == 200
        for broker in cluster.brokers('c'):
            broker.set_storage_policy_index(GOLD, Timestamp.now().internal)
        cluster.enqueue(task)
        part = part_of(cluster, 'swift_queue = take')
        part.once(never)
    assert len(cluster.files(task, GOLD)) == 3 and 'moves.cleanup-success' in part._logger.counts[0]


# what lies at the destination


def put_on(cluster, number, method, time):
    """On one object server alone."""
    part, nodes = POLICIES.get_object_ring(GOLD, str(cluster.folder)).get_nodes(*TASK.name.parts)
    node = next(node for node in nodes if node['port'] == cluster.ports[f'object{number}'])
    headers = {'X-Timestamp': time.internal, 'X-Backend-Storage-Policy-Index': str(GOLD)}
    if method == 'PUT':
        direct_put_object(node, part, *TASK.name.parts, b'body', content_length=4, headers=headers)
    else:
        direct_delete_object(node, part, *TASK.name.parts, headers=headers)


def there(cluster, **seconds):
    """What the mover learns of the destination."""
    servers = replace(servers_of(cluster.client, str(cluster.folder)), **seconds)
    return servers.replicas(TASK.name, GOLD, with_handoffs=False)


def test_nothing_is_older_than_anything(cluster):
    """R12"""
    assert there(cluster).newest_at == Timestamp.zero()


@pytest.mark.parametrize('number, method', [(1, 'PUT'), (2, 'DELETE'), (3, 'DELETE')])
def test_the_newest_of_any_primary_counts(cluster, number, method):
    """R12: an object, and a tombstone."""
    for other in (1, 2, 3):
        put_on(cluster, other, 'PUT', seconds_ago(60))
    newest = seconds_ago(30)
    put_on(cluster, number, method, newest)
    assert there(cluster).newest_at == newest


@pytest.mark.parametrize('down, is_enough', [((3,), True), ((1, 3), False)])
def test_a_majority_of_the_objects_servers_has_to_tell(cluster, down, is_enough):
    """R12"""
    with cluster.without(*(f'object{number}' for number in down)):
        assert there(cluster).has_majority == is_enough


@pytest.mark.parametrize('status, times, what', [
    (503, 1, 'cleanup_success'), (507, 2, 'unavailable_destination'), (500, 2, 'unavailable_destination')])
def test_without_word_of_the_destination_nothing_is_moved(cluster, make_mover, status, times, what):
    """R12"""
    task = misplaced(cluster)
    cluster.asked.clear()
    cluster.fail('HEAD', 'object', GOLD, status, times)
    assert make_mover().move(task).what == what
    assert bool(cluster.changes()) == (times == 1)


def test_a_server_that_hangs_does_not_hold_up_the_others_answer(cluster):
    """R12"""
    over = Event()
    cluster.hook = lambda asked: asked.server == 'object2' and over.wait()
    assert there(cluster, answer_seconds=1.0).has_majority
    over.send(Response(status=503))


# policies that wait


def look_again(policy):
    """As after ring_check_interval."""
    POLICIES.get_by_index(policy).object_ring._rtime = 0


def test_rings_are_looked_at_as_often_as_the_option_says(cluster):
    """R10, R24"""
    assert is_movable(SILVER, str(cluster.folder), 7)
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
    assert is_movable(policy, str(cluster.folder), 15) == known


def test_a_record_of_a_policy_that_is_not_known_is_tried_again(cluster, make_mover):
    """R10"""
    task = misplaced(cluster)
    outcome = make_mover().move(Task(task.name, 7, task.timestamp))
    assert (outcome.what, outcome.is_done, outcome.is_lost) == ('ppi_skip', False, False)
