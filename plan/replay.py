"""Replay reads on a simulated clock, by learner, schedule, eviction and watch of production, without the bytes."""
import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..eviction.evictor import IDLE_SECONDS
from ..eviction.policies import EvictionPolicy
from ..predict.prediction import ObjectKey, Prediction, Predictor, Read, Schedule, idle_for
from ..predict.usefulness import Usefulness, UsefulnessInBytes
from .accesslog import LogRead
from .room import ANY, Room, RoomLimits


@dataclass(frozen=True)
class ReplaySettings:
    """
    :param cache_bytes: bytes that all entries may take on disk
    :param policy: makes an eviction policy of the bytes that all entries may take
    :param learner: makes a learner, of `names` where there is a listing; None: nothing is prefetched
    :param fetch_seconds: bytes -> seconds that the backend takes
    :param concurrency: fetches at the same time
    :param admission: makes the rule that tells, asked at each read, whether a miss is kept; None: each is
    :param max_object_size: bytes of an object that is kept or prefetched, at most
    :param fetch_whole: bytes of an object that is fetched whole when a part of it is read and it is not there
    :param disk_bytes: an object's bytes -> bytes of its entry on disk
    :param high, low: percent of `cache_bytes` at which eviction begins and ends
    """
    cache_bytes: int
    policy: Callable[[float], EvictionPolicy]
    learner: Callable[..., Predictor] | None
    fetch_seconds: Callable[[int], float]
    concurrency: int = 16
    admission: Callable[[], Callable[[object], bool]] | None = None
    max_object_size: int = ANY
    fetch_whole: int = ANY
    disk_bytes: Callable[[int], int] = int
    high: float = 100.0
    low: float = 100.0

    @property
    def limits(self) -> RoomLimits:
        return RoomLimits(self.cache_bytes, self.high, self.low, self.max_object_size)


@dataclass
class Counts:
    """The counts of one run.

    :param used: prefetched, and read in this run when it was there
    :param late: prefetched, and read while it was on its way: neither a hit nor another GET
    :param early_hits: hits among the first half of the reads; the maker of the requests counts them
    """
    requests: int = 0
    hits: int = 0
    bytes: int = 0
    hit_bytes: int = 0
    prefetched: int = 0
    used: int = 0
    late: int = 0
    prefetched_bytes: int = 0
    useful_bytes: int = 0
    backend_gets: int = 0
    early_hits: int = 0

    @property
    def wasted_bytes(self) -> int:
        return self.prefetched_bytes - self.useful_bytes


def _make(learner, listing):
    if learner is None:
        return None
    return learner(names=Listed(listing)) if listing else learner()


class Listed:
    """Names of containers as their listings have them, in order.

    :param listing: (account, container, object) -> bytes
    """

    def __init__(self, listing: dict[tuple[str, str, str], int]):
        self._names: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for (account, container, name), size in sorted(listing.items()):
            self._names.setdefault((account, container), []).append((name, size))

    def __call__(self, account: str, key: ObjectKey, reach: int):
        names = self._names.get((account, key[0]), [])
        place = bisect_left(names, (key[1],))
        after = place + 1 if place < len(names) and names[place][0] == key[1] else place
        return names[max(0, place - reach):place][::-1], names[after:after + reach]


class Replay:
    """
    :param listing: (account, container, object) -> bytes, of all objects that exist, read or not
    """

    def __init__(self, settings: ReplaySettings, listing: dict[tuple[str, str, str], int] | None = None):
        self._settings = settings
        self._room = Room(settings.policy, settings.limits, settings.disk_bytes)
        self.counts = Counts()
        self._learner = _make(settings.learner, listing)
        self._schedule = Schedule()
        self._usefulness = Usefulness()
        self._wholes = UsefulnessInBytes()
        self._sizes: dict[tuple, int] = dict(listing or {})
        self._now = float('-inf')
        self._coming: dict[tuple, Counts] = {}
        # end of a fetch, its object, and the seconds for which an entry that goes for it must not have been read
        self._ends: list[tuple[float, tuple, float]] = []
        self._admits = settings.admission() if settings.admission else None
        # prefetched and not read yet -> where it was counted
        self._unused: dict[tuple, Counts] = {}
        # fetched whole and not read since -> bytes on disk
        self._unused_wholes: dict[tuple, int] = {}

    def run(self, requests: Iterable[LogRead]) -> Counts:
        """Replay requests in the order of time; the clock goes on from run to run."""
        counts = self.counts = Counts()
        # objects that an earlier run prefetched would have been of use to that run alone
        self._unused.clear()
        for request in requests:
            if self._learner is not None:
                self._advance(request.at, counts)
            self._read(request, counts)
            if self._learner is not None:
                self._learn(self._learner, request)
        return counts

    def _read(self, request, counts):
        key, size = request[2:5], request.bytes
        counts.requests += 1
        counts.bytes += size
        self._sizes[key] = size
        is_kept = self._admits is None or self._admits(key)
        there = self._room.read(key, request.at)
        if there is not None and there != size and not request.part:
            # it was replaced
            self._room.remove(key)
            there = None
        if there is not None:
            self._usefulness.read(key[0], key[1:], True)
            counts.hits += 1
            # the size of an object read in part is a guess, and may be another each time
            counts.hit_bytes += there
            self._use(key, there)
        elif key in self._coming:
            by = self._coming.pop(key)
            by.late += 1
            self._schedule.late()
            by.useful_bytes += size
            self._store(key, size)
        else:
            self._usefulness.read(key[0], key[1:], False)
            counts.backend_gets += 1
            if request.part:
                self._fetch_whole(request, counts)
            elif is_kept:
                self._store(key, size)

    def _fetch_whole(self, request, counts):
        room, size, account, key = self._room, request.bytes, request.account, request[2:5]
        if (size <= self._settings.fetch_whole and room.may_keep(size) and self._wholes.allows(account)
                and room.makes(size, request.at - IDLE_SECONDS)):
            counts.backend_gets += 1
            self._store(key, size)
            self._unused_wholes[key] = taken = self._settings.disk_bytes(size)
            self._wholes.ended(account, 0, taken)

    def _use(self, key, size):
        by = self._unused.pop(key, None)
        if by is not None:
            by.used += 1
            by.useful_bytes += size
        taken = self._unused_wholes.pop(key, None)
        if taken is not None:
            self._wholes.used(key[0], taken)

    def _store(self, key, size):
        self._unused.pop(key, None)
        self._unused_wholes.pop(key, None)
        self._room.add(key, size)

    # prefetching

    def _learn(self, learner, request):
        read = Read(request.account, request.client, (request.container, request.object), request.at,
                    request.bytes)
        self._schedule.cancel(read.account, read.key)
        for prediction in learner.observe(read):
            self._room.expect((prediction.account, *prediction.key))
            if self._is_wanted(prediction) and self._usefulness.allows(read.account):
                self._schedule.add(prediction, request.at)

    def _is_wanted(self, prediction: Prediction):
        key = (prediction.account, *prediction.key)
        size = self._sizes.get(key)
        return (size is not None and self._room.may_keep(size) and key not in self._room
                and key not in self._coming)

    def _advance(self, now, counts):
        """Begin and end fetches, in the order of time, up to now."""
        while True:
            end_at = self._ends[0][0] if self._ends else None
            start_at = self._schedule.next_start() if len(self._ends) < self._settings.concurrency else None
            if start_at is not None:
                # the fetch of an object expected soon begins at once, but not before it was predicted
                start_at = max(start_at, self._now)
            if end_at is not None and end_at <= now and (start_at is None or end_at <= start_at):
                self._now = max(self._now, end_at)
                self._end()
            elif start_at is not None and start_at <= now:
                self._now = start_at
                self._begin(start_at, counts)
            else:
                self._now = now
                return

    def _begin(self, now, counts):
        for prediction in self._schedule.due(now, 1):
            if not self._is_wanted(prediction):
                continue
            key, idle = (prediction.account, *prediction.key), idle_for(prediction, now) or IDLE_SECONDS
            if not self._room.is_any_idle(now - idle):
                continue
            self._usefulness.fetched(prediction.account, prediction.key)
            counts.prefetched += 1
            counts.prefetched_bytes += self._sizes[key]
            counts.backend_gets += 1
            self._coming[key] = counts
            heapq.heappush(self._ends, (now + self._settings.fetch_seconds(self._sizes[key]), key, idle))

    def _end(self):
        now, key, idle = heapq.heappop(self._ends)
        by = self._coming.pop(key, None)
        size = self._sizes[key]
        self._schedule.fetched(self._settings.fetch_seconds(size), size)
        # None: it was late, and is there already
        if by is not None and self._room.makes(size, now - idle):
            self._store(key, size)
            self._room.used(key, now)
            self._unused[key] = by


def replay(requests: Iterable[LogRead], settings: ReplaySettings,
           listing: dict[tuple[str, str, str], int] | None = None) -> Counts:
    return Replay(settings, listing).run(requests)
