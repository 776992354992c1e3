"""What always holds of the syncer: the newer object wins, both ways and in a ring; a dry run changes nothing; rows
of one object go one after the other."""

import sqlite3
from contextlib import closing

import pytest
from helpers.common.trying import tries
from helpers.sync import mutants
from helpers.sync.sites import BOTH_WAYS, RING, site_fixture  # noqa: F401 - a fixture
from helpers.sync.steps import ALL_NODES, Fail, Pass, Write, play, settle, steps_of_all
from helpers.sync.worlds import HOUR, ours, world_of
from hypothesis import given
from swift.common.concurrency import Timeout, sleep

# an upload that took long, and begun between the other cluster's PUT and POST, comes when both are synced
LONG_UPLOAD = (Write('put', 'a'), *ALL_NODES, Write('post', 'a'), *ALL_NODES,
               Write('put', 'a', 'b', -3 * HOUR - 10))


def converged(site, ways, steps):
    """Play the steps; all clusters come to the same."""
    world = world_of(site, ways=ways)
    try:
        for step in steps:
            play(world, step, ours)
        settle(world, ours, rounds=5)
        first, *others = (cluster.seen for cluster in world.network.clusters.values())
        assert all(first == other for other in others)
        assert not world.wrong
    finally:
        world.close()


@pytest.mark.hypothesis
@pytest.mark.holds('S12')
@tries(60)
@given(steps=steps_of_all('ab', (0.0, 0.0, -2 * HOUR)))
def test_two_clusters_that_sync_each_other_come_to_the_same(site, steps):
    converged(site, BOTH_WAYS, steps)


@pytest.mark.hypothesis
@pytest.mark.holds('S12')
@tries(60)
@given(steps=steps_of_all('abc', (0.0,)))
def test_three_clusters_in_a_ring_come_to_the_same(site, steps):
    converged(site, RING, steps)


@pytest.mark.holds('S12')
def test_an_upload_that_took_long_comes_to_both(site):
    converged(site, BOTH_WAYS, LONG_UPLOAD)


def test_an_upload_that_took_long_finds_the_mutant(site, monkeypatch):
    mutants.equal_times_taken_for_equal_bodies(monkeypatch)
    with pytest.raises(AssertionError):
        converged(site, BOTH_WAYS, LONG_UPLOAD)


def files_of(node):
    """Give the files of a node, and what its database holds."""
    with closing(sqlite3.connect(node.broker.db_file)) as connection:
        tables = [connection.execute(f'SELECT * FROM {name}').fetchall() for name in ('object', 'container_info')]
    return sorted(path for path in node.devices.rglob('*')), tables


@pytest.mark.parametrize('steps', [
    [Write('put', 'a'), Write('put', 'b'), Write('delete', 'c')],
    [Write('put', 'a'), Write('put', 'b'), Pass(0), Write('post', 'a'), Write('delete', 'b'), Write('put', 'd')],
    [Write('put', 'a'), Fail('a', 'WRITE'), Pass(0), Pass(0), Write('put', 'b')]])
def test_a_dry_run_changes_nothing_anywhere(site, steps):
    world = world_of(site)
    for step in steps:
        play(world, step, ours)
    node, = world.nodes
    # what was put is in the database's pending file until somebody looks
    points, before, there = node.points, files_of(node), dict(world.remote.versions)
    world.dry_run = True
    world.network.requests.clear()
    for _ in range(2):
        play(world, Pass(0), ours)
    assert {method for method, _ in world.network.requests} <= {'HEAD'}
    assert (node.points, files_of(node), world.remote.versions) == (points, before, there)
    world.close()


class Overlaps:
    """Sees two rows of an object under way. The first of `name` takes long, and it is written meanwhile.

    :param seconds: for which the first one waits for the second at most
    """

    def __init__(self, world, name, seconds):
        self.world, self.name, self.seconds, self.under_way, self.found = world, name, seconds, [], []

    def __call__(self, what, name):
        if what == 'answer':
            self.under_way.remove(name)
        elif what in ('HEAD', 'PUT', 'POST', 'DELETE'):
            self.found += [name] if name in self.under_way else []
            self.under_way.append(name)
            if name == self.name:
                self._wait()

    def _wait(self):
        name, self.name = self.name, None
        Write('post', name).do(self.world)
        with Timeout(self.seconds, False):
            while not self.found:
                sleep(0.01)


def overlaps_of(site, seconds):
    world = world_of(site, concurrency=2)
    for name in 'abcdef':
        play(world, Write('put', name), ours)
    seen = world.network.step = Overlaps(world, 'a', seconds)
    play(world, Pass(0), ours)
    assert seen.under_way == [] and world.network.requests.count(('HEAD', 'a')) == 2
    world.close()
    return seen.found


def test_rows_of_one_object_are_sent_one_after_the_other(site):
    assert overlaps_of(site, 0.5) == []


def test_a_long_put_finds_the_mutant(site, monkeypatch):
    mutants.rows_of_one_object_at_the_same_time(monkeypatch)
    with pytest.raises(AssertionError):
        assert overlaps_of(site, 60) == []
