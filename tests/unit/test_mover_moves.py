"""One object's move on real servers: what is carried, what failures leave, and what clients do meanwhile."""
import time
from dataclasses import replace
from hashlib import md5
from urllib.parse import quote

import pytest
from helpers.common.builders import never
from helpers.mover.moving import (  # noqa: F401 - fixtures
    LEFT_OPEN,
    Told,
    check_moved,
    collected,
    hour_of,
    make_cluster,
    misplaced,
    mover_maker,
    names,
    part_maker,
    reconcile,
    seconds_ago,
)
from helpers.mover.oneprocess import GOLD, SILVER
from swift.common.direct_client import direct_put_container, direct_put_container_object, direct_put_object
from swift.common.storage_policy import POLICIES
from swift.common.swob import wsgi_to_str
from swift.common.utils import Timestamp

from swiftahead.conf.names import ObjectName
from swiftahead.sidecar.mover.move import Task

pytestmark = LEFT_OPEN
DAY = 86400


# what is asked of whom


def test_the_destination_is_asked_before_the_source(cluster, make_mover):
    """R12, R13, R15: and each step in its own policy."""
    task = misplaced(cluster)
    cluster.asked.clear()
    assert make_mover().move(task).is_done
    steps = [(asked.method, asked.policy) for asked in cluster.asked if asked.server.startswith('object')]
    assert list(dict.fromkeys(steps)) == [('HEAD', GOLD), ('GET', SILVER), ('PUT', GOLD), ('DELETE', SILVER)]
    check_moved(cluster, task)


@pytest.mark.parametrize('newer', [0, 1])
@pytest.mark.parametrize('op', ['PUT', 'DELETE'])
def test_what_is_there_already_or_newer_is_only_cleaned_up(cluster, make_mover, newer, op):
    """R12: an object, or a tombstone."""
    task = misplaced(cluster, age=100)
    there = Task(task.name, GOLD, Timestamp(task.timestamp, delta=newer * 100_000))
    if op == 'PUT':
        cluster.put(there, b'there')
    else:
        cluster.delete(there)
    cluster.asked.clear()
    assert make_mover().move(task).is_done
    assert cluster.changes() == [('DELETE', SILVER)]
    assert cluster.files(task, GOLD) == names(there.timestamp, 0, 'data' if op == 'PUT' else 'ts')
    assert cluster.files(task, SILVER) == names(task.timestamp, 1, 'ts')


def test_a_newer_source_is_moved_as_it_is(cluster, make_mover):
    """R13, R14: at its own time; the tombstone at the record's would end what the record does not know."""
    task = misplaced(cluster, age=100)
    newer = Task(task.name, SILVER, seconds_ago(50))
    cluster.put(newer, b'newer')
    assert make_mover().move(task).what == 'cleanup_failed'
    assert cluster.files(task, GOLD) == names(newer.timestamp, 3, 'data')
    assert cluster.files(task, SILVER) == names(newer.timestamp, 0, 'data')
    assert make_mover().move(newer).is_done and cluster.get(task, GOLD).body == b'newer'


def test_a_local_record_of_a_newer_source_is_done_with_it(cluster, make_mover):
    """Nobody would put another record of it."""
    task = replace(misplaced(cluster, age=100), is_local=True)
    newer = Task(task.name, SILVER, seconds_ago(50))
    cluster.put(newer, b'newer')
    assert make_mover().move(task).is_done
    assert cluster.files(task, GOLD) == names(newer.timestamp, 3, 'data')
    assert cluster.files(task, SILVER) == names(newer.timestamp, 1, 'ts')


def test_a_local_record_whose_newer_source_was_copied_before_a_crash_is_done_with_it(cluster, make_mover):
    task = replace(misplaced(cluster, age=100), is_local=True)
    newer = Task(task.name, SILVER, seconds_ago(50))
    cluster.put(newer, b'newer')
    assert make_mover().move(replace(task, is_local=False)).what == 'cleanup_failed'
    cluster.asked.clear()
    assert make_mover().move(task).is_done
    assert set(cluster.changes()) == {('DELETE', SILVER)}
    assert cluster.files(task, SILVER) == names(newer.timestamp, 1, 'ts')


def test_what_a_post_changed_is_moved_at_the_time_of_the_post(cluster, make_mover):
    """R14"""
    task = misplaced(cluster, age=100)
    posted = seconds_ago(50)
    cluster.request('POST', *task.name.parts, X_Timestamp=posted.internal, X_Backend_Storage_Policy_Index=SILVER,
                    X_Object_Meta_Colour='blue')
    assert make_mover().move(Task(task.name, SILVER, posted)).is_done
    assert cluster.files(task, GOLD) == names(posted, 3, 'data')
    assert cluster.get(task, GOLD).headers['X-Object-Meta-Colour'] == 'blue'


def test_a_source_that_is_older_than_the_record_is_waited_for(cluster, make_mover):
    """R13: what was seen is somewhere else in the cluster."""
    task = misplaced(cluster, age=100)
    before = cluster.state()
    outcome = make_mover().move(Task(task.name, SILVER, seconds_ago(50)))
    assert (outcome.what, outcome.is_done, outcome.is_lost) == ('unavailable_source', False, False)
    assert cluster.state() == before


# what is carried

CARRIED = {
    'X_Object_Sysmeta_Slo_Etag': 's', 'X_Object_Sysmeta_Slo_Size': '7', 'X_Static_Large_Object': 'True',
    'X_Object_Transient_Sysmeta_Crypto_Meta': '{"key": "t"}', 'X_Object_Sysmeta_Crypto_Body_Meta': '{"iv": "u"}',
    'X_Object_Sysmeta_Container_Update_Override_Etag': 'from elsewhere; x=y',
    'X_Object_Sysmeta_Container_Update_Override_Size': '4711', 'X_Object_Meta_Ünicode': 'ö ☃',
    'X_Object_Sysmeta_Symlink_Target': 'c/t', 'X_Object_Meta_Empty': '',
    'Content_Type': 'text/x; charset=utf-8;a=b', 'Content_Encoding': 'gzip',
    'Content_Disposition': 'attachment; filename="a b"', 'Content_Language': 'de', 'Cache_Control': 'max-age=1',
    'X_Robots_Tag': 'none', 'Expires': 'Fri, 01 Jan 2038 00:00:00 GMT'}
PASSING = ('x-trans-id', 'x-openstack-request-id', 'date', 'x-backend-timestamp', 'x-backend-data-timestamp',
           'x-backend-durable-timestamp')


def carried(answer):
    return {key: value for key, value in answer.headers.items() if key.lower() not in PASSING}


def listed(cluster, task):
    return [broker.list_objects_iter(9, '', '', '', '', storage_policy_index=policy)
            for broker in cluster.brokers(task.name.container) for policy in (SILVER, GOLD)]


def test_all_headers_are_carried_as_they_are(cluster, make_mover):
    """R18, R19: nothing of the mover's client acts on them."""
    task = misplaced(cluster, X_Delete_At=str(int(time.time()) + 1000), X_Object_Manifest='c/p', **CARRIED)
    seen = cluster.get(task, SILVER)
    assert make_mover().move(task).is_done
    moved = cluster.get(task, GOLD)
    assert carried(moved) == carried(seen) and moved.body == seen.body
    # an empty one is none
    assert {key.replace('_', '-').lower() for key, value in CARRIED.items() if value} <= {
        wsgi_to_str(key).lower() for key in moved.headers}


def test_the_row_in_the_listing_is_carried(cluster, make_mover):
    """R18: what is listed is not what lies there, but what its writer had said."""
    task = misplaced(cluster, **CARRIED)
    before = listed(cluster, task)
    assert make_mover().move(task).is_done
    after = listed(cluster, task)
    # (name, time, size, type, hash) in SILVER, then in GOLD, of each of the databases
    assert [rows[0][2:] for rows in before[::2]] == [(4711, 'text/x; charset=utf-8;a=b',
                                                      'from elsewhere; x=y')] * 3
    assert [rows[0][2:] for rows in after[1::2]] == [rows[0][2:] for rows in before[::2]]
    assert after[::2] == [[]] * 3


def put_manifest(cluster, task):
    """As SLO has it stored; proxy-server takes it from SLO alone."""
    part, nodes = POLICIES.get_object_ring(SILVER, str(cluster.folder)).get_nodes(*task.name.parts)
    for node in nodes:
        direct_put_object(
            node, part, *task.name.parts, b'[{"hash": "h"}]', content_length=15,
            content_type='text/x;charset=utf-8;swift_bytes=4711', headers={
                'X-Timestamp': task.timestamp.internal, 'X-Backend-Storage-Policy-Index': str(SILVER),
                'X-Static-Large-Object': 'True', 'X-Object-Sysmeta-Slo-Size': '4711'})


def test_a_manifest_is_carried_as_upstreams_daemon_does_it(cluster, make_mover):
    """R18, R20: proxy-server tells nobody the size that SLO has put into the type, so listings lose it."""
    at = seconds_ago(20)
    tasks = [Task(ObjectName('AUTH_test', f'c{number}', 'o'), SILVER, at) for number in (1, 2)]
    for task in tasks:
        cluster.put_container(task.name.container)
        put_manifest(cluster, task)
    assert make_mover().move(tasks[0]).is_done
    cluster.enqueue(tasks[1])
    reconcile(cluster)
    assert cluster.queued() == []
    assert carried(cluster.get(tasks[0], GOLD)) == carried(cluster.get(tasks[1], GOLD))
    assert [rows[0][2:] for task in tasks for rows in listed(cluster, task)[1::2]] == [
        (15, 'text/x;charset=utf-8', md5(b'[{"hash": "h"}]', usedforsecurity=False).hexdigest())] * 6


@pytest.mark.parametrize('size', [0, 65536, 300_001])
def test_bodies_of_any_size_are_carried(cluster, make_mover, size):
    """R21"""
    body = bytes(range(256)) * (size // 256) + b'x' * (size % 256)
    task = misplaced(cluster, body=body)
    assert make_mover().move(task).is_done
    check_moved(cluster, task, body)


def test_a_body_that_breaks_off_leaves_nothing(cluster, make_mover):
    """R21"""
    task = misplaced(cluster, body=b'x' * 1000)
    before, whole = cluster.state(), cluster.get(task, SILVER)

    def cut(env, start_response):
        start_response('200 OK', [(key, value) for key, value in whole.headers.items()])
        yield b'x' * 500
        raise OSError('the disk is gone')
    cluster.hook = lambda asked: cut if (asked.method, asked.policy) == ('GET', SILVER) else None
    mover = make_mover()
    outcome = mover.move(task)
    assert not outcome.is_done and not outcome.is_lost and cluster.state() == before
    cluster.hook = lambda asked: None
    assert mover.move(task).is_done
    check_moved(cluster, task, b'x' * 1000)


# what replicators find


@pytest.mark.parametrize('op', ['PUT', 'DELETE'])
def test_what_replicators_queue_is_moved(cluster, make_part, op):
    """R1 to R4: rows by the objects' own times, in the hour of these; popped for good."""
    task = misplaced(cluster, op)
    cluster.announce(hour_of(task.timestamp))
    cluster.replicate()
    assert cluster.queued() == [f'{SILVER}:{task.name.path}']
    make_part().once(never)
    cluster.replicate()
    assert cluster.queued() == [] and len(cluster.files(task, GOLD)) == 3


def put_shard(cluster, task):
    """A shard of the task's container, with the object's row."""
    account, container = f'.shards_{task.name.account}', f'{task.name.container}-0-1'
    headers = {'X-Container-Sysmeta-Shard-Quoted-Root': quote(f'{task.name.account}/{task.name.container}'),
               'X-Timestamp': task.timestamp.internal, 'X-Backend-Storage-Policy-Index': '0'}
    row = {'X-Size': '4', 'X-Etag': 'e', 'X-Content-Type': 'a/b', 'X-Timestamp': task.timestamp.internal,
           'X-Backend-Storage-Policy-Index': str(task.policy_index)}
    part, nodes = cluster.container_ring.get_nodes(account, container)
    for node in nodes:
        direct_put_container(node, part, account, container, headers=headers)
        direct_put_container_object(node, part, account, container, task.name.object, headers=row)


def test_a_row_in_a_shard_is_queued_and_moved_by_the_name_of_the_root(cluster, make_part):
    """R28: the shard's own name is nowhere, neither in the queue nor on an object server."""
    task = Task(ObjectName('AUTH_test', 'rööt:1', 'o:1/ö'), SILVER, seconds_ago(10))
    cluster.put_container(task.name.container)
    cluster.put(task)
    for broker in cluster.brokers(task.name.container):
        # the root of a sharded container has no rows of its own
        with broker.get() as connection:
            connection.execute('DELETE FROM object')
            connection.commit()
    put_shard(cluster, task)
    cluster.announce(hour_of(task.timestamp))
    cluster.replicate()
    assert cluster.queued() == [f'{SILVER}:{task.name.path}']
    make_part().once(never)
    assert cluster.queued() == [] and len(cluster.files(task, GOLD)) == 3
    assert not [asked for asked in cluster.asked if asked.server.startswith('object') and 'shards' in asked.path]
