"""Scan and holdings by themselves: what is given out, and what is counted, while the index is made anew."""
from pathlib import Path

import pytest

from swiftahead.eviction.inventory import Inventory
from swiftahead.eviction.loader import FOLDERS, Loader

SIZE = 10_000


@pytest.fixture
def make():
    """Holdings of whom so many folders were read; items are (number, time, bytes), numbers say the folder."""
    def make(*items, folders=FOLDERS, unknown=SIZE, largest=SIZE):
        scan = Loader(Path('/none'), unknown, largest)
        for folder in range(folders):
            scan.next_folder()
            scan.take([(at, name(number), taken) for number, at, taken in items if number % 256 == folder], [])
        return Inventory(SIZE, scan, lambda *_: None)
    return make


def name(number):
    # the ninth byte says the folder
    return bytes(8) + bytes([number % 256]) + number.to_bytes(15, 'big')


def text(number):
    return name(number).hex()


def taken(holdings, wanted=1, most=100):
    return [int(entry[18:], 16) for entry, _ in holdings.take(wanted, most)]


def merge(holdings, most=1):
    while holdings.merge(most):
        pass


def test_the_oldest_of_all_that_was_read_goes_first(make):
    holdings = make((1, 30, 5), (2, 10, 5), (257, 20, 5))
    assert taken(holdings, 11) == [2, 257, 1]


def test_what_was_not_read_yet_counts_as_the_most_that_it_can_be(make):
    holdings = make((1, 30, 5), (2, 10, 7), folders=2)
    assert (holdings.total, holdings.scan.bytes, holdings.is_whole) == (SIZE, 5, False)
    assert make((1, 30, 5)).total == 5


@pytest.mark.parametrize('number, total', [(1, SIZE - 5), (9, SIZE - 5)])
def test_what_goes_meanwhile_counts_no_longer_read_or_not(make, number, total):
    holdings = make((1, 30, 5), (2, 10, 7), folders=3)
    holdings.gone(text(number), 5)
    holdings.gone(text(number), 5)
    assert holdings.total == total


def test_what_was_replaced_meanwhile_is_given_out_once(make):
    holdings = make((1, 30, 5), (2, 10, 4096))
    holdings.linked(text(2), 100, 4000)
    assert holdings.total == 105
    merge(holdings)
    assert (holdings.total, len(holdings.index)) == (105, 2) and taken(holdings, 200) == [1, 2]


@pytest.mark.parametrize('number', [1, 2])
def test_what_goes_while_the_index_takes_over_is_counted_once(make, number):
    holdings = make((1, 30, 5), (2, 10, 7))
    holdings.merge(1)
    holdings.gone(text(number), {1: 5, 2: 7}[number])
    left = {1: 7, 2: 5}[number]
    assert holdings.total == left
    merge(holdings)
    assert holdings.total == holdings.index.currsize == left


def test_what_the_index_has_was_used_after_what_the_scan_has(make):
    holdings = make((1, 30, 5), (2, 10, 7), (3, 20, 7))
    holdings.linked(text(4), 5, 0)
    holdings.merge(1)
    assert taken(holdings, 24) == [2, 3, 1, 4]


def test_what_was_read_meanwhile_goes_after_the_others(make):
    holdings = make((1, 10, 5), (2, 20, 5), (3, 30, 5))
    holdings.touch(text(1))
    assert taken(holdings, 6) == [2, 3]
    merge(holdings)
    assert holdings.total == 15 and taken(holdings) == [1]


def test_where_all_was_read_meanwhile_it_goes_all_the_same(make):
    holdings = make((1, 10, 5))
    holdings.touch(text(1))
    assert taken(holdings) == [1]


def test_what_is_larger_than_may_be_goes_first(make):
    holdings = make((1, 10, 5), (2, 20, 600), largest=500)
    assert taken(holdings) == [2]


def test_what_leaves_counts_until_it_is_gone(make):
    holdings = make((1, 10, 5), (2, 20, 7))
    batch = holdings.take(12, 10)
    assert holdings.total == 12
    holdings.left(batch[0])
    assert holdings.total == 7
    holdings.hold(batch[1])
    assert (holdings.total, list(holdings.stuck)) == (7, [text(2)])
    assert holdings.take_stuck(10) == [(text(2), 7)] and holdings.total == 7


def test_what_stays_after_all_keeps_its_place(make):
    holdings = make((1, 10, 5), (2, 20, 5), (3, 30, 5))
    merge(holdings, 10)
    holdings.keep(holdings.take(6, 10))
    assert holdings.total == 15 and taken(holdings, 15) == [1, 2, 3]


def test_what_is_read_while_it_leaves_and_stays_after_all_goes_last(make):
    holdings = make((1, 10, 5), (2, 20, 5))
    merge(holdings, 10)
    batch = holdings.take(1, 1)
    holdings.touch(text(1))
    holdings.keep(batch)
    assert taken(holdings, 10) == [2, 1]


def test_a_folder_that_was_given_back_is_read_last():
    scan = Loader(Path('/none'), SIZE, SIZE)
    assert scan.next_folder().name == '00'
    scan.give_back()
    names = []
    while not scan.is_read:
        names.append(scan.next_folder().name)
        scan.take([], [])
    assert names == [f'{number:02x}' for number in [*range(1, FOLDERS), 0]]
    assert scan.total == 0 and scan.done == 1
