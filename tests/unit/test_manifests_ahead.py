"""Manifests of large objects: which are fetched, and what is fetched ahead of who reads them."""
import json

import pytest
from helpers.cache.chain import Chain
from helpers.cache.prefetching import eventually, make_bench, name_of, read  # noqa: F401 - a fixture
from helpers.common.builders import ListLogger
from swift.common.concurrency import sleep

from swiftahead.conf.names import SEGMENT, WHOLE
from swiftahead.predict import Read
from swiftahead.queues import Access
from swiftahead.sidecar.prefetcher.backend_client import BackendFailed, NotFetched
from swiftahead.sidecar.prefetcher.fetch_scheduler import LATE_SECONDS
from swiftahead.sidecar.prefetcher.manifests import (
    AT_A_TIME,
    KNOWN_SECONDS,
    WAITING_READS,
    Manifests,
    Reading,
)


def manifest(*names, **more):
    return json.dumps([{'name': name, 'hash': 'x', 'bytes': 10, **more} for name in names]).encode()


LETTERS = manifest(*(f'/c/{letter}' for letter in 'bcdefghij'))


# which are fetched, and when

class Desk:
    """Manifests whose fetches end when told to; keeps what is expected."""

    def __init__(self):
        self.now = 0.0
        self.fetched, self.expected, self.counts, self.found = [], [], [], LETTERS
        self.held = False
        self.manifests = Manifests(self.fetch, self.expect, lambda: 0.8, self.counts.append, ListLogger(), 4,
                                   lambda: self.now)

    def fetch(self, name, most):
        self.fetched.append(name.object)
        while self.held:
            sleep()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def expect(self, predictions):
        self.expected += [(found.account, *found.key, found.at) for found in predictions]

    def open(self, object_='a', account='AUTH_test'):
        """A manifest is read at 0."""
        self.observe(object_, 0.0, account=account, is_manifest=True)

    def observe(self, object_, at, client='x', account='AUTH_test', **more):
        self.manifests.observe(Reading(Read(account, client, ('c', object_), at), **more))

    def wait(self):
        self.held = False
        self.manifests.wait()


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.wait()


def test_the_segment_after_the_one_that_is_read_is_expected(desk):
    desk.open()
    desk.wait()
    desk.observe('b', 1.0)
    assert desk.expected == [('AUTH_test', 'c', 'c', 1.0)]
    assert desk.counts == ['manifests']


def test_reads_that_were_quicker_than_the_manifest_are_caught_up_with(desk):
    desk.held = True
    desk.open()
    desk.observe('b', 1.0)
    desk.observe('c', 11.0)
    assert desk.expected == []
    desk.wait()
    assert desk.expected == [('AUTH_test', 'c', 'd', 21.0)]


def test_the_same_reads_of_another_account_are_nobodys(desk):
    desk.open()
    desk.wait()
    desk.observe('b', 1.0, account='AUTH_other')
    assert desk.expected == []


def test_reads_of_another_account_are_not_waited_with(desk):
    desk.held = True
    desk.open()
    for at in range(1000):
        desk.observe('b', float(at), account='AUTH_other')
    desk.observe('b', 1.0)
    desk.wait()
    assert desk.expected == [('AUTH_test', 'c', 'c', 1.0)]


def test_a_manifest_is_fetched_once_a_minute(desk):
    for now in (0.0, KNOWN_SECONDS - 1, KNOWN_SECONDS + 1):
        desk.now = now
        desk.open()
        desk.wait()
    assert desk.fetched == ['a', 'a']


@pytest.mark.parametrize('found', [b'{', NotFetched('404'), OSError('gone')], ids=str)
def test_one_that_cannot_be_used_is_not_asked_for_again_at_once(desk, found):
    desk.found = found
    desk.open()
    desk.wait()
    desk.found = LETTERS
    desk.open()
    desk.wait()
    desk.observe('b', 1.0)
    assert (desk.fetched, desk.counts, desk.expected) == (['a'], ['manifests_failed'], [])


def test_one_that_the_backend_could_not_give_is_asked_for_again(desk):
    desk.found = BackendFailed('503')
    for _ in range(2):
        desk.open()
        desk.wait()
    assert desk.fetched == ['a', 'a']


def test_an_overwritten_manifest_counts_when_it_was_fetched_again(desk):
    desk.open()
    desk.wait()
    desk.found, desk.now = manifest('/c/b', '/c/z'), KNOWN_SECONDS + 1
    desk.open()
    desk.wait()
    desk.observe('b', 1.0)
    assert desk.expected == [('AUTH_test', 'c', 'z', 1.0)]


def test_few_are_fetched_at_a_time(desk):
    desk.held = True
    for number in range(AT_A_TIME + 3):
        desk.open(str(number))
    for _ in range(3):
        sleep()
    assert len(desk.fetched) == AT_A_TIME
    desk.wait()
    desk.open(str(AT_A_TIME))
    desk.wait()
    assert len(desk.fetched) == AT_A_TIME + 1


def test_what_reads_wait_for_is_bounded(desk):
    desk.held = True
    desk.open()
    for at in range(1000):
        desk.observe('b', float(at))
    assert sum(map(len, desk.manifests._coming.values())) <= WAITING_READS


def test_a_manifest_within_is_a_segment_and_is_opened_in_turn(desk):
    desk.open()
    desk.wait()
    desk.found = manifest('/c/x', '/c/y')
    desk.observe('b', 1.0, is_manifest=True)
    desk.wait()
    desk.observe('x', 1.5)
    desk.observe('c', 11.0)
    assert list(dict.fromkeys(desk.expected)) == [
        ('AUTH_test', 'c', 'c', 1.0), ('AUTH_test', 'c', 'y', 1.5), ('AUTH_test', 'c', 'd', 21.0)]


def test_a_manifest_that_lists_itself_ends(desk):
    desk.found = manifest('/c/a', '/c/b')
    for at in range(3):
        desk.observe('a', float(at), is_manifest=True)
        desk.wait()
    assert desk.fetched == ['a']


# in the prefetcher

@pytest.fixture
def bench(make):
    """One whose cluster has a manifest `a` of the segments b to j."""
    bench = make(*'bcdefghij', learner=Chain())
    bench.cluster.put(name_of('a'), LETTERS)
    return bench


def opened(at=0, **more):
    return read('a', at, manifest=True, **more)


def read_along(bench, letters, seconds, at=0):
    """Open the manifest and read these segments, one each so many seconds."""
    bench.run(opened(at), at=at)
    for number, letter in enumerate(letters):
        bench.run(read(letter, at + number * seconds), at=at + number * seconds)


def test_segments_are_fetched_ahead_of_a_reader(bench):
    read_along(bench, 'bc', 10)
    assert bench.cached() == ['c']
    bench.run(at=19.5)
    assert bench.cached() == ['c', 'd']
    with bench.store.entry(name_of('d')) as entry:
        assert entry.meta.origin == 'segment'


def test_who_stops_has_little_fetched_in_vain(bench):
    read_along(bench, 'bc', 10)
    for at in range(11, 200):
        bench.run(at=at)
    assert bench.cached() == ['c', 'd'] and len(bench.schedule) == 0


def test_a_quick_reader_has_as_much_fetched_as_is_looked_ahead(bench):
    bench.run(opened(), at=0)
    bench.run(read('b', 0), read('c', 0), at=0)
    assert bench.cached() == list('cdefghij')


def test_segments_that_are_not_there_are_not_fetched(bench):
    del bench.cluster.objects['/v1' + name_of('d').path]
    bench.run(opened(), at=0)
    bench.run(read('b', 0), read('c', 0), at=0)
    assert bench.counts['not_fetched'] == 1 and bench.cached() == list('cefghij')


def test_what_is_due_while_the_manifest_comes_is_begun_without_a_turn(bench):
    bench.step(opened(), read('b', 0), at=0)
    eventually(lambda: bench.cached() == ['c'])


def slow_down(bench):
    """Until nothing may be fetched."""
    while not bench.pace.is_stopped:
        bench.pace.began()
        bench.pace.failed(bench.now)


def test_a_manifest_waits_for_its_turn(bench):
    slow_down(bench)
    bench.step(opened(), at=0)
    eventually(lambda: bench.prefetcher._manifests._coming)
    assert bench.fetched() == []
    bench.now += 3600
    bench.prefetcher.drain()
    assert bench.fetched() == ['a'] and not bench.pace.is_stopped


def test_a_manifest_that_has_no_turn_for_long_is_let_be(bench):
    slow_down(bench)
    # a fetch that finds out whether to go on, and does not come back
    bench.pace.began()
    bench.step(opened(), at=0)
    bench.now += LATE_SECONDS + 1
    bench.prefetcher.drain()
    assert bench.fetched() == [] and bench.counts['manifests_failed'] == 1
    bench.pace.ended()


def test_without_a_learner_no_manifest_is_fetched(make):
    bench = make('b', 'c')
    bench.cluster.put(name_of('a'), LETTERS)
    read_along(bench, 'b', 1)
    assert bench.fetched() == []


def test_a_stale_read_opens_no_manifest(bench):
    bench.run(opened(), at=100)
    assert bench.fetched() == []


def test_records_of_an_earlier_version_open_nothing(bench):
    bench.run(Access('AUTH_test', 'c', 'a', 'x', bench.now))
    assert bench.fetched() == []


# whether it pays

def in_vain(bench, origin, megabytes=129):
    bench.prefetcher.fetches.watches[origin].ended('AUTH_test', 0, megabytes * 2**20)


def test_segments_in_vain_are_throttled(bench):
    in_vain(bench, SEGMENT)
    read_along(bench, 'bc', 10)
    assert bench.cached() == [] and bench.counts['throttled.segment'] == 1


def test_segments_that_are_read_go_on(bench):
    in_vain(bench, SEGMENT, 127)
    read_along(bench, 'b', 10)
    before = bench.prefetcher.fetches.watches[SEGMENT]._of('AUTH_test').precision
    bench.run(read('c', 10, outcome='prefetched'), at=10)
    assert bench.prefetcher.fetches.watches[SEGMENT]._of('AUTH_test').precision > before
    assert bench.counts['prefetched_used'] == 1


def test_what_else_is_fetched_in_vain_stops_no_segments(bench):
    in_vain(bench, WHOLE)
    for number in range(1000):
        bench.prefetcher.fetches.usefulness.fetched('AUTH_test', ('c', f'in vain {number}'))
    read_along(bench, 'bc', 10)
    assert bench.cached() == ['c']


def test_segments_in_vain_are_no_guesses_in_vain(bench):
    read_along(bench, 'bc', 10)
    assert not bench.prefetcher.fetches.usefulness._of('AUTH_test').waiting


def test_a_segment_that_cannot_be_cached_is_not_fetched_for_each_read(bench):
    bench.put('c', body=bytes(2**20 + 1))
    for at in range(5):
        client = f'client {at}'
        bench.run(opened(at, client=client), at=at)
        bench.run(read('b', at, client), at=at)
    assert bench.fetched().count('c') == 1
