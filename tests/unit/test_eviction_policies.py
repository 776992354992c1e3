"""Eviction policies: what each is for; and what goes next, of policies by rank, whatever happened before."""
import random

import pytest

from swiftahead.eviction.index import Index
from swiftahead.eviction.policies import POLICIES
from swiftahead.eviction.policies.gdsf import Gdsf
from swiftahead.eviction.policies.lfu import Lfu
from swiftahead.eviction.policies.s3fifo import S3Fifo


class Cache:
    """Entries by a policy, of which so many bytes are kept."""

    def __init__(self, policy, room=100):
        self.index = Index(POLICIES[policy](room))
        self.room = room

    def add(self, *names, size=10):
        for name in names:
            while self.index.bytes + size > self.room:
                self.index.let_go(self.index.take()[0])
            self.index.add(name, size)

    def read(self, *names):
        for name in names:
            assert self.index.read(name)

    def in_order(self):
        return [self.index.take()[0] for _ in range(len(self.index))]


def scan(count, begin=0):
    return [f'scan{number}' for number in range(begin, begin + count)]


def test_lru_lets_the_least_recently_used_go():
    cache = Cache('lru', 30)
    cache.add(*'abc')
    cache.read('a')
    cache.add('d')
    assert cache.in_order() == list('cad')


@pytest.mark.parametrize('policy', ['lfu', 'gdsf', 's3fifo'])
def test_what_was_read_often_outlives_a_scan(policy):
    cache = Cache(policy)
    cache.add(*'abcde')
    cache.read(*'abcde' * 3)
    cache.add(*scan(20))
    assert set('abcde') <= set(cache.index)


@pytest.mark.parametrize('policy', ['lfu', 'gdsf'])
def test_what_is_put_back_keeps_its_reads(policy):
    cache = Cache(policy, 1000)
    cache.add(*'abcde')
    cache.read(*'abcde' * 3)
    for item in reversed([cache.index.take() for _ in range(5)]):
        cache.index.put_back(*item)
    cache.add(*scan(5))
    assert cache.in_order()[:5] == scan(5)


@pytest.mark.parametrize('policy', ['lfu', 'gdsf'])
def test_what_is_expected_again_and_again_is_not_taken_for_what_was_read(policy):
    cache = Cache(policy)
    cache.add('read', 'expected')
    cache.read('read', 'read')
    for _ in range(100):
        cache.index.expect('expected')
    assert cache.in_order() == ['expected', 'read']


@pytest.mark.parametrize('policy', ['lru', 'gdsf', 's3fifo'])
def test_what_was_read_often_long_ago_goes_in_time(policy):
    cache = Cache(policy)
    cache.add('old')
    cache.read(*['old'] * 20)
    for name in scan(2000):
        cache.add(name)
        cache.read(name)
    assert 'old' not in cache.index


def test_gdsf_keeps_many_small_ones_rather_than_a_large_one():
    cache = Cache('gdsf')
    cache.add('large', size=50)
    cache.add(*'abcdefghij', 'new', size=5)
    assert 'large' not in cache.index and len(cache.index) == 11


@pytest.mark.parametrize('size', [0, 1, 4096, 5 * 2**30])
def test_gdsf_takes_any_size(size):
    cache = Cache('gdsf', 2**40)
    cache.add('a', size=size)
    cache.read('a')
    assert cache.index.take() == ('a', size)


def test_s3fifo_knows_again_what_it_let_go_too_soon():
    cache = Cache('s3fifo')
    cache.add('again', *scan(12))
    assert 'again' not in cache.index
    cache.add('again', *scan(12, 20))
    assert 'again' in cache.index


def test_s3fifo_decides_in_time_where_all_was_read(monkeypatch):
    monkeypatch.setattr(S3Fifo, 'MOST_PASSED', 10)
    cache = Cache('s3fifo', 1000)
    cache.add(*scan(100))
    cache.read(*scan(100) * 3)
    cache.add('new')
    assert len(cache.index) == 100 and len(cache.index._policy._main) == 10


# policies by rank

def rank_of(policy, name):
    size, reads = policy.size_of(name), policy._entries[name] & policy.MOST_READS
    worth, names = policy._classes[policy._class_of(size, reads)]
    return worth + names[name]


def least(policy):
    """Of those at the heads of their classes."""
    return min(rank_of(policy, next(iter(names))) for _, names in policy._classes.values())


def take_and_put_back(policy, chance):
    taken = []
    while len(policy) and len(taken) < 3:
        name = policy.first()
        taken.append((name, *policy.remove(name)))
    # in whatever order batches come back that were taken at the same time
    chance.shuffle(taken)
    for name, size, mark in taken:
        policy.put_back(name, size, mark)


def step(policy, chance, number):
    names = list(policy)
    match chance.choice(['add', 'add', 'put back', 'read', 'expect', 'remove', 'evict', 'evict', 'keep']):
        case 'add':
            policy.add(number, chance.choice([0, 1, 100, 5000, chance.randrange(10**7)]))
        case 'put back':
            policy.put_back(number, 50 * number)
        case _ if not names:
            pass
        case 'read':
            policy.read(chance.choice(names))
        case 'expect':
            policy.expect(chance.choice(names))
        case 'remove':
            policy.remove(chance.choice(names))
        case 'evict':
            name = policy.first()
            policy.gone(name, *policy.remove(name))
        case 'keep':
            take_and_put_back(policy, chance)


@pytest.mark.parametrize('kind', [Gdsf, Lfu])
@pytest.mark.parametrize('seed', range(20))
def test_what_goes_next_is_the_first_of_the_class_of_least_rank(kind, seed):
    policy, chance = kind(1e9), random.Random(seed)
    for number in range(500):
        step(policy, chance, number)
        if len(policy):
            assert rank_of(policy, policy.first()) == least(policy)
        assert len(policy._heap) <= 2 * len(policy._ranks) + 64


@pytest.mark.parametrize('kind', [Gdsf, Lfu])
def test_where_nothing_is_left_nothing_goes(kind):
    policy = kind(1e9)
    policy.add('a', 5)
    policy.remove('a')
    for _ in range(2):
        with pytest.raises(KeyError):
            policy.first()
    policy.add('a', 5)
    assert policy.first() == 'a'


def test_a_folder_that_is_read_takes_no_memory_for_each_entry_of_it():
    policy = Gdsf(1e9)
    for number in range(10_000):
        policy.put_back(number, 100)
    assert len(policy._heap) < 100
