"""Number the kinds of evidence; each number is a place in an account's calibration. Called often for each read.

Three families: a follower, by order, count and the count of the others; a path, by its steps and the product of
their chances; an object that came soon, by its count and by how sure the next read is.
"""
from array import array
from bisect import bisect
from collections.abc import Iterator

ORDERS, COUNTS, OTHERS = 3, 5, 6
BINS = 10
STEPS = 8
SOON_COUNTS = 6
# bounds of the levels of sureness
SURE = (0.4, 0.75, 0.9)

PATH = ORDERS * COUNTS * OTHERS
SOON = PATH + STEPS * BINS
LEVELS = len(SURE) + 1

# measured shares by order: after one sighting, and after several
ONCE, OFTEN = (0.18, 0.35, 0.48), (0.7, 0.7, 0.89)
# classes of the count of others: 0, 1, 2, 3-4, 5-8, more
FEW = (0, 1, 2, 3, 3, 4, 4, 4, 4)
USUAL_OTHERS = (0, 1, 2, 3, 6, 12)


def next_kind(order: int, count: int, others: int) -> int:
    if count > COUNTS:
        count = COUNTS
    return ((order - 1) * COUNTS + count - 1) * OTHERS + (FEW[others] if others < len(FEW) else OTHERS - 1)


def path_kind(step: int, chance: float) -> int:
    part = int(chance * BINS)
    return PATH + ((step if step < STEPS else STEPS) - 1) * BINS + (part if part < BINS else BINS - 1)


def soon_kind(count: int, reads: int, sure: int) -> int:
    """Number the evidence of an object that came soon. :param sure: level from `sureness`"""
    share = count * BINS // reads
    if share >= BINS:
        share = BINS - 1
    return SOON + (((count if count < SOON_COUNTS else SOON_COUNTS) - 1) * BINS + share) * LEVELS + sure


def sureness(chance: float) -> int:
    return bisect(SURE, chance)


def first_shares() -> array:
    """Give the share of each kind before anything was seen."""
    found = array('d')
    for order in range(ORDERS):
        for count in range(1, COUNTS + 1):
            alone = ONCE[order] if count == 1 else OFTEN[order]
            found.extend(alone * (count + 0.5) / (count + 0.5 + others) for others in USUAL_OTHERS)
    for _ in range(STEPS):
        found.extend((number + 0.5) / BINS for number in range(BINS))
    for count in range(1, SOON_COUNTS + 1):
        found.extend((number + 0.5) / BINS * count / (count + 1)
                     for number in range(BINS) for _ in range(LEVELS))
    return found


# sightings after which earlier ones count half, so that old habits fade
LIMIT = 400
# sightings that a first share counts for
FIRST_WEIGHT = 4.0


class Calibration:
    """Keep the share of predictions that came true, for each kind of evidence.

    :param shares: 0 to 1, of each kind before anything was seen
    """

    def __init__(self, shares: array):
        # kept ready, since they are read more often than they change
        self.shares = array('d', shares)
        self._true = array('d', (share * FIRST_WEIGHT for share in shares))
        self._all = array('d', [FIRST_WEIGHT]) * len(shares)

    def __len__(self):
        return len(self._all)

    def add(self, kind: int, came_true: bool) -> None:
        seen, true = self._all[kind] + 1, self._true[kind] + came_true
        self.shares[kind] = true / seen
        if seen >= LIMIT:
            seen, true = seen / 2, true / 2
        self._all[kind], self._true[kind] = seen, true

    def numbers(self) -> Iterator[tuple[float, float]]:
        """Give (came true, all) of each kind, for a snapshot."""
        return zip(self._true, self._all, strict=True)

    def restore(self, numbers) -> None:
        """Load the numbers of a snapshot. :raises ValueError: for numbers that no counting gives"""
        for kind, (came_true, seen) in enumerate(numbers):
            if not 0 <= came_true <= seen <= LIMIT or not seen:
                raise ValueError('no shares')
            self._true[kind], self._all[kind], self.shares[kind] = came_true, seen, came_true / seen
