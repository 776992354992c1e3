"""F16: read-ahead that could feed on itself, on endless names, or on a container larger than the cache."""
import json
import re
import time

import clients
import pytest
from processes import resident

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


@pytest.fixture
def container(lab, request):
    path = f'{clients.account(lab)}/{request.node.name}'
    assert clients.request(lab, 'PUT', path).status == 201
    return path


def put(lab, container, count, length):
    paths = [f'{container}/{number:03}' for number in range(count)]
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=bytes(length)).status == 201
    return paths


def status(lab):
    return json.loads(clients.run('swiftahead', 'status', '--json', '--conf', lab.conf_path('sidecar')).stdout)


def report(lab):
    """What the sidecar tells of itself, counted after this was called."""
    asked_at = time.time()
    path = CacheLayout(lab.cache_dir).report
    clients.until(lambda: path.exists() and json.loads(path.read_text())['at'] > asked_at, 'the sidecar reports')
    return status(lab)


def forget(lab, container):
    assert clients.request(lab, 'POST', container + '?prefetch=forget').status == 202


def test_f16_what_is_fetched_ahead_trains_nobody(lab, container):
    """A loop A -> B -> A -> B, each fetched ahead again and again."""
    paths = put(lab, container, 2, 1000)
    before, reads = report(lab)['counters'], 0
    for _ in range(10):
        for path in paths:
            assert clients.request(lab, 'GET', path).status == 200
            reads += 1
        forget(lab, container)
    after = report(lab)['counters']
    later = report(lab)['counters']
    assert later['records.access'] - before['records.access'] == reads
    # one read leads to one fetch at most, and what was fetched to none
    assert before['prefetched'] < after['prefetched'] <= before['prefetched'] + reads
    assert later['prefetched'] == after['prefetched']


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


def test_f16_endless_names_take_no_endless_memory(lab):
    # that of the prefetcher, among those of other parts
    pid = report(lab)['pid']
    # until all that is bounded is full: SQLite's pages and the allocator's pools too
    observe(lab, range(14_000))
    before = resident(pid)
    observe(lab, range(14_000, 24_000))
    assert resident(pid) < before + 3 * MIB


def test_f16_warming_stops_at_the_budget_and_evicts_nothing(lab, container):
    hot = put(lab, container, HOT, MIB)
    for path in hot:
        clients.until_hit(lab, path)
    large = container + '-large'
    assert clients.request(lab, 'PUT', large).status == 201
    put(lab, large, 2 * CACHE_SIZE // MIB, MIB)
    before = report(lab)
    assert clients.request(lab, 'POST', large + '?prefetch=warm').status == 202
    clients.until(lambda: report(lab)['counters']['warmed'] > before['counters']['warmed'], 'it is warmed')
    after = report(lab)
    assert before['bytes'] + MIB < after['bytes'] <= CACHE_SIZE * 0.9
    for path in hot:
        assert clients.request(lab, 'GET', path, headers={'X-No-Prefetch': 'true'}).is_hit


def slow_down(lab, milliseconds):
    conf = lab.conf_path('object1')
    conf.write_text(re.sub('latency_ms = .*', f'latency_ms = {milliseconds}', conf.read_text()))
    lab.restart('object1')


def test_f16_fetching_ahead_yields_to_a_backend_that_gets_slow(tmp_path):
    with Lab(tmp_path / 'lab', nodes=1, replicas=1, policies=('gold',), latency_ms=1) as lab:
        container = f'{clients.account(lab)}/c'
        assert clients.request(lab, 'PUT', container).status == 201
        paths = put(lab, container, 100, 1000)
        assert clients.request(lab, 'POST', container + '?prefetch=warm&limit=50').status == 202
        clients.until_prefetched(lab, paths[49])
        assert report(lab)['counters']['backoffs'] == 0
        slow_down(lab, 1000)
        assert clients.request(lab, 'POST', container + '?prefetch=warm').status == 202
        clients.until(lambda: status(lab)['counters']['backoffs'], 'it fetches less at a time')
        assert clients.request(lab, 'GET', paths[99]).body == bytes(1000)
