"""Containers that cannot be synced, rows that cannot be sent: what is told of them, and that others go on."""
from contextlib import closing

import pytest
from helpers.lab import clients, labs
from helpers.sync import looking
from helpers.sync.clusters import ACCOUNT

# containers that are not synced

def not_synced(ring, container, log):
    """Reason and remedy, which the log and the ledger tell; other containers go on."""
    told = looking.known(ring[0], container)
    assert told and told.why and told.remedy
    assert f'{container} is not synced: {told.why}; {told.remedy}\n' in log
    return told.why, told.remedy


@pytest.fixture
def other(ring, linked):
    """A container that is synced while another is not."""
    container = linked((0, 1))
    ring[0].put(container, 'o')
    yield container
    assert ring[1].names(container) == ['o']


@pytest.mark.holds('S1', 'S4')
@pytest.mark.parametrize('target, why', [
    ('//lab/nowhere/AUTH_test/c', "No cluster endpoint for 'lab' 'nowhere'"),
    ('//nowhere/lab/AUTH_test/c', "No realm key for 'nowhere'")])
def test_an_unknown_target_is_named(ring, linked, other, target, why):
    container = linked()
    ring[0].link(container, ring[1].sync_to(container))
    ring[0].put(container, 'o')
    looking.change_metadata(ring[0], container, {'X-Container-Sync-To': target})
    told = not_synced(ring, container, ring.sync(0))
    assert why in told[0] and 'container-sync-realms.conf' in told[1]


@pytest.mark.holds('S7', 'S16')
def test_a_container_with_versioning_is_named(ring, linked, other):
    container = linked((0, 1))
    ring[0].put(container, 'o')
    looking.change_metadata(ring[0], container, {'X-Container-Sysmeta-Versions-Container': 'versions'})
    why, remedy = not_synced(ring, container, ring.sync(0))
    assert 'versioning' in why
    assert ring[1].names(container) == []


def test_a_container_is_not_synced_to_itself(ring, linked, other):
    container = linked((0, 0))
    ring[0].put(container, 'o')
    assert not_synced(ring, container, ring.sync(0))[0] == 'its X-Container-Sync-To is the container itself'
    assert looking.sent(ring[0], container) == []


@pytest.mark.holds('S1')
def test_a_container_without_a_key_is_skipped(ring, linked, other):
    container = linked((0, 1))
    ring[0].put(container, 'o')
    looking.change_metadata(ring[0], container, {'X-Container-Sync-Key': ''})
    assert 'no X-Container-Sync-Key; set both, or neither' in ring.sync(0)
    assert ring[1].names(container) == []


# the other side refuses

@pytest.mark.holds('S3', 'S6', 'S17')
def test_another_key_is_refused_until_it_is_mended(ring, linked, other):
    container = linked((0, 1))
    ring[0].put(container, 'o')
    ring[1].client.post_container(container, {'X-Container-Sync-Key': 'another'})
    log = ring.sync(0)
    assert f'{container}/o: answered 401 Unauthorized; see that' in log
    assert "compare the realm's key" in log
    assert 'another' not in log and 'secret' not in log and 'changeme' not in log
    ring[1].client.post_container(container, {'X-Container-Sync-Key': 'secret'})
    ring.sync(0)
    ring.wait_equal(container, 0, 1)


@pytest.mark.holds('S17')
def test_a_container_that_is_missing_there_is_told(ring, linked, other):
    container = linked((0, 1))
    ring[0].put(container, 'o')
    ring[1].client.delete_container(container)
    assert 'answered 401 Unauthorized; see that the container is there' in ring.sync(0)
    assert looking.points(ring[0], container)[1] == -1
    ring[1].client.put_container(container, {'X-Container-Sync-Key': 'secret'})
    ring.sync(0)
    ring.wait_equal(container, 0, 1)


# rows that fail

@pytest.mark.holds('S6', 'S9')
def test_a_row_that_fails_holds_up_no_other_and_is_sent_when_it_is_mended(ring, linked):
    container = linked((0, 1))
    for number in range(5):
        ring[0].put(container, f'o{number}')
    ring.sync(0)
    ring[0].put(container, 'bad', b'body')
    for number in range(5, 10):
        ring[0].put(container, f'o{number}')
    bad, = looking.files(ring[0], container, 'bad')
    hidden = bad.rename(bad.parent.parent / bad.name)
    ring.sync(0, 0)
    assert ring[1].names(container) == [f'o{number}' for number in range(10)]
    assert looking.points(ring[0], container) == (11, 5)
    assert looking.known(ring[0], container).failed_rows == 1
    hidden.rename(bad)
    clients.until(lambda: ring.sync(0) and looking.points(ring[0], container) == (11, 11), 'all is sent')
    ring.wait_equal(container, 0, 1)


@pytest.mark.holds('S6', 'S17')
def test_an_object_that_the_other_side_refuses_holds_up_no_other(ring, linked):
    container = linked((0, 1))
    ring[1].client.post_container(container, {'X-Container-Meta-Quota-Bytes': '100'})
    ring[0].put(container, 'too large', b'x' * 1000)
    ring[0].put(container, 'o')
    assert 'answered 413 Request Entity Too Large; raise max_file_size, or the quota' in ring.sync(0)
    ring.sync(0)
    assert ring[1].names(container) == ['o']
    assert looking.points(ring[0], container) == (2, 0)
    ring[1].client.post_container(container, {'X-Remove-Container-Meta-Quota-Bytes': 'x'})
    clients.until(lambda: ring.sync(0) and looking.points(ring[0], container) == (2, 2), 'all is sent')
    ring.wait_equal(container, 0, 1)


# a container that is sharded

@pytest.mark.holds('S7')
def test_a_sharded_container_is_named(ring, linked, other):
    container = linked((0, 1))
    for number in range(10):
        ring[0].put(container, f'o{number}')
    admin = labs.connection(ring[0].lab, 'admin:admin', 'admin')
    url = f'{ring[0].lab.urls[0]}/v1/{ACCOUNT}'
    with closing(admin):
        _, token = admin.get_auth()
        labs.swiftclient.post_container(url, token, container, {'X-Container-Sharding': 'on'})
    options = {'auto_shard': 'true', 'shard_container_threshold': '4'}
    with looking.configured(ring[0].lab.conf_path('container1'), **{'container-sharder': options}):
        for _ in range(3):
            print(ring[0].lab.run_daemon('container-sharder', 1))
    why, remedy = not_synced(ring, container, ring.sync(0))
    assert why.startswith('it is sharded')
    assert ring[1].names(container) == []
