"""A crash at any step of a pass, or a request that fails there: work is done again, and no row is left out."""
from contextlib import suppress
from unittest import mock

import pytest
from helpers.sync import mutants
from helpers.sync.sites import Site, site_fixture  # noqa: F401 - a fixture
from helpers.sync.steps import ALL_NODES, Fail, Mend, Pass, Race, Write, is_in_step, play, settle
from helpers.sync.worlds import World, ours, world_of
from swift.common.concurrency import GreenletExit

from swiftahead.sidecar.syncer.ledger import Ledger
from swiftahead.sidecar.syncer.remote import RemoteFailed

OBJECTS = tuple(f'o{number}' for number in range(4))
# puts, a post that meets another body, a deletion, and a row that fails for some time
STORY = (
    *(Write('put', name) for name in OBJECTS), Pass(0), Fail('o3', 'WRITE'), Write('post', 'o0'),
    Write('post', 'o1'), Race('put', 'o1', -0.5), Write('delete', 'o2'), Write('put', 'o3'), Pass(0), Pass(0),
    Mend(), *ALL_NODES)


class Killed(GreenletExit):
    """Ends a green thread without a word, and the process of the test as an exception does."""


class Killer:
    """Counts steps, and lets none be made from a chosen one on."""

    def __init__(self, at: int | None):
        self.at, self.count, self.is_over = at, 0, False

    def __call__(self, *_):
        self.count += 1
        if self.is_over or self.count == self.at:
            self.is_over = True
            raise Killed


class Breaker(Killer):
    """Lets one step fail: a request, or its answer; not what a database does."""

    def __call__(self, what, name):
        self.count += 1
        if self.count == self.at and name:
            raise RemoteFailed('is broken off', None, '')


def told_write(world):
    inner = Ledger.write

    def write(ledger, *more):
        world.network.step('ledger', '')
        inner(ledger, *more)
        world.network.step('ledger is written', '')
    return write


def with_steps(world: World, node) -> None:
    with mock.patch.object(Ledger, 'write', told_write(world)), suppress(Killed):
        ours(world, node)


def played(site: Site, replicas: int, step: Killer) -> int:
    """Play the story, with a crash; what is left is sent by processes that begin anew. :returns: its steps"""
    world = world_of(site, replicas)
    try:
        world.network.step = step
        for one in STORY:
            # a killed process is started again
            step.is_over = False
            play(world, one, with_steps)
        step.is_over = False
        settle(world, ours)
        assert not world.wrong
        assert is_in_step(world)
        assert all(point1 == point2 for point1, point2 in (node.points for node in world.nodes))
        return step.count
    finally:
        world.close()


def play_all(site, make):
    """Play it once to its end, and once for each step that is the last one, or fails."""
    steps = played(site, 1, make(None))
    assert steps > 40
    for number in range(1, steps):
        played(site, 1, make(number))


@pytest.mark.holds('S6')
def test_a_crash_at_any_step_leaves_out_no_row(site):
    play_all(site, Killer)


@pytest.mark.holds('S6', 'S17')
def test_a_request_or_answer_that_fails_leaves_out_no_row(site):
    play_all(site, Breaker)


@pytest.mark.parametrize('mutant', [
    mutants.point_moved_before_its_rows_are_sent, mutants.failed_row_passed_over,
    mutants.equal_times_taken_for_equal_bodies])
def test_a_crash_finds_the_mutant(site, monkeypatch, mutant):
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        play_all(site, Killer)
        play_all(site, Breaker)
