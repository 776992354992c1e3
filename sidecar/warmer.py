"""Warming: fetching a container's objects because somebody asked for it."""
from collections.abc import Callable

from swift.common.concurrency import GreenPool

from ..cache.entry import expected_disk_bytes
from ..conf.naming import ObjectName
from ..queues import Warm
from .fetcher import Fetcher
from .keeper import Keeper


class Warmer:
    """
    :param fetch: fetches an object into the cache; False where that was not to be
    :param concurrency: fetches at the same time, for each container that is warmed
    """

    def __init__(self, fetcher: Fetcher, keeper: Keeper, fetch: Callable[[ObjectName, str], bool],
                 concurrency: int):
        self._fetcher = fetcher
        self._keeper = keeper
        self._fetch = fetch
        self._concurrency = concurrency

    def run(self, record: Warm) -> int:
        """Fetch what the record names, in name order, until its limit or the room is used up: warming
        evicts nothing. Tells how many objects were fetched.

        :raises NotFetched: where the container cannot be listed
        """
        pool, fetched, planned = GreenPool(self._concurrency), [], 0
        # bytes that are being fetched are in nobody's accounts yet
        coming = 0
        for name, length in self._fetcher.listing(record.account, record.container, record.prefix):
            if record.limit and planned >= record.limit:
                break
            if self._keeper.store.has(name):
                continue
            if pool.running() == 0:
                coming = 0
            needed = expected_disk_bytes(length)
            if coming + needed > self._keeper.room():
                pool.waitall()
                coming = 0
                if needed > self._keeper.room():
                    break
            planned += 1
            coming += needed
            pool.spawn(self._one, name, fetched)
        pool.waitall()
        return len(fetched)

    def _one(self, name, fetched):
        if self._fetch(name, 'warm'):
            fetched.append(name)
