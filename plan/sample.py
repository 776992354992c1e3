"""Learn from a part of a long trace, since learning takes the time. The cache sees all of it.

The gain of prefetching on the part is scaled to the whole. The part is made of whole runs of clients' reads, since
their order is learned. From less, less is learned: half of the part tells how much, and that is counted for each
doubling of the part up to the whole.
"""
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from math import log2
from typing import NamedTuple

from xxhash import xxh3_64_intdigest as hashed

from ..predict import Prediction
from ..predict import Read as Observed
from ..predict.prediction import Predictor
from .accesslog import LogRead
from .replay import Counts

# reads of a client that are in the part all or not at all; at least so many runs
RUN, RUNS = 5000, 60


class Off(NamedTuple):
    """Errors of the estimates: ratios, and for fetches in vain a share of them."""
    hits: float = 0.0
    bytes: float = 0.0
    vain: float = 0.0


EXACT, UNKNOWN = Off(), Off(1.0, 1.0, 1.0)


class TracePart:
    """A part of a trace: for each read of a pass a flag that it belongs to the part."""

    def __init__(self, flags: bytearray):
        self.flags = flags
        self.share = sum(flags) / len(flags)


def parts_of(reads: Sequence[LogRead], most: int, run: int | None = None) -> list[TracePart]:
    """Choose a part, and half of it, of about `most` reads together."""
    share, counts = most / len(reads) * 2 / 3, Counter()
    run = run or min(RUN, max(1, len(reads) // RUNS))
    found = [bytearray(len(reads)) for _ in range(2)]
    for number, read in enumerate(reads):
        # an order unrelated to the clients, the same each time
        unit = f'{read.client}\n{counts[read.client] // run}'
        place = hashed(unit.encode('utf-8', 'replace')) / 2**64
        counts[read.client] += 1
        found[0][number], found[1][number] = place < share, place < share / 2
    return [TracePart(flags) for flags in found]


class PartLearner:
    """Learn and predict at the reads of a part alone, of all reads in passes."""

    def __init__(self, learner: Predictor, part: TracePart):
        self._learner = learner
        self._flags = part.flags
        self._number = -1

    def observe(self, read: Observed) -> list[Prediction]:
        self._number = (self._number + 1) % len(self._flags)
        return self._learner.observe(read) if self._flags[self._number] else []


def estimate(plain: Counts, counts: Sequence[Counts], parts: Sequence[TracePart]) -> tuple[Counts, Off]:
    """Estimate prefetching on the whole, and the error of that.

    :param plain: without prefetching
    :param counts: with it, on the part and on half of it
    """
    if not all(part.share for part in parts):
        return plain, UNKNOWN
    found, half = (_scaled(plain, count, part.share) for count, part in zip(counts, parts, strict=True))
    doublings = log2(1 / parts[0].share)
    return found, Off(*(abs(one - other) / max(1, whole) * doublings for one, other, whole in (
        (found.hits, half.hits, plain.requests), (found.hit_bytes, half.hit_bytes, plain.bytes),
        (found.wasted_bytes, half.wasted_bytes, found.wasted_bytes))))


NAMES = [field.name for field in fields(Counts)]


def _scaled(plain, counts, share):
    values = {name: round(getattr(plain, name) + (getattr(counts, name) - getattr(plain, name)) / share)
              for name in NAMES}
    # no more than all can be hit
    values['hits'] = min(values['hits'], plain.requests)
    values['hit_bytes'] = min(values['hit_bytes'], plain.bytes)
    return Counts(**values)
