"""Names next to those that are read: which are told, and how seldom a container is asked for them."""
from collections import Counter

import pytest
from helpers.common.builders import FakeCluster, FakeTokens, ListLogger
from swift.common.concurrency import Timeout, sleep

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.predict import Read, SequenceLearner
from swiftahead.sidecar.prefetcher import listings as tested
from swiftahead.sidecar.prefetcher.backend_client import BackendClient, FetchLimits
from swiftahead.sidecar.prefetcher.listings import (
    AFTER,
    BEFORE,
    FEW_READS,
    FRESH_SECONDS,
    PAUSE,
    READS_FOR_A_PAGE,
    Listings,
)

ACCOUNT, CONTAINER = 'AUTH_test', 'c'
PATH = f'/v1/{ACCOUNT}/{CONTAINER}'


class Bench:
    """Names over a small cluster, at a time of our own."""

    def __init__(self, folder, most=10_000):
        self.now = 0.0
        self.is_well = True
        self.cluster = FakeCluster()
        self.counts = Counter()
        client = BackendClient(self.cluster.client(), Store.create(folder / 'cache'), FakeTokens(),
                               FetchLimits(2**20))
        self.names = Listings(client, most, lambda: self.is_well, self.count, ListLogger(), lambda: self.now)

    def count(self, name, reason):
        self.counts[reason] += 1

    def put(self, *objects):
        for number, name in enumerate(objects):
            self.cluster.put(ObjectName(ACCOUNT, CONTAINER, name), b'x' * (number + 1))

    def read(self, name, times=1, reach=2, container=CONTAINER, account=ACCOUNT):
        """What is told of it, the last time, when all that was begun is over."""
        sides = None
        for _ in range(times):
            sides = self.names(account, (container, name), reach)
            with Timeout(20):
                while self.names._is_asking:
                    sleep(0)
        return sides

    def known(self, name, **more):
        """As `read`, once it was read as often as it takes."""
        self.read(name, FEW_READS, **more)
        return self.read(name, **more)

    def listed(self):
        return self.cluster.asked('GET').count(PATH)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def numbered(count, first=0):
    return [f'{number:06}' for number in range(first, first + count)]


def only(side):
    return [name for name, _ in side]


def test_the_nearest_come_first_with_their_bytes(bench):
    bench.put('a', 'b', 'c', 'd', 'e')
    assert bench.known('c') == ([('b', 2), ('a', 1)], [('d', 4), ('e', 5)])


def test_a_container_is_asked_after_a_few_reads(bench):
    bench.put('a', 'b')
    bench.read('a', FEW_READS - 1)
    assert bench.listed() == 0
    assert bench.read('a') == ((), ())
    assert bench.listed() == 2


def test_nobody_waits_for_a_listing(bench):
    bench.put('a', 'b')
    bench.read('a', FEW_READS - 1)
    bench.names(ACCOUNT, (CONTAINER, 'a'), 2)
    assert bench.cluster.requests == []
    bench.read('a')


def test_who_reads_on_asks_for_no_more(bench):
    bench.put(*numbered(300))
    bench.known('000000')
    for name in numbered(250):
        bench.now += PAUSE
        assert only(bench.read(name)[1]) == numbered(2, int(name) + 1)
    assert bench.listed() == 2


def test_who_leaves_the_page_gets_another(bench):
    bench.put(*numbered(AFTER + 100))
    bench.known('000000')
    bench.now += PAUSE
    bench.read(f'{AFTER + 50:06}', READS_FOR_A_PAGE)
    assert only(bench.read(f'{AFTER + 50:06}')[1]) == numbered(2, AFTER + 51)


def test_what_is_outside_the_page_has_no_neighbours(bench):
    bench.put(*numbered(AFTER + 100))
    bench.known('000000')
    assert bench.read(f'{AFTER + 50:06}') == ((), ())


def test_names_before_the_page_are_not_taken_for_the_first(bench):
    bench.put(*numbered(BEFORE + 100))
    assert only(bench.known(f'{BEFORE + 50:06}')[0]) == [f'{BEFORE + 49:06}', f'{BEFORE + 48:06}']
    assert bench.read('000001') == ((), ())


def test_who_comes_to_the_beginning_of_the_page_gets_another(bench):
    bench.put(*numbered(BEFORE + 100))
    bench.known(f'{BEFORE + 50:06}')
    bench.now += PAUSE
    bench.read('000051', READS_FOR_A_PAGE)
    assert only(bench.read('000051')[0]) == ['000050', '000049']


def test_an_account_gets_a_page_for_so_many_reads(bench):
    bench.put(*numbered(5 * AFTER))
    bench.known('000000')
    bench.now += PAUSE
    bench.read(f'{3 * AFTER:06}', READS_FOR_A_PAGE - 2)
    assert bench.listed() == 2
    bench.read(f'{3 * AFTER:06}')
    assert bench.listed() == 4


def test_the_process_asks_no_more_often_than_it_may(bench):
    other = '/v1/AUTH_other/c'
    bench.cluster.containers[other] = {}
    bench.put('a')
    bench.known('a')
    bench.known('a', account='AUTH_other')
    assert bench.cluster.asked('GET').count(other) == 0
    bench.now += PAUSE
    bench.read('a', account='AUTH_other')
    assert bench.cluster.asked('GET').count(other) == 2


def test_a_slow_backend_is_left_alone(bench):
    bench.put('a', 'b')
    bench.is_well = False
    assert bench.known('a') == ((), ())
    assert bench.cluster.requests == []


def test_a_container_that_opted_out_is_not_listed(bench):
    bench.put('a', 'b')
    bench.cluster.containers[PATH]['X-Container-Meta-Prefetch'] = 'off'
    assert not any(bench.known('a'))
    assert bench.listed() == 0 and bench.counts == {'failed': 1}


@pytest.mark.parametrize('status', ['404 Not Found', '503 Service Unavailable'])
def test_what_cannot_be_listed_is_asked_again_later(bench, status):
    bench.put('a', 'b')
    bench.cluster.failing[PATH] = status
    bench.known('a')
    bench.now += PAUSE
    bench.read('a', READS_FOR_A_PAGE)
    assert bench.counts == {'failed': 1}
    del bench.cluster.failing[PATH]
    bench.now += tested.FAILED_SECONDS
    assert only(bench.known('a')[1]) == ['b']


def test_a_page_grows_old(bench):
    bench.put('a', 'c')
    bench.known('a', reach=1)
    bench.put('b')
    bench.now += FRESH_SECONDS
    assert only(bench.read('a', READS_FOR_A_PAGE + 1, reach=1)[1]) == ['b']


@pytest.mark.parametrize('name', ['ä', 'a b', 'a/b', '%41', 'a?b&c=d', 'a\nb', '\U0001f600', '"', '+'])
def test_names_of_any_kind(bench, name):
    bench.put(name)
    bench.put(name + '1')
    assert only(bench.known(name)[1]) == [name + '1']
    assert only(bench.known(name + '1')[0]) == [name]


def test_reserved_names_are_not_asked_for(bench):
    bench.put('a')
    bench.known('a')
    asked = [env for method, path, env in bench.cluster.requests if (method, path) == ('GET', PATH)]
    assert {env['HTTP_X_BACKEND_ALLOW_RESERVED_NAMES'] for env in asked} == {'false'}


def test_memory_is_bounded(tmp_path):
    bench = Bench(tmp_path, most=150)
    bench.put(*numbered(100))
    for number in range(3):
        bench.cluster.containers[f'/v1/AUTH_{number}/c'] = {}
        bench.cluster.objects.update({path.replace('AUTH_test', f'AUTH_{number}'): found for path, found
                                      in list(bench.cluster.objects.items()) if '/AUTH_test/' in path})
        bench.now += PAUSE
        bench.known('000000', account=f'AUTH_{number}')
    assert len(bench.names) == 100


def test_a_page_that_is_larger_than_all_there_may_be_is_not_kept(tmp_path):
    bench = Bench(tmp_path, most=50)
    bench.put(*numbered(100))
    bench.known('000000')
    assert len(bench.names) == 0


def test_the_learner_predicts_what_was_never_read(bench):
    bench.put(*numbered(50))
    learner, found = SequenceLearner(names=bench.names), set()
    for number, name in enumerate(numbered(10)):
        found |= {prediction.key[1] for prediction in learner.observe(
            Read(ACCOUNT, 'client', (CONTAINER, name), float(number), 1))}
        bench.read(name)
    assert '000010' in found
