"""A prefetcher with all it works on, for tests: a real queue, real files, and a small app to fetch from."""
from collections import Counter

import pytest
from helpers.common.builders import NOW, FakeCluster, FakeTokens, ListLogger
from swift.common.concurrency import Event, Timeout, sleep, tpool

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.eviction.evictor import CacheLimits, Tools
from swiftahead.eviction.manager import CacheManager
from swiftahead.predict import Schedule
from swiftahead.queues import Access, Warm, open_queue
from swiftahead.sidecar.prefetcher.backend_client import BackendClient, FetchLimits
from swiftahead.sidecar.prefetcher.congestion import Congestion
from swiftahead.sidecar.prefetcher.consumer import Consumer
from swiftahead.sidecar.prefetcher.fetch_scheduler import Context

# on disk: a page for the header, one for body and table
UNIT = 8192
BODY = b'x' * 4000
WARM = Warm('AUTH_test', 'c')


class Bench:
    """A prefetcher with all it needs, at a time of our own; `warmed` and the like are object names."""

    def __init__(self, folder, size=1000 * UNIT, marks=(90, 50), concurrency=4, learner=None,
                 execute=tpool.execute):
        self.now = NOW
        self.cluster = FakeCluster()
        self.store = Store.create(folder / 'cache')
        self.queue = open_queue(f'sqlite:{folder}/queue.db', clock=self.clock)
        self.logger = ListLogger()
        self.counts = Counter()
        self.pace = Congestion(concurrency)
        self.make_manager = lambda: CacheManager(self.store, CacheLimits(size, *marks, 0), self.logger,
                                          Tools(execute, self.count, self.clock))
        self.schedule = Schedule()
        self.start(concurrency, learner)
        self.manager.load()

    def evict_next(self):
        self.manager._evictor.evict(1)

    def start(self, concurrency=4, learner=None):
        self.manager = self.make_manager()
        fetcher = BackendClient(self.cluster.client(), self.store, FakeTokens(), FetchLimits(2**20), self.clock)
        context = Context(self.queue, self.manager, fetcher, learner, self.schedule, self.pace, self.count)
        self.prefetcher = Consumer(context, concurrency, self.logger, self.clock)

    def clock(self):
        return self.now

    def count(self, name, by=1, reason=None):
        self.counts[f'{name}.{reason}' if reason else name] += by

    def put(self, *objects, body=BODY, **more):
        for object_ in objects:
            self.cluster.put(name_of(object_), body, **more)

    def step(self, *records, at=None):
        """One turn with these records, at this many seconds from the beginning."""
        if at is not None:
            self.now = NOW + at
        if records:
            self.queue.put(records)
        count = self.prefetcher.step()
        self.prefetcher.settle()
        return count

    def run(self, *records, at=None):
        self.step(*records, at=at)
        self.prefetcher.drain()

    def learn(self):
        """That b is read ten seconds after a."""
        self.step(read('a', 0, 'one'), read('b', 10, 'one'), at=10)

    def cached(self):
        return [object_ for object_ in 'abcdefghij' if self.store.has(name_of(object_))]

    def fetched(self):
        return [path.rpartition('/')[2] for path in self.cluster.asked('GET') if path in self.cluster.objects]

    def waiting(self):
        return sum(self.queue.depth().values())


def name_of(object_):
    return ObjectName('AUTH_test', 'c', object_)


def read(object_, at, client='two', outcome='miss', **more):
    return Access('AUTH_test', 'c', object_, client, NOW + at, len(BODY), outcome, **more)


def eventually(condition, seconds=20):
    with Timeout(seconds, False):
        while not condition():
            sleep(0.01)
    assert condition()


@pytest.fixture(name='make')
def make_bench(tmp_path):
    """Makes benches; `make.hold()` an event that is sent at the end at the latest."""
    made, held = [], []

    def make(*objects, **more):
        made.append(Bench(tmp_path, **more))
        made[-1].put(*objects)
        return made[-1]

    def hold():
        held.append(Event())
        return held[-1]

    make.hold = hold
    yield make
    for event in held:
        if not event.ready():
            event.send()
    for bench in made:
        bench.prefetcher.drain()
        bench.queue.close()
        assert bench.manager.inventory.total == sum(item.disk_bytes for item in bench.store.linked())
        assert list(bench.store.spool_files()) == []
