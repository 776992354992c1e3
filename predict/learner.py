"""The interface of learners."""
from typing import NamedTuple, Protocol

ObjectKey = tuple[str, str]
# why something is fetched: it was predicted, it is the next of a list, or a part of it was read
PREFETCH, SEGMENT, WHOLE = 'prefetch', 'segment', 'whole'


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


class Learner(Protocol):
    def observe(self, read: Read) -> list[Prediction]:
        """Learn from a read; what is expected next, the soonest first."""
        ...
