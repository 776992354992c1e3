"""What the sidecar's client leaves behind in Swift: real container servers, and a memcached that proxies share."""
from contextlib import closing

import pytest
from helpers.common.builders import ListLogger
from helpers.freshness import memcacheds
from helpers.mover.moving import LEFT_OPEN, collected, make_cluster  # noqa: F401 - fixtures
from helpers.mover.oneprocess import SILVER
from swift.common.internal_client import UnexpectedResponse
from swift.common.memcached import MemcacheRing
from swift.proxy.controllers.base import get_cache_key

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.sidecar.prefetcher.backend_client import BackendClient, FetchLimits

pytestmark = LEFT_OPEN
CONTAINER = 'cü %2F'
KEY = get_cache_key('AUTH_test', CONTAINER)


@pytest.fixture
def memcached(cluster):
    with closing(memcacheds.Server()) as server:
        cluster.memcached = server.address
        cluster.put_container(CONTAINER, SILVER)
        yield MemcacheRing([server.address], logger=ListLogger())


READS = {
    'a container': lambda fetcher: fetcher.container('AUTH_test', CONTAINER),
    'a listing': lambda fetcher: list(fetcher.listing('AUTH_test', CONTAINER, '')),
    'a page': lambda fetcher: fetcher.page(ObjectName('AUTH_test', CONTAINER, 'o'), 10)}


@pytest.mark.parametrize('read', READS.values(), ids=READS)
def test_what_it_reads_of_a_container_is_not_remembered_by_swift(cluster, memcached, tmp_path, read):
    """Else a read during a POST would keep the old metadata, and rights, for a minute."""
    fetcher = BackendClient(cluster.client, Store.create(tmp_path / 'store'), None, FetchLimits(1))
    read(fetcher)
    assert cluster.asked[-1].server.startswith('container') and memcached.get(KEY) is None


def test_what_an_object_needs_of_its_container_is_remembered_as_by_any_proxy(cluster, memcached):
    with pytest.raises(UnexpectedResponse):
        cluster.client.get_object('AUTH_test', CONTAINER, 'missing', {}, acceptable_statuses=(200,))
    assert memcached.get(KEY)['storage_policy'] == str(SILVER)
