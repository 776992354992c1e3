"""Count the reads after one object: by the two reads before it, and in a window after it.

A transition is a row of a few references and two bytes; keys are the account's own tuples. Orders one to three are
sums over the same rows, so that each is stored once.
"""
from bisect import bisect
from collections.abc import Sequence
from typing import Any, NamedTuple

from .evidence import next_kind
from .prediction import ObjectKey

ROWS = 32
NEAR = 24
# numbers in a snapshot for each object
LENGTHS = 4
# a count that would pass it halves all, so that old habits fade
COUNT_LIMIT = 31
# weight of a shorter gap, and of a longer one: a late fetch gains nothing
SHORTER, LONGER = 0.5, 0.1
# A gap is coded in a byte, from a millisecond to a day; each code is about a tenth more than the one before.
STEPS_A_DOUBLING, SHORTEST = 9.5, 0.001
SECONDS = tuple(SHORTEST * 2 ** (code / STEPS_A_DOUBLING) if code else 0.0 for code in range(256))
# least seconds of each code but the first
BOUNDS = tuple(SHORTEST * 2 ** ((code - 0.5) / STEPS_A_DOUBLING) for code in range(1, 256))


def to_code(seconds: float) -> int:
    return bisect(BOUNDS, seconds)


def toward(code: int, new: int) -> int:
    return code + round((SHORTER if new < code else LONGER) * (new - code))


class Next(NamedTuple):
    """A follower, the kind of evidence for it, and the gap in seconds."""
    key: ObjectKey
    kind: int
    gap: float


class Followers:
    """The reads that came after the object `key`."""
    __slots__ = ('key', 'reads', 'size_code', '_usual', '_asked', '_rows', '_tallies', '_near', '_near_tallies')

    def __init__(self, key: ObjectKey):
        self.key = key
        # reads of the object, as long as its window was counted
        self.reads = 0
        # bit length of its size; 0: size unknown
        self.size_code = 0
        # cached best of order one
        self._usual: Next | None = None
        # cached last arguments and answer of `best`: a crowd asks the same again
        self._asked: tuple[ObjectKey | None, ObjectKey | None, bool, list[Next]] | None = None
        # three items a row: follower, the key before, and the one before that; the last two may be None
        self._rows: list[Any] = []
        # count and gap code of each row
        self._tallies = bytearray()
        self._near: list[ObjectKey] = []
        self._near_tallies = bytearray()

    def __len__(self):
        return len(self._rows) // 3 + len(self._near)

    @property
    def most_bytes(self) -> int:
        return (1 << self.size_code) - 1

    # -- followers

    def add(self, key: ObjectKey, before: ObjectKey | None, before_that: ObjectKey | None, gap: float) -> None:
        rows, tallies, code = self._rows, self._tallies, to_code(gap)
        self._usual = self._asked = None
        for place in range(0, len(rows), 3):
            if rows[place] == key and rows[place + 1] == before and rows[place + 2] == before_that:
                at = place // 3 * 2
                tallies[at + 1] = toward(tallies[at + 1], code)
                tallies[at] += 1
                if tallies[at] > COUNT_LIMIT:
                    self._age()
                return
        if len(rows) >= 3 * ROWS:
            self._make_room()
        rows += key, before, before_that
        tallies += bytes((1, code))

    def _make_room(self):
        """Drop the oldest row that came once; rows before it are halved and go last."""
        rows, tallies = self._rows, self._tallies
        while tallies[0] > 1:
            rows += rows[:3]
            tallies += bytes((tallies[0] // 2, tallies[1]))
            del rows[:3], tallies[:2]
        del rows[:3], tallies[:2]

    def _age(self):
        kept = [place for place in range(len(self._tallies) // 2) if self._tallies[2 * place] > 1]
        self._rows = [key for place in kept for key in self._rows[3 * place:3 * place + 3]]
        self._tallies = bytearray(number for place in kept for number in
                                  (self._tallies[2 * place] // 2, self._tallies[2 * place + 1]))

    def best(self, before: ObjectKey | None, before_that: ObjectKey | None, all_orders: bool = True) -> list[Next]:
        """Give the most frequent follower of each order.

        :param all_orders: False: leave out order two where there is order three
        """
        rows, asked = self._rows, self._asked
        if asked is not None and asked[0] is before and asked[1] is before_that and asked[2] is all_orders:
            return asked[3]
        if not rows:
            return []
        if len(rows) == 3:
            # equal, not identical: a key forgotten and learned anew has another tuple
            order = (3 if rows[2] == before_that else 2) if rows[1] == before else 1
            times, code = self._tallies
            return [Next(rows[0], next_kind(order, times, 0), SECONDS[code])]
        found = self._best(before, before_that, all_orders)
        self._asked = before, before_that, all_orders, found
        return found

    def _best(self, before, before_that, all_orders):
        rows = self._rows
        if self._usual is None:
            self._usual = self._most_often(range(len(rows) // 3), 1)
        found = [self._usual]
        places = [place for place, first in enumerate(rows[1::3]) if first == before]
        if not places:
            return found
        nearer = [place for place in places if rows[3 * place + 2] == before_that]
        if all_orders or not nearer:
            found.append(self._most_often(places, 2))
        if nearer:
            found.append(self._most_often(nearer, 3))
        return found

    def _most_often(self, places, order):
        """Give the most frequent follower of these rows; of equals the first."""
        rows, tallies = self._rows, self._tallies
        if len(places) == 1:
            place, = places
            return Next(rows[3 * place], next_kind(order, tallies[2 * place], 0), SECONDS[tallies[2 * place + 1]])
        counts: dict = {}
        for place in places:
            key = rows[3 * place]
            counts[key] = counts.get(key, 0) + tallies[2 * place]
        key = max(counts, key=counts.__getitem__) if len(counts) > 1 else rows[3 * places[0]]
        latest = next(place for place in reversed(places) if rows[3 * place] == key)
        times = counts[key]
        return Next(key, next_kind(order, times, sum(counts.values()) - times), SECONDS[tallies[2 * latest + 1]])

    # -- window

    def add_near(self, key: ObjectKey, gap: float) -> None:
        near, tallies, code = self._near, self._near_tallies, to_code(gap)
        try:
            at = 2 * near.index(key)
        except ValueError:
            if len(near) >= NEAR:
                self._make_room_near()
            near.append(key)
            tallies += bytes((1, code))
            return
        if tallies[at + 1] != code:
            tallies[at + 1] = toward(tallies[at + 1], code)
        if tallies[at] < 255:
            tallies[at] += 1

    def _make_room_near(self):
        near, tallies = self._near, self._near_tallies
        while tallies[0] > 1:
            near.append(near.pop(0))
            tallies += bytes((tallies[0] // 2, tallies[1]))
            del tallies[:2]
        del near[0], tallies[:2]

    def read(self) -> None:
        """Count a read of the object itself."""
        self.reads += 1
        if self.reads > 2 * COUNT_LIMIT:
            self.reads //= 2
            kept = [place for place in range(len(self._near)) if self._near_tallies[2 * place] > 1]
            self._near = [self._near[place] for place in kept]
            self._near_tallies = bytearray(number for place in kept for number in
                                           (self._near_tallies[2 * place] // 2, self._near_tallies[2 * place + 1]))

    def near(self, least: int) -> list[tuple[ObjectKey, int, float]]:
        """Give (object, count, seconds) of objects that came in the window at least so often."""
        near, tallies = self._near, self._near_tallies
        return [(near[place], count, SECONDS[tallies[2 * place + 1]])
                for place, count in enumerate(tallies[::2]) if count >= least]

    # -- snapshot

    def state(self) -> tuple[list[ObjectKey | None], tuple[int, ...], bytes]:
        """Give the keys, the `LENGTHS` numbers, and the counts and gaps."""
        return ([*self._rows, *self._near],
                (len(self._rows) // 3, len(self._near), self.reads, self.size_code),
                bytes(self._tallies + self._near_tallies))

    def restore(self, keys: list[ObjectKey | None], lengths: Sequence[int], tallies: bytes) -> None:
        """Load a state. :raises ValueError: where lengths and keys do not fit"""
        rows, near, self.reads, self.size_code = lengths
        if (rows > ROWS or near > NEAR or not self.reads
                or len(keys) != 3 * rows + near or len(tallies) != 2 * (rows + near)):
            raise ValueError('not as many as there should be')
        self._rows, self._near = keys[:3 * rows], [key for key in keys[3 * rows:] if key is not None]
        self._tallies, self._near_tallies = bytearray(tallies[:2 * rows]), bytearray(tallies[2 * rows:])
        self._usual = self._asked = None
