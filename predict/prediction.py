"""Reads, what learners predict from them, and the schedule by which it is fetched.

Just in time: a fetch begins so that it ends shortly before the object is expected.
"""
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..conf.names import PREFETCH

# of idle_for: times w / p; less than a second is no measure
FACTOR = 2.0
IDLE_LEAST = 1.0
TIME_WEIGHT = 0.2
# a fetch that is late is worth nothing, one that is early costs a little room: err on the early side
SAFETY = 3.0
LEAD = 0.5
# Readers keep no time: of the wait for what is expected only a share is waited. It shrinks with each object that
# is read before its fetch ended, and grows with each fetch that began before, so that few come too late.
LATE_SHRINKS, DUE_GROWS = 0.8, 0.004

ObjectKey = tuple[str, str]


class Read(NamedTuple):
    """One read, as learners see it.

    :param account: nothing learned from one account is used for another
    :param client: whose sequence it belongs to
    :param key: (container, object)
    :param at: seconds
    :param bytes: of the object; 0: not known
    """
    account: str
    client: str
    key: ObjectKey
    at: float
    bytes: int = 0


class Prediction(NamedTuple):
    """An object that will be read.

    :param probability: 0 to 1
    :param at: when it is expected, at the earliest, in seconds of the same clock as the reads
    :param bytes: at most so many, and more than half of them; 0: not known
    :param wait: seconds by which it is usually later than that
    :param origin: why it is to be fetched, and what its entry tells of that
    """
    account: str
    key: ObjectKey
    probability: float
    at: float
    bytes: int = 0
    wait: float = 0.0
    origin: str = PREFETCH


def idle_for(prediction: Prediction, now: float) -> float | None:
    """Seconds without a read after which an entry is colder than what is predicted; None: nobody predicted it.

    An entry that was not read for t seconds is hardly read more than once in t. An object that is expected in w
    seconds with a probability of p is worth its room more than that if w / p is well below t.
    """
    if not prediction.probability:
        return None
    return max(FACTOR * (prediction.at + prediction.wait - now) / prediction.probability, IDLE_LEAST)


class Predictor(Protocol):
    def observe(self, read: Read) -> list[Prediction]:
        """Learn from a read; what is expected next, the soonest first."""
        ...


class Learner(Predictor, Protocol):
    """Made with threshold, window, look_ahead and max_contexts of the conf, and names of neighbours or None."""

    def snapshot(self) -> Iterator[bytes]:
        """What was learned, in parts, each as it is at the moment at which it is asked for."""
        ...

    def restore(self, snapshot: bytes) -> int:
        """Learn what a snapshot tells; tells how many contexts there are. :raises DamagedSnapshot:"""
        ...


class FetchSeconds:
    """How long fetches take: an average of all, and one for each doubling of what is fetched."""

    def __init__(self, first: float):
        self.average = first
        self._of: dict[int, float] = {}

    def took(self, seconds: float, size: int) -> None:
        self.average += TIME_WEIGHT * (seconds - self.average)
        if size:
            usual = self._of.setdefault(size.bit_length(), seconds)
            self._of[size.bit_length()] = usual + TIME_WEIGHT * (seconds - usual)

    def of(self, size: int) -> float:
        """:param size: bytes; 0: not known"""
        return self._of.get(size.bit_length(), self.average)


@dataclass(frozen=True, order=True)
class Due:
    """A fetch and when to begin it."""
    start_at: float
    number: int
    prediction: Prediction


class Schedule:
    """What is to be fetched, by the time at which to begin.

    An object waits here once: a later prediction can only make it earlier.

    :param limit: fetches that may wait; the ones due last are refused
    :param fetch_seconds: first guess of how long a fetch takes, corrected by `fetched`
    """

    def __init__(self, limit: int = 1000, fetch_seconds: float = 0.1):
        self._limit = limit
        self._seconds = FetchSeconds(fetch_seconds)
        self._heap: list[Due] = []
        self._start_of: dict[tuple, float] = {}
        self._number = 0
        # of the wait
        self.share = 1.0

    def __len__(self):
        return len(self._start_of)

    @property
    def lead(self) -> float:
        """Seconds before an object is expected at which its fetch begins, where its size is not known."""
        return self._lead(0)

    def takes(self, size: int) -> float:
        """Seconds that a fetch of so many bytes takes, most likely; 0 bytes: the size is not known."""
        return self._seconds.of(size)

    def _lead(self, size):
        return SAFETY * self._seconds.of(size) + LEAD

    def add(self, prediction: Prediction, now: float | None = None) -> bool:
        """Plan a fetch; False where it is planned already, or there is no room.

        :param now: None: the whole wait is waited
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
        """It is read at this moment: fetching it now would come too late."""
        if self._start_of.pop((account, key), None) is not None:
            self.late()

    def late(self) -> None:
        """An object was read while its fetch was under way."""
        self.share *= LATE_SHRINKS

    def due(self, now: float, most: int) -> list[Prediction]:
        """What is to begin by now, the soonest expected first; it is planned no longer."""
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
        """Not so for an older, later plan of what was planned anew, and for what was cancelled."""
        return self._start_of.get((due.prediction.account, due.prediction.key)) == due.start_at

    def fetched(self, seconds: float, size: int = 0) -> None:
        """A fetch took so long. :param size: bytes, as far as the prediction told"""
        self._seconds.took(seconds, size)
