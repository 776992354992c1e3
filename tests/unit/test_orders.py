"""What goes next, of orders by rank, whatever happened before."""
import random

import pytest

from swiftahead.eviction.policies.gdsf import Gdsf
from swiftahead.eviction.policies.lfu import Lfu


def rank_of(order, name):
    size, reads = order.size_of(name), order._entries[name] & order.MOST_READS
    worth, names = order._classes[order._class_of(size, reads)]
    return worth + names[name]


def least(order):
    """Of those at the heads of their classes."""
    return min(rank_of(order, next(iter(names))) for _, names in order._classes.values())


def take_and_put_back(order, chance):
    taken = []
    while len(order) and len(taken) < 3:
        name = order.first()
        taken.append((name, *order.remove(name)))
    # in whatever order batches come back that were taken at the same time
    chance.shuffle(taken)
    for name, size, mark in taken:
        order.put_back(name, size, mark)


def step(order, chance, number):
    names = list(order)
    match chance.choice(['add', 'add', 'put back', 'read', 'expect', 'remove', 'evict', 'evict', 'keep']):
        case 'add':
            order.add(number, chance.choice([0, 1, 100, 5000, chance.randrange(10**7)]))
        case 'put back':
            order.put_back(number, 50 * number)
        case _ if not names:
            pass
        case 'read':
            order.read(chance.choice(names))
        case 'expect':
            order.expect(chance.choice(names))
        case 'remove':
            order.remove(chance.choice(names))
        case 'evict':
            name = order.first()
            order.gone(name, *order.remove(name))
        case 'keep':
            take_and_put_back(order, chance)


@pytest.mark.parametrize('kind', [Gdsf, Lfu])
@pytest.mark.parametrize('seed', range(20))
def test_what_goes_next_is_the_first_of_the_class_of_least_rank(kind, seed):
    order, chance = kind(1e9), random.Random(seed)
    for number in range(500):
        step(order, chance, number)
        if len(order):
            assert rank_of(order, order.first()) == least(order)
        assert len(order._heap) <= 2 * len(order._ranks) + 64


@pytest.mark.parametrize('kind', [Gdsf, Lfu])
def test_where_nothing_is_left_nothing_goes(kind):
    order = kind(1e9)
    order.add('a', 5)
    order.remove('a')
    for _ in range(2):
        with pytest.raises(KeyError):
            order.first()
    order.add('a', 5)
    assert order.first() == 'a'


def test_a_folder_that_is_read_takes_no_memory_for_each_entry_of_it():
    order = Gdsf(1e9)
    for number in range(10_000):
        order.put_back(number, 100)
    assert len(order._heap) < 100
