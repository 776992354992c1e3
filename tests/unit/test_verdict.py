"""What was deleted must not rise: the rule of what may be brought home."""
import pytest
from swift.common.utils import Timestamp

from swiftahead.misplaced.verdict import (
    ContainerFacts,
    Copy,
    Replicas,
    is_settled,
    rows_to_name,
    tombstone_refusal,
)

NOW = 1_800_000_000.0
DAY = 86400.0
RECLAIM = 7 * DAY
ZERO = Timestamp.zero()


def copy(written_at=NOW, timestamp=None, offset=0, policy=1):
    return Copy(policy, Timestamp(timestamp or written_at, offset=offset), Timestamp(written_at, offset=offset))


def told(deleted_at=ZERO, answered=3, primaries=3):
    return Replicas(primaries, answered, False, deleted_at)


def container(created_at=NOW - 30 * DAY):
    return ContainerFacts(0, Timestamp(created_at))


@pytest.mark.parametrize('age, rows', [(0, ()), (6 * DAY - 1, ()), (6 * DAY, (0,)), (6 * DAY + 1, (0,)),
                                       (7 * DAY, (0,)), (-5, ())])
def test_a_copy_is_known_as_long_as_tombstones_live_less_a_margin(age, rows):
    assert rows_to_name(copy(NOW - age), container(), RECLAIM, NOW) == rows


def test_the_margin_is_a_part_of_reclaim_age():
    assert rows_to_name(copy(NOW - 59), container(), 70, NOW) == ()
    assert rows_to_name(copy(NOW - 61), container(), 70, NOW) == (0,)


@pytest.mark.parametrize('after, rows', [(1, ()), (0, (0, 1)), (-1, (0, 1))])
def test_what_is_older_than_its_container_needs_a_row_of_either_policy(after, rows):
    assert rows_to_name(copy(NOW - DAY + after), container(NOW - DAY), RECLAIM, NOW) == rows


def test_a_row_of_its_own_policy_does_not_vouch_for_what_tombstones_may_have_left():
    assert rows_to_name(copy(NOW - 8 * DAY), container(NOW - DAY), RECLAIM, NOW) == (0,)


def test_a_post_makes_nothing_younger():
    assert rows_to_name(copy(NOW - 8 * DAY, timestamp=NOW), container(), RECLAIM, NOW) == (0,)
    assert rows_to_name(copy(NOW - 2 * DAY, timestamp=NOW), container(NOW - DAY), RECLAIM, NOW) == (0, 1)


@pytest.mark.parametrize('after, reason', [(-1, None), (0, 'deleted'), (1, 'deleted')])
@pytest.mark.parametrize('place', [0, 1, 2])
def test_a_tombstone_anywhere_that_is_not_older_speaks_against_it(after, reason, place):
    replicas = [told(), told(), told()]
    replicas[place] = told(Timestamp(NOW + after))
    assert tombstone_refusal(copy(NOW), replicas) == reason


def test_a_tombstone_between_put_and_post_speaks_against_it():
    assert tombstone_refusal(copy(NOW - 9, timestamp=NOW), [told(Timestamp(NOW - 5))]) == 'deleted'


@pytest.mark.parametrize('tombstone, offset, reason', [(1, 3, None), (1, 0, 'deleted'), (3, 1, 'deleted')])
def test_offsets_count(tombstone, offset, reason):
    deleted_at = Timestamp(NOW, offset=tombstone)
    assert tombstone_refusal(copy(NOW, offset=offset), [told(deleted_at)]) == reason


@pytest.mark.parametrize('answered, primaries, reason', [
    (3, 3, None), (2, 3, None), (1, 3, 'unknown'), (1, 2, 'unknown'), (2, 4, 'unknown'), (1, 1, None),
    (0, 1, 'unknown')])
def test_it_takes_a_majority_to_know_of_no_tombstone(answered, primaries, reason):
    assert tombstone_refusal(copy(), [told(), told(answered=answered, primaries=primaries)]) == reason


def test_one_tombstone_is_enough_whoever_is_silent():
    assert tombstone_refusal(copy(), [told(answered=0), told(Timestamp(NOW + 1), answered=1)]) == 'deleted'


def test_only_all_are_all():
    assert told(answered=3).is_whole and not told(answered=2).is_whole


def test_what_lies_in_the_containers_policy_is_settled():
    assert is_settled(0, container()) and not is_settled(1, container())
