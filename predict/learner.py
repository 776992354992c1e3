"""The interface of learners."""
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..conf.names import PREFETCH

# of idle_for: times w / p; less than a second is no measure
FACTOR = 2.0
IDLE_LEAST = 1.0

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
