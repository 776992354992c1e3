"""Warming: fetch a container's objects because somebody asked for it."""
from collections import Counter
from collections.abc import Callable, Iterator

from swift.common.concurrency import GreenPool, Timeout

from ...cache.entry import expected_disk_bytes
from ...conf.names import ObjectName
from ...eviction.manager import CacheManager
from ...queues import Leased, QueueError, Warm
from ..async_queue import AsyncQueue
from .backend_client import BackendClient

# containers that are warmed at the same time; others wait their turn in the queue
WARM_AT_A_TIME = 2
WARM_TRIES = 5


def path_of(record: Warm) -> str:
    """Give the path of the container and prefix to warm, for the log."""
    return ObjectName(record.account, record.container, record.prefix).quoted


class Warmer:
    """Fetches the objects of a Warm record.

    :param fetch: fetches an object into the cache; False where it was not admitted
    :param concurrency: upper bound on the fetches at the same time, for each container that is warmed
    """

    def __init__(self, fetcher: BackendClient, manager: CacheManager, fetch: Callable[[ObjectName], bool],
                 concurrency: int):
        self._fetcher = fetcher
        self._manager = manager
        self._fetch = fetch
        self._concurrency = concurrency

    def run(self, record: Warm) -> int:
        """Fetch the objects that a record names, in name order, and tell how many were fetched.

        It ends where the record's limit or the room is used up, since warming evicts nothing.

        :raises NotFetched: where the container cannot be listed
        """
        pool, fetched, planned = GreenPool(self._concurrency), [], 0
        # bytes under way, which the inventory does not count yet
        coming = 0
        for name, length in self._fetcher.listing(record.account, record.container, record.prefix):
            if record.limit and planned >= record.limit:
                break
            if self._manager.store.has(name):
                continue
            if pool.running() == 0:
                coming = 0
            needed = expected_disk_bytes(length)
            if coming + needed > self._manager.room():
                pool.waitall()
                coming = 0
                if needed > self._manager.room():
                    break
            planned += 1
            coming += needed
            pool.spawn(self._one, name, fetched)
        pool.waitall()
        return len(fetched)

    def _one(self, name, fetched):
        if self._fetch(name):
            fetched.append(name)


class Warming:
    """The Warm records that this process has leased: a few are under way, the others wait in the queue.

    :param count: counts a metric: name, by, reason
    """

    def __init__(self, warmer: Warmer, queue: AsyncQueue, count: Callable, logger):
        self._warmer = warmer
        self._queue = queue
        self._count = count
        self._logger = logger
        self._pool = GreenPool(WARM_AT_A_TIME)
        self._under_way: dict[int, Leased] = {}
        self._failures: Counter = Counter()
        self._postponed: list[int] = []

    def __iter__(self) -> Iterator[int]:
        """Give the ids of the records under way."""
        return iter(list(self._under_way))

    def begin(self, leased: Leased) -> None:
        """Begin a record, or have it postponed."""
        # a record comes again where its warming outlives the lease, and is under way already
        if leased.id not in self._under_way:
            if len(self._under_way) < WARM_AT_A_TIME:
                self._under_way[leased.id] = leased
                self._pool.spawn_n(self._run, leased)
            else:
                self._postponed.append(leased.id)

    def postponed(self) -> list[int]:
        """Give the ids of the records that have to wait, each one once."""
        postponed, self._postponed = self._postponed, []
        return postponed

    def _run(self, leased):
        record = leased.record
        try:
            fetched = self._warmer.run(record)
            self._logger.info('warmed %s: %d objects', path_of(record), fetched)
            self._queue.done([leased.id])
            self._failures.pop(leased.id, None)
        except (Exception, Timeout) as error:  # noqa: BLE001 - one container's failure is not the daemon's
            self._failed(leased, error)
        finally:
            self._under_way.pop(leased.id, None)

    def _failed(self, leased, error):
        self._count('records_failed')
        self._logger.error('warming %s: %r', path_of(leased.record), error)
        self._failures[leased.id] += 1
        if self._failures[leased.id] >= WARM_TRIES:
            del self._failures[leased.id]
            try:
                self._queue.dead([leased], repr(error))
            except QueueError as late:
                self._logger.error('record %s stays in the queue: %s', leased.id, late)

    def wait(self) -> None:
        """Wait until no record is under way."""
        self._pool.waitall()
