"""Rows of Swift's own queue: what upstream writes is what the mover reads, moves and takes away."""
import sys

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
from helpers.mover.oneprocess import GOLD, QUEUE, SILVER
from hypothesis import given
from hypothesis import strategies as st
from swift.cli import reconciler_enqueue
from swift.common.direct_client import direct_put_container_object
from swift.common.ring import Ring
from swift.common.utils import Timestamp, encode_timestamps
from swift.container import reconciler
from swift.container.backend import ContainerBroker

from swiftahead.conf.names import ObjectName
from swiftahead.sidecar.mover.move import Task
from swiftahead.sidecar.mover.reconciler_queue import ProcessShare, ReconcilerQueue

pytestmark = LEFT_OPEN
SNEAKY = [('AUTH_test', 'c:1', 'o:2/3'), ('AUTH_tést', 'ü c', '/o//ö'), ('AUTH_test', 'c', ' a  b '),
          ('AUTH_test', '\0hidden\0c', '\0o:1\0x'), ('.acc', 'c', '1:/a/b/c'), ('AUTH_test', 'c', '%2F%00?q#f'),
          ('AUTH_test', '.', '..'), ('AUTH_test', 'c', '☃' * 300)]
BAD_ROWS = [{'name': 'bad'}, {'name': 'x:/a/c/o'}, {'name': '1:/a/c'}, {'name': '1:a/c/o'}, {'name': '1:/a//o'},
            {'name': '1:/a/c/'}, {'content_type': 'application/x-post'}, {'content_type': 'text/plain'},
            {'hash': 'not a time'}]


class ContainerListing:
    """As much of an InternalClient as listing one container takes."""

    def __init__(self, *rows):
        self.rows = rows

    def iter_containers(self, account):
        return iter([])

    def iter_objects(self, account, container):
        assert account == QUEUE
        return iter(self.rows)


def row_for(task: Task, created_at: str = '', **more) -> dict:
    """As container servers list what upstream writes."""
    created_at = created_at or task.timestamp.internal
    return {'name': reconciler.get_reconciler_obj_name(task.policy_index, *task.name.parts), 'hash': created_at,
            'content_type': reconciler.get_reconciler_content_type(task.op), 'bytes': 0,
            'last_modified': task.timestamp.isoformat, **more}


def read(*rows, logger=None):
    queue = ReconcilerQueue(ContainerListing(*rows), logger or Told(), 3600, ProcessShare(), lambda tries: 1.0,
                            lambda: NOW)
    return list(queue.rows())


def as_upstream(row) -> tuple:
    """What upstream makes of a row."""
    found = reconciler.parse_raw_obj(row)
    return (found['account'], found['container'], found['obj'], found['q_policy_index'], found['q_ts'],
            found['q_op'], found['q_record'])


def as_ours(row) -> tuple:
    task = row.task
    return *task.name.parts, task.policy_index, task.timestamp, task.op, row.written_at


PART_NAMES = st.text(st.characters(codec='utf-8'), min_size=1, max_size=20)
SEGMENTS = PART_NAMES.filter(lambda name: '/' not in name)
TASKS = st.builds(Task, st.builds(ObjectName, SEGMENTS, SEGMENTS, PART_NAMES), st.integers(0, 40),
                  st.builds(Timestamp, st.floats(1, 2e9), offset=st.integers(0, 9)),
                  st.sampled_from(['PUT', 'DELETE']))


@tries(150)
@given(TASKS)
def test_a_row_is_taken_apart_as_upstream_does(task):
    """R2, R3: whatever the names are."""
    row = row_for(task)
    assert [as_ours(found) for found in read(row)] == [as_upstream(row)]
    assert read(row)[0].task == task


@pytest.mark.parametrize('more', [(0, 0), (1800, 0), (0, 7200), (10, -20)])
def test_the_time_of_a_row_is_that_of_its_data(more):
    """R3: the first of the timestamps that its hash carries."""
    at = Timestamp(NOW - 9000)
    later = Timestamp(at, delta=more[0] * 100_000)
    encoded = encode_timestamps(at, later, Timestamp(later, delta=more[1] * 100_000))
    row = row_for(Task(ObjectName('a', 'c', 'o'), SILVER, at), encoded)
    assert read(row)[0].task.timestamp == at and as_ours(read(row)[0]) == as_upstream(row)


@pytest.mark.parametrize('bad', BAD_ROWS, ids=str)
def test_an_invalid_row_is_told_and_others_are_read(bad):
    """R6"""
    logger, good = Told(), row_for(Task(ObjectName('a', 'c', 'o'), SILVER, Timestamp(NOW)))
    assert [row.task.name.object for row in read({**good, **bad}, good, logger=logger)] == ['o']
    assert [line[:22] for line in logger.said] == ['ERROR invalid_record: ']


@pytest.mark.parametrize('op', ['PUT', 'DELETE'])
def test_what_upstream_enqueues_on_real_servers_is_read_and_popped(cluster, make_part, op):
    """R1 to R4: names with colons, slashes, spaces, reserved ones."""
    tasks = [Task(ObjectName(*names), SILVER, seconds_ago(5), op) for names in SNEAKY]
    hours = [cluster.enqueue(task) for task in tasks]
    part = make_part()
    found = list(part._rows.rows())
    assert {(row.task, row.queue_container, row.written_at) for row in found} == {
        (task, hour, task.timestamp) for task, hour in zip(tasks, hours, strict=True)}
    assert len(found) == len(tasks) == len(cluster.queued())
    for row in found:
        part._rows.pop(row)
    part._rows.flush()
    assert cluster.queued() == []


def test_a_row_lies_in_the_hour_of_the_last_modification(cluster, make_part):
    """R1: of metadata, when a POST came an hour after the data."""
    task = Task(ObjectName('AUTH_test', 'hours', 'o'), SILVER, seconds_ago(3 * 3600))
    posted = Timestamp(task.timestamp, delta=3600 * 100_000)
    encoded = encode_timestamps(task.timestamp, task.timestamp, posted)
    hour = reconciler.add_to_reconciler_queue(cluster.container_ring, *task.name.parts, SILVER, encoded, 'PUT',
                                              force=True)
    cluster.announce(hour)
    found, = make_part()._rows.rows()
    assert hour == hour_of(posted) == found.queue_container and found.task == task


def test_a_row_that_was_forced_is_popped_by_its_own_time(cluster, make_part):
    """R4: which is later than the object's; a pop at the object's would leave it."""
    task = misplaced(cluster, age=30)
    cluster.enqueue(task, force=True)
    part = make_part()
    found, = part._rows.rows()
    assert found.written_at > found.task.timestamp == task.timestamp
    part.once(never)
    assert cluster.queued() == [] and len(cluster.files(task, GOLD)) == 3


def test_a_row_that_was_put_anew_meanwhile_stays(cluster, make_part):
    """R4: with a later time than that of the pop."""
    task = misplaced(cluster)
    cluster.enqueue(task)
    part = make_part()
    found, = part._rows.rows()
    cluster.enqueue(task, force=True)
    part._rows.pop(found)
    part._rows.flush()
    assert len(cluster.queued()) == 1


def test_an_object_that_lies_right_is_only_dequeued(cluster, make_part):
    """R5"""
    task = misplaced(cluster)
    right = Task(task.name, GOLD, task.timestamp)
    before = cluster.state()
    cluster.enqueue(right)
    cluster.asked.clear()
    make_part().once(never)
    assert cluster.queued() == [] and cluster.state() == before
    assert not [asked for asked in cluster.asked if asked.server.startswith('object')]


def put_row(cluster, hour, name, **headers):
    part, nodes = cluster.container_ring.get_nodes(QUEUE, hour)
    now = Timestamp.now().internal
    for node in nodes:
        direct_put_container_object(node, part, QUEUE, hour, name, headers={
            'X-Size': 0, 'X-Etag': now, 'X-Content-Type': 'application/x-put', 'X-Timestamp': now, **headers})


def test_invalid_rows_stay_and_others_are_moved(cluster, make_part):
    """R6"""
    task = misplaced(cluster)
    hour = cluster.enqueue(task)
    for name, headers in (('0bad', {}), ('1:/a/c', {}), ('1:/a/c/o', {'X-Content-Type': 'text/plain'})):
        put_row(cluster, hour, name, **headers)
    part = make_part()
    part.once(never)
    assert cluster.queued() == ['0bad', '1:/a/c', '1:/a/c/o']
    assert sum(line.startswith('ERROR invalid_record: ') for line in part._logger.said) == 3
    assert len(cluster.files(task, GOLD)) == 3


def test_invalid_rows_are_counted(cluster, make_part):
    """R6, R25"""
    put_row(cluster, cluster.enqueue(misplaced(cluster)), '0bad')
    part = make_part()
    part.once(never)
    assert part._logger.counts.count('prefetch.moves.invalid-record') == 1


QUEUED = ('X_SIZE', 'X_ETAG', 'X_TIMESTAMP', 'X_CONTENT_TYPE', 'X_BACKEND_USE_REPLICATION_NETWORK')


@pytest.mark.parametrize('op', ['PUT', 'DELETE'])
def test_what_is_handed_over_is_what_upstream_would_have_queued(cluster, make_part, op):
    """R1 to R4: the same rows, asked for in the same way; and back again."""
    tasks = [Task(ObjectName(*names), SILVER, seconds_ago(5), op) for names in SNEAKY]
    hours = sorted({cluster.enqueue(task) for task in tasks})
    theirs, puts = [cluster.rows(hour) for hour in hours], puts_of(cluster)
    cluster.asked.clear()
    part = make_part('swift_queue = give')
    assert all(part._hand_over(task).is_done for task in tasks)
    assert [cluster.rows(hour) for hour in hours] == theirs and puts_of(cluster) == puts
    assert len(puts) == 3 * len(tasks)


def puts_of(cluster):
    """Of rows: who was asked, and with what."""
    return sorted((asked.server, asked.path, *(asked.headers[name] for name in QUEUED))
                  for asked in cluster.asked if asked.method == 'PUT' and 'X_ETAG' in asked.headers)


@pytest.mark.parametrize('down, is_done', [(1, True), (2, False)])
def test_a_majority_of_the_queues_servers_is_success(cluster, make_part, down, is_done):
    """R4"""
    task = misplaced(cluster)
    with cluster.without(*('container1', 'container2')[:down]):
        outcome = make_part('swift_queue = give')._hand_over(task)
    assert (outcome.is_done, outcome.is_lost) == (is_done, False)


@pytest.mark.parametrize('op, force', [('PUT', []), ('DELETE', ['-f'])])
def test_what_the_command_enqueues_is_moved(cluster, make_part, monkeypatch, capsys, op, force):
    """R7: swift-reconciler-enqueue, which looks for rings in /etc/swift alone."""
    task = misplaced(cluster, op)
    monkeypatch.setattr(reconciler_enqueue, 'Ring', lambda path: Ring(str(cluster.folder), ring_name='container'))
    monkeypatch.setattr(sys, 'argv', ['swift-reconciler-enqueue', '1', task.name.path, task.timestamp.internal,
                                      '-X', op, *force])
    assert reconciler_enqueue.main() is None
    hour = capsys.readouterr().out.strip()
    cluster.announce(hour)
    assert hour == hour_of(task.timestamp) and len(cluster.queued()) == 1
    make_part().once(never)
    assert cluster.queued() == [] and len(cluster.files(task, GOLD)) == 3


def broker_of(folder, account, container, root=''):
    broker = ContainerBroker(str(folder / 'x.db'), account=account, container=container)
    broker.initialize(Timestamp.now().internal, SILVER)
    if root:
        broker.set_sharding_sysmeta('Quoted-Root', root)
    return broker


@pytest.mark.parametrize('account, container, root', [
    ('AUTH_test', 'rööt:1', ''), ('.shards_AUTH_test', 'rööt:1-0-1', 'AUTH_test/r%C3%B6%C3%B6t%3A1')])
@pytest.mark.parametrize('deleted', [0, 1])
def test_rows_of_replicators_are_known_by_the_root(cluster, tmp_path, account, container, root, deleted):
    """R28, R2: a shard's rows, too, are of the container that clients know."""
    at = seconds_ago(5)
    translate = reconciler.get_row_to_q_entry_translator(broker_of(tmp_path, account, container, root))
    made = translate({'storage_policy_index': SILVER, 'name': 'o:1/ö', 'created_at': at.internal,
                      'deleted': deleted})
    found, = read({'name': made['name'], 'hash': made['etag'], 'content_type': made['content_type'],
                   'last_modified': at.isoformat})
    assert found.task == Task(ObjectName('AUTH_test', 'rööt:1', 'o:1/ö'), SILVER, at, ('PUT', 'DELETE')[deleted])
