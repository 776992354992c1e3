"""How long readers wait for the sidecar."""
import pytest

from swiftahead.middleware.runtime import GRACE, FetchWait


def waits(most, *answers, left=0.0):
    patience = FetchWait(most)
    for seconds in answers:
        patience.answered(seconds)
    return patience.seconds(left)


@pytest.mark.parametrize('left', [-60.0, 0.0, 0.2])
def test_before_swift_answered_the_option_says_what_is_too_long(left):
    assert 0 < waits(0.25, left=left) <= 0.25
    assert waits(0.25, left=0.3) == 0


@pytest.mark.parametrize('left, seconds', [(-1.0, 0.01), (0.0, 0.01), (0.015, 0.025), (0.02, 0.03), (0.021, 0)])
def test_it_is_until_the_fetch_should_have_ended_and_a_little_more_unless_swift_is_quicker(left, seconds):
    assert GRACE == 0.5
    assert waits(1.0, 0.02, left=left) == pytest.approx(seconds)


def test_what_swift_takes_is_what_it_took_lately():
    answers = *[0.02] * 100, *[0.1] * 100
    assert waits(1.0, *answers, left=0.09) == pytest.approx(0.09 + GRACE * 0.1, rel=0.01)


def test_one_slow_answer_changes_little():
    assert waits(1.0, *[0.02] * 100, 0.2) < 2 * GRACE * 0.02
    assert waits(1.0, *[0.02] * 100, 0.2, left=0.06) == 0


def test_it_is_never_more_than_the_option_says():
    assert waits(0.25, *[5.0] * 10, left=0.24) == 0.25
    assert waits(0.25, *[5.0] * 10, left=0.26) == 0
    assert waits(0.0, 0.02) == 0.0
