"""How long readers wait for the sidecar."""
import pytest

from swiftahead.middleware.patience import SHARE, Patience


def waits(most, *answers):
    patience = Patience(most)
    for seconds in answers:
        patience.answered(seconds)
    return patience.seconds


def test_before_swift_answered_it_is_what_the_option_says():
    assert waits(0.25) == 0.25


def test_it_is_in_proportion_to_what_swift_takes():
    assert waits(1.0, 0.02) == pytest.approx(SHARE * 0.02)
    assert waits(1.0, *[0.02] * 100, *[0.1] * 100) == pytest.approx(SHARE * 0.1, rel=0.01)


def test_one_slow_answer_changes_little():
    assert waits(1.0, *[0.02] * 100, 0.2) < 2 * SHARE * 0.02


def test_it_is_never_more_than_the_option_says():
    assert waits(0.25, *[5.0] * 10) == 0.25
    assert waits(0.0, 0.02) == 0.0
