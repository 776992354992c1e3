"""Containers in step with those of other clusters: after kills, with nodes away, and after many changes."""
import random
import signal
from contextlib import suppress

import pytest
from helpers.lab import clients, killing
from helpers.sync import looking
from helpers.sync.clusters import clusters
from swiftclient import ClientException

pytestmark = pytest.mark.slow
# in the pass that is killed six rows are new, and three are looked at once more
POINTS = [f'{when} {what}' for what in (
              'HEAD remote 1', 'HEAD remote 5', 'PUT remote 1', 'PUT remote 3', 'POST remote 1', 'DELETE remote 1',
              'points 1', 'points 2', 'ledger 1', 'ledger 2') for when in ('before', 'after')]
POINTS += ['amid sent 1', 'amid sent 3']


def get_into_step(ring, container, *numbers, source=0):
    """Make passes until all is sent."""
    def is_sent():
        ring.sync(source)
        return ring.are_equal(container, *numbers)
    clients.until(is_sent, 'all is sent')


def same_objects(ring, container, *numbers):
    """Every header and byte."""
    for name in ring[numbers[0]].names(container):
        first, *others = (looking.stored(ring[number], container, name) for number in numbers)
        assert all(other == first for other in others)


# killed

@pytest.fixture
def half_sent(ring, linked):
    """A container with rows for a second look, and new ones of each kind."""
    container = linked((0, 1))
    for name in ('over', 'posted', 'deleted', 'left', 'empty', 'large'):
        ring[0].put(container, name, b'' if name == 'empty' else b'x' * 100_000)
    ring.sync(0)
    for name in ('over', 'new 1', 'new 2', 'new empty'):
        ring[0].put(container, name, b'' if name == 'new empty' else b'y' * 100_000)
    ring[0].post(container, 'posted', {'X-Object-Meta-Colour': 'blue'})
    ring[0].delete(container, 'deleted')
    return container


def unsent(ring, container):
    """Names up to the second sync point that the sides do not have alike."""
    ours, theirs = ({row.name: row for row in ring[number].listing(container)} for number in (0, 1))
    return [name for name in looking.names_up_to(ring[0], container, looking.points(ring[0], container)[1])
            if ours.get(name) != theirs.get(name)]


@pytest.mark.holds('S6')
@pytest.mark.parametrize('at', POINTS)
def test_a_pass_that_is_killed_is_gone_on_with(ring, half_sent, at):
    assert killing.run(ring[0].lab, 'syncer1', at) == -signal.SIGKILL
    assert unsent(ring, half_sent) == []
    get_into_step(ring, half_sent, 0, 1)
    same_objects(ring, half_sent, 0, 1)


@pytest.mark.holds('S6')
@pytest.mark.parametrize('seed', range(3))
def test_a_daemon_that_is_killed_again_and_again_gets_into_step(ring, linked, seed):
    chance, lab, container = random.Random(seed), ring[0].lab, linked((0, 1))
    for number in range(60):
        ring[0].put(container, f'o{number}', b'z' * chance.randrange(50_000))
    for _ in range(4):
        wanted = len(looking.sent(ring[1], container, 'HEAD', 'PUT')) + chance.randrange(1, 60)
        lab.start('syncer1')
        clients.until(lambda wanted=wanted: len(looking.sent(ring[1], container, 'HEAD', 'PUT')) >= wanted
                      or ring.are_equal(container, 0, 1), 'enough is asked')
        lab.stop('syncer1', signal.SIGKILL)
        assert unsent(ring, container) == []
    get_into_step(ring, container, 0, 1)
    same_objects(ring, container, 0, 1)


# others are away

def test_a_cluster_that_is_down_gets_all_when_it_is_up_again(ring, linked):
    container = linked((0, 1))
    for number in range(60):
        ring[0].put(container, f'o{number}')
    ring[1].lab.stop('proxy1')
    try:
        log = ring.sync(0) + ring.sync(0)
    finally:
        ring[1].lab.start('proxy1')
    assert 'connection refused; see that the proxy runs there' in log
    assert looking.points(ring[0], container)[1] <= 0
    get_into_step(ring, container, 0, 1)


@pytest.mark.holds('S6')
def test_many_rows_that_fail_keep_no_others_from_being_sent(ring, linked):
    container = linked((0, 1))
    hidden = []
    for number in range(40):
        ring[0].put(container, f'bad{number}', b'body')
        hidden += looking.files(ring[0], container, f'bad{number}')
    for path in hidden:
        path.rename(path.parent.parent / path.name)
    good = [f'good{number}' for number in range(10)]
    for name in good:
        ring[0].put(container, name)
    clients.until(lambda: ring.sync(0) and ring[1].names(container) == good, 'the good ones are sent')
    assert looking.points(ring[0], container)[1] <= 0
    for path in hidden:
        (path.parent.parent / path.name).rename(path)
    get_into_step(ring, container, 0, 1)


# three replicas on three nodes

@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    with clusters(tmp_path_factory.mktemp('pair'), nodes=3, replicas=3) as pair:
        yield pair


def sent_by(pair, container, node):
    """Names that a pass of one node's syncer sends."""
    before = looking.sent(pair[1], container, 'PUT')
    pair[0].lab.run_daemon('syncer', node)
    return [one.name for one in looking.sent(pair[1], container, 'PUT')[len(before):]]


@pytest.fixture
def thirty(pair):
    container = pair.linked((0, 1))
    for number in range(30):
        pair[0].put(container, f'o{number}')
    yield container
    pair.unlink(container)


@pytest.mark.holds('S6', 'S7')
def test_each_node_sends_its_share(pair, thirty):
    shares = [sent_by(pair, thirty, node) for node in (1, 2, 3)]
    assert all(shares)
    assert sorted(name for share in shares for name in share) == pair[0].names(thirty)
    assert pair.are_equal(thirty)


@pytest.mark.holds('S6')
def test_the_share_of_a_node_that_is_down_is_sent_by_the_second_look_of_the_others(pair, thirty):
    for node in (2, 3):
        sent_by(pair, thirty, node)
    missing = set(pair[0].names(thirty)) - set(pair[1].names(thirty))
    assert missing
    assert set(sent_by(pair, thirty, 3)) == missing
    assert pair.are_equal(thirty)
    assert sent_by(pair, thirty, 2) == []


@pytest.mark.holds('S6', 'S9')
def test_a_node_that_missed_rows_gets_them_and_sends_them(pair):
    lab, container = pair[0].lab, pair.linked((0, 1))
    lab.stop('container1')
    for number in range(12):
        pair[0].put(container, f'o{number}')
    lab.start('container1')
    for node in (1, 2, 3):
        lab.run_daemon('container-replicator', node)
    for _ in range(2):
        pair.sync(0)
    pair.wait_equal(container)
    assert [looking.points(pair[0], container, node)[1] for node in (1, 2, 3)] == [12] * 3


@pytest.mark.holds('S6')
def test_both_daemons_take_over_from_each_other(ring, linked):
    container = linked((0, 1))
    for turn in range(4):
        ring[0].put(container, f'o{turn}')
        ring.sync(0, upstream=bool(turn % 2))
    assert ring.are_equal(container, 0, 1)
    assert looking.points(ring[0], container) == (4, 3)


# all at once

@pytest.mark.holds('S12')
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('routes', [((0, 1), (1, 0)), ((0, 1), (1, 2), (2, 0))])
def test_clusters_get_into_step_whatever_changes(ring, linked, routes, seed):
    chance, container = random.Random(seed), linked(*routes)
    numbers = [source for source, _ in routes]
    for _ in range(6):
        for _ in range(8):
            change(chance, ring[chance.choice(numbers)], container)
        number = chance.choice(numbers)
        ring.sync(number, upstream=number == 1 and seed % 2 == 1)

    def are_in_step():
        ring.sync(*numbers)
        return ring.are_equal(container, *numbers)
    clients.until(are_in_step, 'all are in step')
    same_objects(ring, container, *numbers)


def change(chance, side, container):
    """Change an object, if it is there."""
    name, what = f'o{chance.randrange(5)}', chance.choice(('put', 'put', 'post', 'type', 'delete'))
    with suppress(ClientException):
        if what == 'put':
            side.put(container, name, b'abc'[:chance.randrange(4)], {'X-Object-Meta-Put': str(chance.random())})
        elif what == 'delete':
            side.delete(container, name)
        elif what == 'type':
            side.post(container, name, {'Content-Type': f'text/x-{chance.randrange(9)}'})
        else:
            side.post(container, name, {'X-Object-Meta-Post': str(chance.random())})
