"""The inventory by itself: what is counted, and what leaves, whatever becomes of it."""
import math

import pytest

from swiftahead.eviction.inventory import Inventory, packed
from swiftahead.eviction.policies import POLICIES


@pytest.fixture(params=POLICIES)
def make(request):
    """Makes inventories of entries that an earlier process left, the newest first: numbers and bytes."""
    def make(*items, whole=True):
        inventory = Inventory(POLICIES[request.param](10_000))
        inventory.found(len(items), sum(taken for _, taken in items))
        if whole:
            restore(inventory, *items)
        return inventory
    return make


def name(number):
    return f'{number:048x}'


def restore(inventory, *items):
    for number, taken in items:
        inventory.restore(packed(name(number)), taken)
    inventory.complete()


def taken(inventory, wanted=math.inf, most=100):
    return [int(entry, 16) for entry, _ in inventory.take(wanted, most)]


def test_what_was_used_longest_ago_goes_first_and_no_more_than_is_wanted(make):
    inventory = make((1, 5), (257, 5), (2, 5))
    assert taken(inventory, 6) == [2, 257] and taken(inventory, most=0) == [] and taken(inventory) == [1]


def test_what_was_found_counts_before_and_after_it_is_restored(make):
    inventory = make((1, 5), (2, 7), whole=False)
    assert (inventory.total, inventory.entries, inventory.is_whole) == (12, 2, False)
    inventory.restore(packed(name(1)), 5)
    assert (inventory.total, inventory.entries, name(1) in inventory, name(2) in inventory) == (12, 2, True, False)
    restore(inventory, (2, 7))
    assert (inventory.total, inventory.entries, inventory.is_whole) == (12, 2, True)


@pytest.mark.parametrize('number, left', [(1, 7), (2, 5)])
def test_what_goes_while_entries_are_restored_does_not_come_back(make, number, left):
    inventory = make((1, 5), (2, 7), whole=False)
    inventory.restore(packed(name(1)), 5)
    inventory.gone(name(number))
    restore(inventory, (2, 7))
    assert (inventory.total, inventory.entries) == (left, 1)


def test_what_cannot_be_unlinked_while_entries_are_restored_is_counted_once(make):
    inventory = make((1, 5), (2, 7), whole=False)
    inventory.hold_back(name(2))
    restore(inventory, (1, 5), (2, 7))
    assert (inventory.total, inventory.entries, inventory.stuck) == (12, 2, {name(2): 7})
    assert inventory.size_of(name(2)) == 7 and taken(inventory) == [1]


def test_what_was_replaced_is_counted_once(make):
    inventory = make((1, 5), (2, 4096))
    inventory.linked(name(2), 100)
    assert (inventory.total, inventory.entries, inventory.size_of(name(2))) == (105, 2, 100)


def test_what_took_the_place_of_what_could_not_be_unlinked_is_counted_once(make):
    inventory = make((1, 5))
    inventory.hold_back(name(1))
    inventory.linked(name(1), 100)
    assert (inventory.total, inventory.entries, inventory.stuck) == (100, 1, {})


def test_what_leaves_counts_until_it_is_gone(make):
    inventory = make((2, 7), (1, 5))
    batch = inventory.take(12, 10)
    assert (inventory.total, inventory.entries) == (12, 2)
    inventory.left(batch[0])
    assert inventory.total == 7
    inventory.hold(batch[1])
    assert (inventory.total, list(inventory.stuck)) == (7, [name(2)])
    assert inventory.take_stuck(10) == [(name(2), 7)] and inventory.total == 7


def test_what_stays_after_all_keeps_its_place(make):
    inventory = make((3, 5), (2, 5), (1, 5))
    inventory.keep(inventory.take(6, 10))
    assert inventory.total == 15 and taken(inventory) == [1, 2, 3]


def test_what_is_asked_whether_it_is_idle_keeps_its_reads(make):
    inventory = make(*((number, 10) for number in range(20)))
    for number in list(range(10)) * 2:
        inventory.touch(name(number))
    for _ in range(50):
        inventory.keep(inventory.take(math.inf, 15))
    assert inventory.total == 200 and sorted(taken(inventory, 100)) == list(range(10, 20))


def test_what_is_read_while_it_leaves_and_stays_after_all_counts_as_read(make):
    inventory = make((2, 5), (1, 5))
    batch = inventory.take(1, 1)
    inventory.touch(name(1))
    inventory.keep(batch)
    assert taken(inventory) == [2, 1]


def test_a_container_has_the_entries_that_begin_with_its_digits(make):
    inventory = make()
    ours, others = ['a' * 16 + 'b' * 32, 'a' * 16 + 'c' * 32], ['a' * 15 + 'b' * 33]
    for entry in ours + others:
        inventory.linked(entry, 10)
    assert inventory.of_container('a' * 16) == ours
