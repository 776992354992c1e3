"""Real split brains mended: by the mover, and by upstream's daemon, whose work says what is right."""
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.mover import splits
from helpers.mover.splits import BURIED, CONTAINERS, DAEMONS, MOVED, OUTDONE, Timestamp, World, timestamp

from swiftahead.lab import Lab
from swiftahead.lab.brain import Brain

EMPTY = hashlib.md5(usedforsecurity=False).hexdigest()


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('split'), policies=splits.POLICIES, sidecar=False,
             sidecar_conf=splits.QUEUE_ONLY) as lab:
        yield lab


@pytest.fixture(scope='module')
def worlds(lab):
    """Made when first asked for: tests come in any order."""
    made: dict[str, World] = {}
    yield made
    for world in made.values():
        world.close()


@pytest.fixture(params=splits.BOTH)
def world(request, lab, worlds) -> World:
    """A cluster that was split, and its queue drained."""
    daemon = request.param
    if daemon not in worlds:
        worlds[daemon] = splits.make(lab, daemon)
        assert worlds[daemon].queued(), 'nothing was found misplaced'
        splits.drain(worlds[daemon].brain, DAEMONS[daemon])
    return worlds[daemon]


@pytest.mark.parametrize('container, name', MOVED)
def test_what_was_put_is_what_it_was(world, container, name):
    assert splits.visible(world.get(container, name)) == splits.visible(world.seen[container, name])


@pytest.mark.parametrize('container, name', MOVED)
def test_what_was_put_lies_in_its_containers_policy_alone(world, container, name):
    """Copy, tombstone and their offsets (R14, R20): a version's timestamp has one of its own."""
    policy, source = CONTAINERS[container]
    data, change = world.times[container, name]
    for files in world.files(policy, container, name).values():
        assert [(file[-5:], timestamp(file)) for file in files] == [('.data', Timestamp(change, offset=3))]
    assert tombstones(world, source, container, name) == [Timestamp(data, offset=1)] * 3


@pytest.mark.parametrize('container, name', BURIED)
def test_what_was_deleted_has_a_tombstone_in_both_policies(world, container, name):
    """R16"""
    policy, source = CONTAINERS[container]
    deleted = world.times[container, name][1]
    assert world.get(container, name).status == 404
    assert tombstones(world, policy, container, name) == [Timestamp(deleted, offset=3)] * 3
    assert tombstones(world, source, container, name) == [Timestamp(deleted, offset=1)] * 3


@pytest.mark.parametrize('container, name', OUTDONE)
def test_what_was_outdone_goes_without_a_trace(world, container, name):
    """R12: the destination has something newer, an object or a tombstone."""
    policy, source = CONTAINERS[container]
    data, _ = world.times[container, name]
    answer = world.get(container, name)
    assert (answer.status, answer.body) == (200, b'the later') if name == 'later' else answer.status == 404
    assert tombstones(world, source, container, name) == [Timestamp(data, offset=1)] * 3
    there = {timestamp(file) for files in world.files(policy, container, name).values() for file in files}
    assert len(there) == 1 and min(there) > data


def tombstones(world, policy, container, name):
    """Those of the policy's primaries, of which nothing else may be left but metadata of what was deleted."""
    files = [file for found in world.files(policy, container, name).values() for file in found]
    assert {file.rpartition('.')[2] for file in files} <= {'ts', 'meta'}, files
    return [timestamp(file) for file in files if file.endswith('.ts')]


@pytest.mark.parametrize('container', CONTAINERS)
def test_listings_name_what_is_there_with_its_size_and_time(world, container):
    rows = world.by(container).listing(world.name(container))
    gone = {name for at, name in BURIED + OUTDONE if at == container} - {'later'}
    assert not gone & set(rows)
    for name in (name for at, name in MOVED if at == container):
        seen = world.seen[container, name]
        assert rows[name]['last_modified'] == world.times[container, name][1].isoformat
        if name != 'slo' and 'symlink_path' not in rows[name]:
            assert rows[name]['bytes'] == len(seen.body)
            assert rows[name]['hash'] == seen.headers['etag']
            # listings have it without spaces
            assert rows[name]['content_type'] == seen.headers['content-type'].replace('; ', ';')


@pytest.mark.parametrize('container', CONTAINERS)
def test_replicas_of_the_container_agree(world, container):
    brain = world.by(container)
    replicas = brain.replicas(world.name(container))
    assert {(one.status, one.policy) for one in replicas} == {(200, CONTAINERS[container][0])}
    assert len(replicas) == 3 and len({one.names for one in replicas}) == 1


def test_the_queue_is_empty_and_another_pass_finds_nothing(world, lab, request):
    assert world.queued() == []
    before = {at: world.files(CONTAINERS[at[0]][0], *at) for at in MOVED + BURIED + OUTDONE}
    lab.run_daemon(DAEMONS[request.node.callspec.params['world']])
    assert before == {at: world.files(CONTAINERS[at[0]][0], *at) for at in MOVED + BURIED + OUTDONE}


def test_a_manifest_moved_is_a_manifest_and_may_be_uploaded_again(world):
    """R20"""
    raw = world.brain.get_object('slo', query='multipart-manifest=get&format=raw')
    segments = json.loads(raw.body)
    assert [segment['path'].rpartition('/')[2] for segment in segments] == ['one', 'two']
    world.put('plain', 'slo-again', raw.body, 'multipart-manifest=put')
    assert world.get('plain', 'slo-again').body == b'one' + splits.LARGE[:10]


def test_a_symlink_moved_is_a_symlink(world):
    """R20"""
    link = world.get('plain', 'link', 'symlink=get')
    assert link.headers['x-symlink-target'] == f'{world.name("plain")}/put'
    assert link.headers['etag'] == EMPTY


def test_every_version_can_be_read(world):
    """R20, R22: versions lie under reserved names in a container of their own."""
    assert len(world.seen_versions) == 2 and world.versions() == world.seen_versions
    bodies = {world.get('versioned', 'o', f'version-id={version}').body for version in world.seen_versions}
    assert bodies == {b'first', b'second'}
    assert world.get('versioned', 'o').body == b'second'


@pytest.mark.slow
def test_replicators_leave_nothing_where_it_does_not_belong_and_nothing_rises(world):
    """Copies that a half put on handoffs meet the tombstones."""
    for _ in range(2):
        for daemon in ('object-replicator', 'object-reconstructor'):
            world.brain.run_everywhere(daemon)
    for container, name in MOVED + BURIED + OUTDONE:
        brain, source = world.by(container), CONTAINERS[container][1]
        files = brain.files(source, name, world.name(container)).values()
        assert {file.rpartition('.')[2] for found in files for file in found} <= {'ts', 'meta'}, (container, name)
    for container, name in MOVED:
        assert splits.visible(world.get(container, name)) == splits.visible(world.seen[container, name])
    for container, name in BURIED:
        assert world.get(container, name).status == 404


def shard(brain):
    """Its rows are in two other containers then."""
    name = brain.places.hash(brain.account, brain.container)
    pattern = f'node*/d*/containers/*/{name[-3:]}/{name}/*.db'
    found = list(brain.lab.folder.glob(pattern))
    command = Path(sys.executable).with_name('swift-manage-shard-ranges')
    subprocess.run([command, found[0], 'find_and_replace', '2', '--enable'], check=True, capture_output=True)
    for _ in range(6):
        brain.run_everywhere('container-sharder')
        found = list(brain.lab.folder.glob(pattern))
        if all('_' in database.name for database in found):
            return
    raise AssertionError(f'not sharded: {found}')


@pytest.mark.slow
@pytest.mark.parametrize('daemon', DAEMONS)
def test_what_shards_have_rows_of_is_moved_by_the_name_of_their_root(lab, daemon):
    """R28"""
    with Brain(lab, f'sharded-{daemon}', inside=True) as brain:
        brain.put_account()
        brain.put_container('gold')
        for name in 'abcd':
            brain.put_object(name)
        shard(brain)
        put = Timestamp(time.time() - 5)
        brain.put_object('b:1', b'seen nowhere', X_Backend_Storage_Policy_Index='1', X_Timestamp=put.internal)
        # its row comes to a shard, whose replicas find that it is of another policy
        brain.run_everywhere('object-updater')
        brain.run_everywhere('container-replicator')
        assert [row for row in splits.queued(brain) if brain.container in row] == [
            f'1:/{brain.account}/{brain.container}/b:1']
        splits.drain(brain, DAEMONS[daemon])
        assert (brain.get_object('b:1').body, len(brain.files(0, 'b:1'))) == (b'seen nowhere', 3)
        assert {timestamp(file) for files in brain.files(1, 'b:1').values() for file in files} == {
            Timestamp(put, offset=1)}
        # the row of the copy comes to the shard by the updaters, too, or by way of the root
        for daemon in ('object-updater', 'container-sharder', 'container-replicator'):
            brain.run_everywhere(daemon)
        assert 'b:1' in brain.listing()
