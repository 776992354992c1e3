"""Reads, the predictions that learners make from them, and the schedule of fetches.

Just in time: a fetch begins so that it ends shortly before the object is expected.
"""
import heapq
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..conf.names import PREFETCH

# of `idle_for`: factor of w / p, and least seconds
FACTOR = 2.0
IDLE_LEAST = 1.0
TIME_WEIGHT = 0.2
# a late fetch gains nothing, an early one costs a little room: err on the early side
SAFETY = 3.0
LEAD = 0.5
# Clients keep no time, so only a share of the wait is waited. The share shrinks with each object read before its
# fetch ended, and grows with each fetch begun in time.
LATE_SHRINKS, DUE_GROWS = 0.8, 0.004

# seconds by which records of several workers may be out of order; by more, a clock was set back
DISORDER = 5.0

ObjectKey = tuple[str, str]


class Read(NamedTuple):
    """One read, as learners see it.

    :param key: (container, object)
    :param at: seconds
    :param bytes: size of the object; 0: unknown
    """
    account: str
    client: str
    key: ObjectKey
    at: float
    bytes: int = 0


class Prediction(NamedTuple):
    """An object that is expected to be read.

    :param probability: 0 to 1
    :param at: earliest time of the read, by the clock of the reads
    :param bytes: upper bound on the size, less than twice the size; 0: unknown
    :param wait: usual seconds from `at` to the read
    :param origin: reason for the fetch, noted in the entry
    """
    account: str
    key: ObjectKey
    probability: float
    at: float
    bytes: int = 0
    wait: float = 0.0
    origin: str = PREFETCH


def idle_for(prediction: Prediction, now: float) -> float | None:
    """Tell after how many seconds without a read an entry may go for the predicted object; None: not predicted.

    An entry unread for t seconds is hardly read more than once in t. An object expected in w seconds with
    probability p deserves the room more if w / p is well below t.
    """
    if not prediction.probability:
        return None
    return max(FACTOR * (prediction.at + prediction.wait - now) / prediction.probability, IDLE_LEAST)


class Predictor(Protocol):
    def observe(self, read: Read) -> list[Prediction]:
        """Learn from a read and predict the next ones, the soonest first."""
        ...


class FetchSeconds:
    """Average the seconds of fetches: of all, and of each doubling of the size."""

    def __init__(self, first: float):
        self.average = first
        self._of: dict[int, float] = {}

    def took(self, seconds: float, size: int) -> None:
        self.average += TIME_WEIGHT * (seconds - self.average)
        if size:
            usual = self._of.setdefault(size.bit_length(), seconds)
            self._of[size.bit_length()] = usual + TIME_WEIGHT * (seconds - usual)

    def of(self, size: int) -> float:
        """Give the average for a size. :param size: bytes; 0: not known"""
        return self._of.get(size.bit_length(), self.average)


@dataclass(frozen=True, order=True)
class Due:
    """A fetch and when to begin it."""
    start_at: float
    number: int
    prediction: Prediction


class Schedule:
    """Fetches to come, by the time to begin. An object waits here once: a later prediction can only advance it.

    :param limit: fetches that may wait; further ones are refused
    :param fetch_seconds: first guess of how long a fetch takes, corrected by `fetched`
    """

    def __init__(self, limit: int = 1000, fetch_seconds: float = 0.1):
        self._limit = limit
        self._seconds = FetchSeconds(fetch_seconds)
        self._heap: list[Due] = []
        self._start_of: dict[tuple, float] = {}
        self._number = 0
        # share of the wait that is waited
        self.share = 1.0

    def __len__(self):
        return len(self._start_of)

    @property
    def lead(self) -> float:
        """Tell how many seconds before the read the fetch of an object of unknown size begins."""
        return self._lead(0)

    def takes(self, size: int) -> float:
        """Estimate the seconds that a fetch of `size` bytes takes; 0: size unknown."""
        return self._seconds.of(size)

    def _lead(self, size):
        return SAFETY * self._seconds.of(size) + LEAD

    def add(self, prediction: Prediction, now: float | None = None) -> bool:
        """Plan a fetch; False where one as early is planned, or there is no room.

        :param now: None: wait the whole time
        """
        wait = prediction.at - now if now is not None else 0.0
        start_at = prediction.at - self._lead(prediction.bytes) - max(wait, 0.0) * (1 - self.share)
        name = (prediction.account, prediction.key)
        planned = self._start_of.get(name)
        if planned is not None and planned <= start_at:
            return False
        if planned is None and len(self._start_of) >= self._limit:
            return False
        self._number += 1
        heapq.heappush(self._heap, Due(start_at, self._number, prediction))
        self._start_of[name] = start_at
        return True

    def cancel(self, account: str, key: ObjectKey) -> None:
        """Drop the fetch of an object that is read now."""
        if self._start_of.pop((account, key), None) is not None:
            self.late()

    def late(self) -> None:
        """Note that an object was read before its fetch ended."""
        self.share *= LATE_SHRINKS

    def due(self, now: float, most: int) -> list[Prediction]:
        """Take up to `most` fetches that are to begin by now, the earliest first."""
        found: list[Prediction] = []
        while self._heap and self._heap[0].start_at <= now and len(found) < most:
            due = heapq.heappop(self._heap)
            if self._is_planned(due):
                del self._start_of[due.prediction.account, due.prediction.key]
                self.share += DUE_GROWS * (1 - self.share)
                found.append(due.prediction)
        return found

    def next_start(self) -> float | None:
        while self._heap and not self._is_planned(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0].start_at if self._heap else None

    def _is_planned(self, due):
        """Tell whether the fetch was neither cancelled nor planned anew."""
        return self._start_of.get((due.prediction.account, due.prediction.key)) == due.start_at

    def fetched(self, seconds: float, size: int = 0) -> None:
        """Note the seconds of a fetch. :param size: bytes, as predicted"""
        self._seconds.took(seconds, size)
