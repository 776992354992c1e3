"""Whether wholes and segments pay: by bytes, for each account."""
import pytest

from swiftahead.predict import UsefulnessInBytes
from swiftahead.predict.usefulness import FIRST_BYTES, LEAST_SHARE, PROBE, WINDOW_BYTES

MIB = 2**20


def fetch(worth, size, used=False, account='a'):
    """One fetch, if it is allowed; whether it was."""
    allowed = worth.allows(account)
    if allowed:
        worth.began(account, size)
        worth.ended(account, size, size)
        if used:
            worth.used(account, size)
    return allowed


def until_refused(worth, size):
    return next(count for count in range(10**6) if not fetch(worth, size))


def wasted(total, account='a'):
    worth = UsefulnessInBytes()
    worth.ended(account, 0, total)
    return worth


@pytest.mark.parametrize('size, fetches', [(64 * MIB, 3), (10 * MIB, 13), (MIB, 129), (8192, 16_385)])
def test_in_vain_may_go_as_many_bytes_as_make_the_least_share_of_the_first(size, fetches):
    assert until_refused(UsefulnessInBytes(), size) == fetches


def test_one_in_some_is_fetched_where_it_does_not_pay():
    worth = wasted(WINDOW_BYTES)
    assert sum(worth.allows('a') for _ in range(10 * PROBE)) == 10
    assert worth.throttled == 1


def test_other_accounts_are_not_throttled():
    assert all(fetch(wasted(WINDOW_BYTES, 'b'), MIB) for _ in range(100))


def test_what_is_under_way_counts():
    worth = UsefulnessInBytes()
    worth.began('a', 129 * MIB)
    assert not worth.allows('a')


def test_a_fetch_that_failed_costs_nothing():
    worth = UsefulnessInBytes()
    for _ in range(1000):
        worth.began('a', 64 * MIB)
        worth.ended('a', 64 * MIB, 0)
    assert worth.allows('a') and worth._of('a').fetched == FIRST_BYTES


def test_an_account_that_was_forgotten_meanwhile_owes_nothing():
    worth = UsefulnessInBytes(most=1)
    worth.began('a', 64 * MIB)
    worth.allows('b')
    worth.ended('a', 64 * MIB, 0)
    assert worth._of('a').coming == 0


@pytest.mark.parametrize('every, pays', [(8, True), (12, False)])
def test_so_many_bytes_must_be_read_again(every, pays):
    worth = UsefulnessInBytes()
    for number in range(3000):
        worth.ended('a', 0, 10 * MIB)
        if number % every == 0:
            worth.used('a', 10 * MIB)
    assert worth.allows('a') is pays


def test_what_is_read_again_is_fetched_for_ever():
    worth = UsefulnessInBytes()
    assert all(fetch(worth, 64 * MIB, used=True) for _ in range(1000))


def test_where_it_pays_again_all_are_fetched():
    worth = wasted(10 * WINDOW_BYTES)
    asked = next(count for count in range(10_000)
                 if fetch(worth, 10 * MIB, used=True) and worth._of('a').precision > LEAST_SHARE)
    assert asked < 200 and all(fetch(worth, 10 * MIB, used=True) for _ in range(100))


def test_what_paid_long_ago_is_no_excuse():
    worth = UsefulnessInBytes()
    for _ in range(10_000):
        fetch(worth, 10 * MIB, used=True)
    assert until_refused(worth, 10 * MIB) * 10 * MIB < 3 * WINDOW_BYTES


def test_what_is_read_long_after_it_was_fetched_is_no_more_than_all():
    worth = wasted(100 * WINDOW_BYTES)
    for _ in range(100):
        worth.used('a', WINDOW_BYTES)
    assert worth._of('a').precision == 1
