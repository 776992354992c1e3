"""The fetch scheduler: begins due fetches, bounds their number, and counts their outcomes."""
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cachetools import TTLCache
from swift.common.concurrency import GreenPool, Timeout, sleep, spawn_n, tpool

from ...cache.entry import expected_disk_bytes
from ...conf.names import PREFETCH, SEGMENT, WHOLE, ObjectName
from ...eviction.evictor import uncounted
from ...eviction.last_reads import Fetched
from ...eviction.manager import CacheManager, Stopped
from ...predict import Learner, Prediction, Schedule, Usefulness, UsefulnessInBytes
from ...predict.prediction import idle_for
from ...queues import Queue
from .backend_client import BackendClient, BackendFailed, NotFetched, Uncacheable
from .congestion import Congestion

# seconds past its time after which a prediction is too late
LATE_SECONDS = 30.0
# an object read in part is fetched whole, though no prediction says that it will be read again
NOBODYS_GUESS = 0.0
# seconds between two checks for a place
LOOK_SECONDS = 0.05
# seconds for which an uncacheable object is not fetched again for a prediction; number of such objects known
REFUSED_SECONDS, REFUSED = 300.0, 10_000


@dataclass(frozen=True)
class Context:
    """The tools that the pieces of the prefetcher share.

    :param count: counts a metric: name, by, reason
    :param execute: runs a blocking call
    :param look_ahead: upper bound on the segments fetched ahead of the reader of a manifest
    """
    queue: Queue
    manager: CacheManager
    fetcher: BackendClient
    learner: Learner | None = None
    schedule: Schedule = field(default_factory=Schedule)
    pace: Congestion = field(default_factory=lambda: Congestion(16))
    count: Callable = uncounted
    execute: Callable = tpool.execute
    look_ahead: int = 8


@dataclass
class Fetch:
    """One fetch that began.

    :param origin: an origin of `predict`, or 'warm'
    :param idle: seconds without a read after which an entry may be evicted for it; None: the default
    :param size: bytes of the object, where they were known
    :param taken: bytes on disk, once the object has come
    """
    name: ObjectName
    origin: str
    idle: float | None = None
    size: int = 0
    taken: int = 0

    @property
    def expected(self) -> int:
        """Give the expected bytes on disk; 0 where the size is not known."""
        return expected_disk_bytes(self.size) if self.size else 0


class FetchScheduler:
    """Begins fetches in time, as long as there are places and fetches of their origin pay.

    Guesses ask `Usefulness` when they are planned. Segments and wholes ask a watch in bytes when they begin, so
    that fetches under way count. Warming has no watch: somebody asked for it, and it ends where the room does.

    :param is_coming: tells whether an entry of this name waits to be admitted
    :param concurrency: upper bound on the fetches of predictions at the same time
    """

    def __init__(self, context: Context, is_coming: Callable[[str], bool], concurrency: int, logger,
                 clock: Callable[[], float] = time.time):
        self._manager = context.manager
        self._fetcher = context.fetcher
        self._schedule = context.schedule
        self._pace = context.pace
        self._count = context.count
        self._is_coming = is_coming
        self._logger = logger
        self._clock = clock
        self._pool = GreenPool(concurrency)
        self._under_way: set[ObjectName] = set()
        self.usefulness = Usefulness()
        self.watches = {SEGMENT: UsefulnessInBytes(), WHOLE: UsefulnessInBytes()}
        self._refused: TTLCache[ObjectName, None] = TTLCache(REFUSED, REFUSED_SECONDS)
        self._stopped = False

    def is_under_way(self, name: ObjectName) -> bool:
        return name in self._under_way

    def is_here(self, name: ObjectName) -> bool:
        """Tell whether an object is cached, or on its way."""
        return self._is_here(name, self._manager.has)

    def _is_here(self, name, has):
        entry_name = self._manager.store.naming.entry(name)
        return name in self._under_way or self._is_coming(entry_name) or has(entry_name)

    def seconds_to_next(self, most: float) -> float:
        """Give the seconds until there is a fetch to begin; at most `most`."""
        start_at = self._schedule.next_start()
        if start_at is None or not self._pool.free() or not self._manager.is_whole:
            return most
        now = self._clock()
        if not self._pace.places(now):
            # where only fetches under way are waited for, the end of one begins the next
            return min(self._pace.wait(now) or most, most)
        return min(max(start_at - now, 0.0), most)

    def begin_due(self) -> None:
        """Begin the fetches whose time has come, as long as there are places.

        None begins before the inventory is whole.
        """
        now = self._clock()
        # a due prediction that begins no fetch leaves its place to the next
        while not self._stopped and self._manager.is_whole and (due := self._schedule.due(now, self._places(now))):
            for prediction in due:
                name = name_of(prediction)
                if now - prediction.at <= LATE_SECONDS and not self.is_here(name) and self._pays(prediction):
                    self._begin(Fetch(name, prediction.origin, idle_for(prediction, now), prediction.bytes))

    def _places(self, now):
        return min(self._pool.free(), self._pace.places(now))

    def _pays(self, prediction):
        watch = self.watches.get(prediction.origin)
        if watch is None or watch.allows(prediction.account):
            return True
        self._count('throttled', reason=prediction.origin)
        return False

    def _begin(self, fetch):
        self._under_way.add(fetch.name)
        if fetch.origin in self.watches:
            self.watches[fetch.origin].began(fetch.name.account, fetch.expected)
        # before the fetch runs, or else the next fetch would find this place free
        self._pace.began()
        self._pool.spawn_n(self._prefetch, fetch)

    def _prefetch(self, fetch):
        began_at = self._clock()
        try:
            if not self._manager.may_prefetch(idle=fetch.idle):
                self._count('no_room')
                self._pace.ended()
            elif self._fetch(fetch):
                self._count('fetched_whole' if fetch.origin == WHOLE else 'prefetched')
                self._schedule.fetched(self._clock() - began_at, fetch.size)
        finally:
            self._end(fetch)
            # in another green thread, so that this fetch's place in the pool is free by then
            spawn_n(self.begin_due)

    def _end(self, fetch):
        self._under_way.discard(fetch.name)
        if fetch.origin in self.watches:
            self.watches[fetch.origin].ended(fetch.name.account, fetch.expected, fetch.taken)

    def want(self, name: ObjectName, at: float, size: int) -> None:
        """Have an object fetched whole, of which a part was read at `at`, unless it is here or coming."""
        if name not in self._refused:
            key = name.container, name.object
            self._schedule.add(Prediction(name.account, key, NOBODYS_GUESS, at, size, origin=WHOLE))

    def used(self, account: str, fetched: Fetched) -> None:
        """Note that an entry was read for the first time since it was fetched."""
        self._count('fetched_whole_used' if fetched.origin == WHOLE else 'prefetched_used')
        if fetched.origin in self.watches:
            self.watches[fetched.origin].used(account, fetched.bytes)

    def expect(self, predictions: Iterable[Prediction]) -> None:
        """Have missing objects fetched in time, and keep the entries of the others."""
        for prediction in predictions:
            if self._is_missing(prediction):
                self._schedule.add(prediction)

    def guess(self, predictions: Iterable[Prediction]) -> None:
        """Do as `expect`, but fetch only for accounts whose earlier guesses were worth it."""
        for prediction in predictions:
            if not self._is_missing(prediction):
                continue
            if self.usefulness.allows(prediction.account):
                self._schedule.add(prediction, self._clock())
            else:
                self._count('throttled', reason=PREFETCH)

    def _is_missing(self, prediction):
        """Tell whether an object is neither here nor known as uncacheable; keep its entry if it is here."""
        name = name_of(prediction)
        return name not in self._refused and not self._is_here(name, self._manager.expect)

    def warm(self, name: ObjectName) -> bool:
        """Fetch and admit an object when there is a place; tell whether it was admitted."""
        # so that no object is fetched twice at the same time
        while name in self._under_way or not self._pace.places(self._clock()):
            sleep(max(self._pace.wait(self._clock()), LOOK_SECONDS))
        if self.is_here(name):
            return False
        self._under_way.add(name)
        self._pace.began()
        try:
            warmed = self._fetch(Fetch(name, 'warm'))
        finally:
            self._under_way.discard(name)
        if warmed:
            self._count('warmed')
        return warmed

    def small(self, name: ObjectName, most: int) -> bytes:
        """Read an object's bytes when there is a place, and keep them nowhere.

        :param most: upper bound on its bytes
        :raises NotFetched: with the reason; BackendFailed too where there was no place for long
        """
        began_at, failed = self._clock(), False
        while not self._pace.places(self._clock()):
            if self._stopped or self._clock() - began_at > LATE_SECONDS:
                raise BackendFailed('the backend is slow')
            sleep(LOOK_SECONDS)
        self._pace.began()
        try:
            return self._fetcher.small(name, most, self._pace)
        except (BackendFailed, Timeout, ConnectionError):
            failed = True
            raise
        finally:
            self._pace.failed(self._clock()) if failed else self._pace.ended()

    def _fetch(self, fetch):
        """Fetch and admit an object whose fetch began; log and count errors."""
        with self._manager.store.fetching(fetch.name, self._clock() + self._schedule.takes(fetch.size)):
            spool_name = self._spool(fetch)
            try:
                return spool_name is not None and self._manager.admit(spool_name, fetch.idle)
            except Stopped:
                return False
            except OSError as error:
                self._logger.error('%s not admitted: %s', fetch.name.quoted, error)
                return False

    def _spool(self, fetch):
        name, failed = fetch.name, False
        try:
            if not self._manager.keep_free():
                self._count('no_room')
                return None
            spool_name, length = self._fetcher.fetch(name, fetch.origin, self._pace)
            self._count('prefetched_bytes', length)
            # whether it is admitted or not, since it has cost the backend as much
            fetch.taken = expected_disk_bytes(length)
            if fetch.origin == PREFETCH:
                self.usefulness.fetched(name.account, (name.container, name.object))
            return spool_name
        except NotFetched as error:
            failed = isinstance(error, BackendFailed)
            if isinstance(error, Uncacheable):
                self._refused[name] = None
            self._count('fetch_failed' if failed else 'not_fetched')
            self._logger.debug('%s not fetched: %s', name.quoted, error)
        except (Exception, Timeout) as error:  # noqa: BLE001 - whatever one object meets, the others go on
            failed = isinstance(error, Timeout | ConnectionError)
            self._count('fetch_failed')
            self._logger.warning('%s not fetched: %r', name.quoted, error)
        finally:
            self._pace.failed(self._clock()) if failed else self._pace.ended()
        return None

    def drain(self) -> None:
        """Wait until all fetches are done, also those that became due meanwhile."""
        while self._pool.running():
            self._pool.waitall()
            self.begin_due()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True


def name_of(prediction: Prediction) -> ObjectName:
    return ObjectName(prediction.account, *prediction.key)
