"""Bound the hits of any policy that fetches objects only on request, even one that knew the future.

A read is a hit only if the object stays in the cache from its last read on, and so takes its bytes at each moment
in between. Were room sold at a price per byte and moment, each stretch would be bought that is worth more than it
costs, and the cache's whole room be paid for: whatever the prices, no choice of stretches that fits the cache is
worth more than that profit and that room together (Lagrange; with one price for all times it is PFOO-L of Berger,
Beckmann and Harchol-Balter, 2018). The prices are raised where too much is bought and lowered elsewhere.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import NamedTuple

from .accesslog import LogRead

# periods of the time, each with a price of its own
PERIODS = 64
ROUNDS = 20
# stretches looked at in all rounds, so that a long trace takes some seconds
WORK = 2_000_000


class Stretch(NamedTuple):
    """The moments begin to end - 1 between two reads of an object; each comes before the read of its number."""
    begin: int
    end: int
    bytes: int
    value: int = 1


@dataclass(frozen=True)
class UpperBound:
    object_hit_ratio: float
    byte_hit_ratio: float


def upper_bound(reads: Sequence[LogRead], room: float, again: bool = False, most: int | None = None,
          disk_bytes: Callable[[int], int] = int) -> UpperBound:
    """Bound the hit ratios of any policy without prefetching.

    :param room: bytes that the cache has
    :param again: a pass of the same reads came before, and its objects may still be there
    :param most: upper bound on the bytes of an object that is kept
    :param disk_bytes: size of an object -> bytes of its entry
    """
    found = [stretch for stretch in stretches(reads, again)
             if disk_bytes(stretch.bytes) <= room and (most is None or stretch.bytes <= most)]
    everything = sum(read.bytes for read in reads)
    hits, hit_bytes = (
        _most([Stretch(begin, end, disk_bytes(size), size if by_bytes else 1) for begin, end, size, _ in found],
              room, len(reads)) for by_bytes in (False, True))
    return UpperBound(hits / len(reads), hit_bytes / everything if everything else 0.0)


def stretches(reads: Sequence[LogRead], again: bool) -> list[Stretch]:
    """Find the stretches. An object read again with another size was replaced, so its stretch is left out."""
    last = {read[2:5]: (-1, read.bytes) for read in reads} if again else {}
    found = []
    for number, read in enumerate(reads):
        key = read[2:5]
        before, size = last.get(key, (number, read.bytes))
        if before < number and (read.part or size == read.bytes):
            found.append(Stretch(before + 1, number + 1, size))
        # the size of an object read in part is a guess
        last[key] = number, size if read.part else read.bytes
    return found


def _most(found: list[Stretch], room: float, moments: int) -> float:
    """Bound the value of the stretches that fit."""
    best = float(sum(stretch.value for stretch in found))
    price = _price(found, room * moments)
    if not price:
        return best
    # the first moment by itself: objects of an earlier pass have to fit in it
    edges = sorted({0, 1, *(moments * number // PERIODS for number in range(1, PERIODS + 1))})
    prices = [price] * (len(edges) - 1)
    for number in range(max(1, min(ROUNDS, WORK // len(found)))):
        profit, wanted = _sold(found, room, edges, prices)
        best = min(best, profit)
        step = 0.5 / (1 + number) ** 0.5
        prices = [old * min(4.0, max(0.25, share)) ** step for old, share in zip(prices, wanted, strict=True)]
    return best


def _price(found, room):
    """Find the price at which the best stretches take all the room, or all are bought; 0: none takes any."""
    taken, price = 0, 0.0
    costs = [((end - begin) * size, value) for begin, end, size, value in found if size and value]
    for cost, value in sorted(costs, key=lambda pair: pair[0] / pair[1]):
        taken += cost
        price = value / cost
        if taken > room:
            break
    return price


def _sold(found, room, edges, prices) -> tuple[float, list[float]]:
    """Give profit plus price of the room, and the share of the room that is bought in each period."""
    lengths = [end - begin for begin, end in zip(edges, edges[1:], strict=False)]
    by_moment = [price for price, length in zip(prices, lengths, strict=True) for price in repeat(price, length)]
    until = list(accumulate(by_moment, initial=0.0))
    profit, change = 0.0, [0] * len(until)
    for begin, end, size, value in found:
        gain = value - size * (until[end] - until[begin])
        if gain > 0:
            profit += gain
            change[begin] += size
            change[end] -= size
    bought = list(accumulate(accumulate(change), initial=0))
    shares = [(bought[end] - bought[begin]) / (room * length)
              for begin, end, length in zip(edges, edges[1:], lengths, strict=False)]
    return profit + room * until[-1], shares
