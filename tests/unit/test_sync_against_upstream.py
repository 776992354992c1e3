"""The syncer does what upstream's daemon does: after each pass the other cluster has the same, and the sync points
are the same, whatever is written, whichever row fails and for how long."""
import re

import pytest
from helpers.common.trying import tries
from helpers.sync import mutants
from helpers.sync.sites import SILENT, site_fixture  # noqa: F401 - a fixture
from helpers.sync.steps import STEPS, Fail, Pass, Write, is_in_step, play, settle
from helpers.sync.worlds import World, ours, upstream, world_of
from hypothesis import Phase, given
from hypothesis import strategies as st


def compared(mine: World, theirs: World, node: int) -> None:
    """Compare after a pass of a node."""
    assert mine.remote.seen == theirs.remote.seen
    node %= len(mine.nodes)
    (point1, point2), (their1, their2) = mine.nodes[node].points, theirs.nodes[node].points
    assert point1 == their1
    # rows that were replaced by newer ones leave gaps, which our second point covers
    assert point2 >= their2 and not mine.nodes[node].rows_between(their2, point2)
    assert not mine.wrong


def compare(site, examples, **more):
    @tries(examples, report_multiple_bugs=False, **more)
    @given(st.integers(1, 3), STEPS)
    def same(replicas, steps):
        mine, theirs = world_of(site, replicas), world_of(site, replicas)
        try:
            for step in steps:
                play(mine, step, ours)
                play(theirs, step, upstream)
                if isinstance(step, Pass):
                    compared(mine, theirs, step.node)
            settle(mine, ours)
            settle(theirs, upstream)
            assert mine.remote.seen == theirs.remote.seen
            assert is_in_step(mine) and is_in_step(theirs)
        finally:
            mine.close()
            theirs.close()
    same()


@pytest.mark.hypothesis
@pytest.mark.holds('S6', 'S9', 'S10', 'S11', 'S12')
def test_each_pass_is_upstreams(site):
    compare(site, 100)


@pytest.mark.parametrize('mutant', [
    mutants.no_head_after_a_post, mutants.point_moved_before_its_rows_are_sent, mutants.share_of_another_node,
    mutants.no_share, mutants.time_not_kept, mutants.failed_row_passed_over, mutants.old_copy_sent])
def test_the_comparison_finds_the_mutant(site, monkeypatch, mutant):
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        compare(site, 300, phases=[Phase.generate])


def told(site, monkeypatch, syncer):
    """Let some passes tell what they did: names in statsd, and reports of a container without their times."""
    counts, reports = [], []

    def info(text, *args):
        said = text % (args[0] if len(args) == 1 and isinstance(args[0], dict) else args)
        if said.startswith(('Container sync report', 'Since')):
            reports.append(re.sub(r'(start|end): [^,]+|posts: \d+, |, \d+ posts|Since [^[]+\d{4}: ', '', said))
    monkeypatch.setattr(SILENT, 'increment', counts.append)
    monkeypatch.setattr(SILENT, 'timing_since', lambda name, since: counts.append(name))
    monkeypatch.setattr(SILENT, 'info', info)
    world = world_of(site)
    for step in (Write('put', 'a'), Write('put', 'b'), Pass(0), Write('delete', 'a'), Write('put', 'd'), Pass(0),
                 Write('put', 'c'), Fail('c', 'WRITE'), Pass(0), Write('delete', 'b'), Pass(0)):
        play(world, step, syncer)
    world.close()
    return sorted(counts), reports


@pytest.mark.holds('S8', 'S20')
def test_counts_and_reports_are_upstreams(site, monkeypatch):
    mine, theirs = told(site, monkeypatch, ours), told(site, monkeypatch, upstream)
    assert {'puts', 'deletes', 'syncs', 'failures', 'puts.timing', 'deletes.timing'} <= {*theirs[0]}
    assert mine == theirs
