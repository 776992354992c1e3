"""The mover does what upstream's daemon does: the same changes in the same order, with the same headers, whatever
the cluster is like and whichever request fails (R12 to R18)."""

import pytest
from helpers.common.builders import NOW
from helpers.common.trying import tries
from helpers.mover.reconciling import DAY, POLICIES, PolicyCopy, World, ours, upstream
from hypothesis import given
from hypothesis import strategies as st
from swift.common.utils import Timestamp

from swiftahead.sidecar.mover import move, reconciler_queue
from swiftahead.sidecar.mover.move import Mover

# older and younger than reclaim_age, and as near to each other as offsets are
TIMES = [Timestamp(NOW - age, offset=offset).internal
         for age in (2 * DAY, 3600, 3599.99999) for offset in (0, 1, 3)]
COPIES = st.builds(PolicyCopy, st.sampled_from(TIMES), st.booleans())
WORLDS = st.builds(
    World, st.sampled_from([*POLICIES, 0, 0, None]), st.sampled_from(POLICIES), st.sampled_from(['PUT', 'DELETE']),
    st.sampled_from(TIMES), st.sampled_from([0, 0, 1]),
    st.lists(st.tuples(st.sampled_from(POLICIES), COPIES), max_size=3).map(tuple),
    st.sampled_from([frozenset(), frozenset(), frozenset({0}), frozenset({1})]),
    st.sampled_from([frozenset(), frozenset(), *(frozenset({number}) for number in (1, 2, 3, 4, -2, -3, -4))]))


def compare(examples=300):
    @tries(examples, report_multiple_bugs=False)
    @given(WORLDS)
    def same(world):
        assert ours(world) == upstream(world)
    same()


@pytest.mark.hypothesis
def test_every_change_is_upstreams():
    compare(600)


@pytest.mark.parametrize('policies', [(0, 1), (1, 0), (0, 2)])
def test_a_plain_move_is_copy_tombstone_and_pop(policies):
    """R14, R15: so that the comparison is not of nothing with nothing."""
    home, source = policies
    world = World(home, source, 'PUT', TIMES[3], 0, ((source, PolicyCopy(TIMES[3])),))
    changes = ours(world)
    assert [change[0] for change in changes] == ['PUT', 'DELETE', 'POP']
    assert [change[2]['X-Timestamp'][-1] for change in changes] == ['3', '1', '2']
    assert changes == upstream(world)


# mutants: each must be told from upstream


def swapped(self, task, home, headers, body):
    self._clean(task)
    sent = headers.copy()
    newest = max(Timestamp(headers['x-backend-timestamp']), task.timestamp)
    sent.update({move.POLICY: home, 'X-Timestamp': move.slightly_later_timestamp(newest, offset=3)})
    self._swift.upload_object(move.FileLikeIter(body), *task.name.parts, headers=sent)
    return 'cleanup_success'


def ignoring(name):
    inner = getattr(Mover, name)

    def step(self, task, *more):
        try:
            return inner(self, task, *more)
        except move.Failed:
            return 'cleanup_success'
    return step


MUTANTS = {
    'offset of the copy': (move, 'MOVED', 2),
    'offset of the tombstone': (move, 'CLEANED', 2),
    'offset of the pop': (reconciler_queue, 'POPPED', 1),
    'tombstone before the copy': (Mover, '_copy', swapped),
    'failed tombstone ignored': (Mover, '_clean', ignoring('_clean')),
    'failed copy ignored': (Mover, '_copy', ignoring('_copy')),
    'failed burial ignored': (Mover, '_bury', ignoring('_bury')),
    'missing source ignored': (Mover, '_missing', ignoring('_missing')),
    'newer destination overlooked': (Mover, '_move', lambda self, task: self._bring(task, 0)),
    'lost ones kept': (move, 'DONE', frozenset()),
}


@pytest.mark.parametrize('mutant', MUTANTS)
def test_the_comparison_finds_the_mutant(monkeypatch, mutant):
    where, name, changed = MUTANTS[mutant]
    monkeypatch.setattr(where, name, changed)
    with pytest.raises(AssertionError):
        compare()
