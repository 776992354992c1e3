"""Labs that are clusters of one realm. Upstream's container-sync shows that containers can be synced there."""
import json
import shutil
import socket
from configparser import ConfigParser
from urllib.parse import urlsplit

import pytest
from helpers.lab import labs
from helpers.sync.clusters import SMALL, clusters

from swiftahead.cli import main
from swiftahead.lab import Lab


@pytest.fixture(scope='module')
def ring(tmp_path_factory):
    """Three clusters."""
    with clusters(tmp_path_factory.mktemp('ring'), 3) as ring:
        yield ring


def endpoints(lab):
    conf = ConfigParser()
    conf.read(lab.swift_dir / 'container-sync-realms.conf')
    return {name.removeprefix('cluster_'): url for name, url in conf.items('lab') if name.startswith('cluster_')}


def current(lab):
    """Clusters that the lab's proxy tells of, and whether each is itself."""
    told = json.loads(labs.request(lab, 'GET', '/info').body)['container_sync']['realms']['LAB']['clusters']
    return {name: cluster.get('current', False) for name, cluster in told.items()}


def test_every_cluster_of_a_ring_knows_all_endpoints(ring):
    urls = {side.lab.cluster: f'{side.lab.urls[0]}/v1/' for side in ring.sides}
    assert list(urls) == ['lab', 'lab2', 'lab3']
    assert [endpoints(side.lab) for side in ring.sides] == [urls] * 3


@pytest.mark.holds('S5')
def test_every_proxy_tells_which_cluster_it_belongs_to(ring):
    for side in ring.sides:
        name = side.lab.cluster.upper()
        assert current(side.lab) == {**dict.fromkeys(('LAB', 'LAB2', 'LAB3'), False), name: True}


@pytest.mark.parametrize('source, target', [(0, 1), (1, 0), (0, 2)])
def test_a_container_is_synced_one_way(ring, source, target):
    container = ring.linked((source, target))
    ring[source].put(container, 'o', b'sent', {'X-Object-Meta-Colour': 'red'})
    ring[target].put(container, 'stays')
    ring.sync(source, target, upstream=True)
    headers, body = ring[target].read(container, 'o')
    assert (headers['x-object-meta-colour'], body) == ('red', b'sent')
    assert ring[source].names(container) == ['o']


def test_what_is_deleted_and_posted_is_synced_too(ring):
    container = ring.linked((0, 1), (1, 2))
    ring[0].put(container, 'changed')
    ring[0].put(container, 'deleted')
    ring.sync(0, 1, upstream=True)
    ring[0].post(container, 'changed', {'X-Object-Meta-Colour': 'blue'})
    ring[0].delete(container, 'deleted')
    ring.sync(0, 1, upstream=True)
    assert ring[2].read(container, 'changed')[0]['x-object-meta-colour'] == 'blue'
    ring.wait_equal(container)


def test_a_container_is_synced_both_ways_and_the_newer_object_wins(ring):
    container = ring.linked((0, 1), (1, 0))
    ring[0].put(container, 'both', b'older')
    ring[1].put(container, 'both', b'newer')
    ring[0].put(container, 'first')
    ring[1].put(container, 'second')
    ring.sync(0, 1, upstream=True)
    ring.wait_equal(container, 0, 1)
    assert ring[0].names(container) == ['both', 'first', 'second']
    assert ring[0].read(container, 'both')[1] == b'newer'


def test_a_container_is_synced_round_the_ring(ring):
    container = ring.linked((0, 1), (1, 2), (2, 0))
    for number, side in enumerate(ring.sides):
        side.put(container, f'from-{number}')
    ring.sync(0, 1, 2, 0, 1, upstream=True)
    ring.wait_equal(container)
    assert ring[0].names(container) == ['from-0', 'from-1', 'from-2']


def test_a_key_that_differs_is_refused(ring):
    container = ring.linked((0, 1))
    ring[1].client.post_container(container, {'X-Container-Sync-Key': 'another'})
    ring[0].put(container, 'o')
    assert 'Unauth' in ring.sync(0, upstream=True)
    assert ring[1].names(container) == []


def test_containers_of_three_replicas_are_synced_by_a_pass_on_every_node(tmp_path):
    with clusters(tmp_path, nodes=3, replicas=3) as pair:
        container = pair.linked((0, 1), (1, 0))
        for number in range(60):
            pair[number % 2].put(container, f'o{number}')
        assert pair[0].nodes == [1, 2, 3]
        pair.sync(0, 1, upstream=True)
        assert len(pair[0].names(container)) == 60
        pair.wait_equal(container)


def test_upstreams_daemon_syncs_where_it_stays(ring):
    container = ring.linked((2, 0))
    ring[2].put(container, 'o')
    ring[2].lab.start('container-sync1')
    try:
        ring.wait_equal(container, 0, 2)
    finally:
        ring[2].lab.stop('container-sync1')


def test_every_node_has_a_syncer_that_is_not_started(ring):
    lab = ring[0].lab
    syncer, server = ConfigParser(), ConfigParser()
    syncer.read(lab.conf_path('syncer1'))
    server.read(lab.conf_path('container1'))
    told = [(conf[section]['devices'], conf[section]['bind_port'])
            for conf, section in ((syncer, 'syncer'), (server, 'DEFAULT'))]
    assert told[0] == told[1]
    assert 'cache_dir' not in syncer['sidecar']
    assert lab.pid('syncer1') is None


@pytest.mark.holds('S4')
def test_a_peer_is_told_of_a_port_that_changed(tmp_path):
    with clusters(tmp_path) as pair:
        first, second = (side.lab for side in pair.sides)
        second.down()
        with socket.create_server(('127.0.0.1', urlsplit(second.urls[0]).port)):
            Lab.load(second.folder).up()
        again = Lab.load(second.folder)
        assert again.urls != second.urls
        assert endpoints(first)['lab2'] == f'{again.urls[0]}/v1/'
        assert current(again) == {'LAB': False, 'LAB2': True}


def test_a_peer_may_be_down_and_knows_the_lab_when_it_is_up_again(tmp_path):
    with Lab(tmp_path / 'a', **SMALL) as first:
        pass
    with Lab(tmp_path / 'b', **SMALL, peers=[first.folder]) as second, Lab(tmp_path / 'a', **SMALL) as first:
        assert current(first) == {'LAB': True, 'LAB2': False}
        assert first.peers == {'lab2': second.folder}


def test_a_peer_whose_folder_is_gone_is_left_out(tmp_path):
    with clusters(tmp_path) as pair:
        first, second = (side.lab for side in pair.sides)
    shutil.rmtree(second.folder)
    with Lab.load(first.folder) as first:
        assert current(first) == {'LAB': True}
        assert first.peers == {}


def test_the_command_puts_a_peer_up_and_tells_of_it(tmp_path, capsys):
    folders = [str(tmp_path / name) for name in 'ab']
    options = ['--nodes', '1', '--replicas', '1', '--policies', 'gold', '--no-filter', '--json',
               '--peer', folders[0], '--cluster', 'east']
    with Lab(folders[0], **SMALL):
        try:
            assert main(['lab', 'up', '--dir', folders[1], *options]) == 0
            told = json.loads(capsys.readouterr().out)
            assert (told['cluster'], told['peers']) == ('east', {'lab': folders[0]})
        finally:
            assert main(['lab', 'down', '--dir', folders[1]]) == 0
        capsys.readouterr()
        assert main(['lab', 'status', '--dir', folders[0]]) == 0
        assert f'cluster //lab/lab, with //lab/east in {folders[1]}\n' in capsys.readouterr().out
