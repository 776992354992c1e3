"""F16: read-ahead that could feed on itself, on endless names, or on a container larger than the cache."""
import json
import re

import pytest
from helpers.lab import clients
from helpers.lab.processes import resident

from swiftahead.cache import Store
from swiftahead.cache.folder import CacheLayout
from swiftahead.lab import Lab
from swiftahead.queues import Access, open_queue

CACHE_SIZE = 12 * 1024 * 1024
CONTEXTS = 500
HOT = 4
MIB = 1024 * 1024


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies=('gold',), sidecar_conf={
            'sidecar': {'cache_size': CACHE_SIZE}, 'prefetcher': {'max_contexts': CONTEXTS}}) as lab:
        yield lab


def put(lab, container, count, length):
    paths = [f'{container}/{number:03}' for number in range(count)]
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=bytes(length)).status == 201
    return paths


def counts(lab):
    """What the sidecar counted of all that was asked of it before: it has warmed one object more since."""
    container = clients.new_container(lab)
    put(lab, container, 1, 1)
    before = clients.counted(lab, 'warmed_total')
    assert clients.request(lab, 'POST', container + '?prefetch=warm').status == 202
    clients.until(lambda: clients.counted(lab, 'warmed_total') > before, 'one more is warmed')
    return clients.metrics(lab)


def forget(lab, container):
    assert clients.request(lab, 'POST', container + '?prefetch=forget').status == 202


@pytest.mark.holds('F16')
def test_what_is_fetched_ahead_trains_nobody(lab, container):
    """A loop A -> B -> A -> B, each fetched ahead again and again."""
    paths = put(lab, container, 2, 1000)
    before, reads = counts(lab), 0
    for _ in range(10):
        for path in paths:
            assert clients.request(lab, 'GET', path).status == 200
            reads += 1
        forget(lab, container)
    after = counts(lab)
    later = counts(lab)
    assert later['records_total access'] - before.get('records_total access', 0) == reads
    # one read leads to one fetch at most, and what was fetched to none
    fetched = [found.get('prefetched_total', 0) for found in (before, after, later)]
    assert fetched[0] < fetched[1] <= fetched[0] + reads
    assert fetched[2] == fetched[1]


def observe(lab, names):
    """Have the sidecar learn from reads of long ago, which lead to no fetches."""
    queue = open_queue(f'sqlite:{lab.cache_dir}/queue.db')
    account = clients.account(lab).rpartition('/')[2]
    reads = [Access(account, 'c', f'{name:06} {"x" * 200}', 'client', 1000.0 + number, 1, 'miss')
             for number, name in enumerate(names)]
    for start in range(0, len(reads), 1000):
        queue.put(reads[start:start + 1000])
    clients.until(lambda: not queue.depth().get('Access'), 'all is learned')
    queue.close()


@pytest.mark.holds('F16')
def test_endless_names_take_no_endless_memory(lab):
    # that of the prefetcher, among those of other parts
    report = CacheLayout(lab.cache_dir).report
    clients.until(report.exists, 'the sidecar has reported')
    pid = json.loads(report.read_text())['pid']
    # until all that is bounded is full: SQLite's pages and the allocator's pools too
    observe(lab, range(14_000))
    # a table without a bound grows each time, an allocator's pool now and then
    grown = []
    for first in (14_000, 24_000, 34_000):
        before = resident(pid)
        observe(lab, range(first, first + 10_000))
        grown.append(resident(pid) - before)
        if grown[-1] < 3 * MIB:
            return
    raise AssertionError(grown)


def cached_bytes(lab):
    """On disk, of all entries."""
    return sum(item.disk_bytes for item in Store.open(lab.cache_dir).linked())


@pytest.mark.holds('F16')
def test_warming_stops_at_the_budget_and_evicts_nothing(lab, container):
    hot = put(lab, container, HOT, MIB)
    for path in hot:
        clients.until_hit(lab, path)
    large = container + '-large'
    assert clients.request(lab, 'PUT', large).status == 201
    put(lab, large, 2 * CACHE_SIZE // MIB, MIB)
    before = cached_bytes(lab)
    assert clients.request(lab, 'POST', large + '?prefetch=warm').status == 202
    warmed = f'warmed {large.removeprefix("/v1")}/: '
    clients.until(lambda: warmed in lab.log('sidecar').read_text(), 'it is warmed')
    assert before + MIB < cached_bytes(lab) <= CACHE_SIZE * 0.9
    for path in hot:
        assert clients.request(lab, 'GET', path, headers={'X-No-Prefetch': 'true'}).is_hit


def slow_down(lab, milliseconds):
    conf = lab.conf_path('object1')
    conf.write_text(re.sub('latency_ms = .*', f'latency_ms = {milliseconds}', conf.read_text()))
    lab.restart('object1')


@pytest.mark.holds('F16')
def test_fetching_ahead_yields_to_a_backend_that_gets_slow(tmp_path):
    with Lab(tmp_path / 'lab', nodes=1, replicas=1, policies=('gold',), latency_ms=1) as lab:
        container = f'{clients.account(lab)}/c'
        assert clients.request(lab, 'PUT', container).status == 201
        paths = put(lab, container, 100, 1000)
        assert clients.request(lab, 'POST', container + '?prefetch=warm&limit=50').status == 202
        clients.until_prefetched(lab, paths[49])
        assert counts(lab).get('backoffs_total', 0) == 0
        slow_down(lab, 1000)
        assert clients.request(lab, 'POST', container + '?prefetch=warm').status == 202
        clients.until(lambda: clients.metrics(lab).get('backoffs_total'), 'it fetches less at a time')
        assert clients.request(lab, 'GET', paths[99]).body == bytes(1000)
