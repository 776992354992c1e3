"""The other side's listing: asked for again where it may have been busy, and not where that helps nobody."""
import pytest

from swiftahead.sidecar.syncer.remote import RemoteFailed
from swiftahead.sidecar.syncer.sides import tried

ROWS = [{'name': 'o'}]


def answers(*given):
    """A call that gives or raises these, one after the other."""
    left = iter(given)

    def call():
        found = next(left)
        if isinstance(found, int | None):
            raise RemoteFailed('it answers so', found, 'mend it')
        return found
    return call


@pytest.mark.parametrize('status', [None, 500, 503])
def test_a_side_that_was_busy_is_asked_again_later_and_later(status):
    pauses = []
    assert tried(answers(status, status, ROWS), 3, pauses.append) == ROWS
    assert pauses == [2.0, 4.0]


def test_a_side_that_stays_busy_is_told():
    with pytest.raises(RemoteFailed) as told:
        tried(answers(503, 503, 500, ROWS), 3, lambda seconds: None)
    assert told.value.status == 500


@pytest.mark.parametrize('status', [302, 401, 404])
def test_a_side_that_refuses_is_not_asked_again(status):
    with pytest.raises(RemoteFailed) as told:
        tried(answers(status, ROWS), 3, pytest.fail)
    assert told.value.status == status
