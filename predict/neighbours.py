"""Predict objects that were never read: the neighbours of a read in its container's listing.

For each place of a neighbour the share that was read soon after is measured.
"""
from array import array
from collections import deque
from collections.abc import Callable, Container, Sequence

from .evidence import Calibration
from .prediction import ObjectKey, Read

# names on each side
REACH = 4
# classes of the count of neighbours that were read: none, one, two, more
AROUND = 4
# reads of the account within which a neighbour must be read
HORIZON = 500
FIRST_SHARE = 0.2
# first average of the seconds until a neighbour is read, and the weight of a new one
WAIT, WAIT_WEIGHT = 60.0, 0.05
# A neighbour waits long in the cache, or in vain, so larger ones than most are left out. The bound is found in
# steps; objects of one size are within a step or two of it.
SMALL = 1.07
# steps that balance where two in five names are smaller
UP, DOWN = 1.02, 1 / 1.03
PLACES = 2 * REACH * AROUND * 2

Name = tuple[str, int]
Names = Callable[[str, ObjectKey, int], tuple[Sequence[Name], Sequence[Name]]]


class Guess:
    """A neighbour that may be read soon.

    :param number: of the read beside it
    :param kind: of evidence
    """
    __slots__ = ('key', 'number', 'at', 'kinds', 'is_wanted', 'came_true')

    def __init__(self, key: ObjectKey, number: int, at: float, kind: int):
        self.key = key
        self.number = number
        self.at = at
        self.kinds = [kind]
        self.is_wanted = False
        self.came_true = False


class Neighbours:
    """The neighbours of one account's reads.

    :param names: (account, key, reach) -> names and bytes before and after it in its container, the nearest first
    """

    def __init__(self, names: Names, threshold: float):
        self.threshold = threshold
        self._names = names
        self.calibration = Calibration(array('d', [FIRST_SHARE]) * PLACES)
        self._wait = WAIT
        self._came_true = 0
        self._number = 0
        # size that two in five names have at most
        self._usual = 10_000.0
        self._waiting: dict[ObjectKey, Guess] = {}
        self._guesses: deque[Guess] = deque()

    def observe(self, read: Read, was_known: bool,
                known: Container[ObjectKey]) -> list[tuple[ObjectKey, float, int]]:
        """Give (object, probability, bytes) of likely neighbours that were never read.

        :param was_known: whether this object was read before
        :param known: objects that were read
        """
        self._settle(read)
        fresh, around = self._fresh(read, known)
        found = []
        for key, place, size in fresh:
            kind = (place * AROUND + around) * 2 + was_known
            chance = self.calibration.shares[kind]
            if self._is_new(key, read.at, kind, chance >= self.threshold):
                found.append((key, chance, size))
        return found

    @property
    def wait(self) -> float:
        """Average seconds until a neighbour is read; a fifth of it while it is a mere guess."""
        return self._wait if self._number > HORIZON else self._wait * FIRST_SHARE

    def _fresh(self, read, known):
        """Give (object, place, bytes) of small unread neighbours, and the class of the count of read ones."""
        container, usual, fresh, around = read.key[0], self._usual, [], 0
        for first, side in zip((0, REACH), self._names(read.account, read.key, REACH), strict=True):
            for place, (name, size) in enumerate(side, first):
                usual *= UP if size > usual else DOWN
                key = container, name
                if key in known:
                    around += 1
                elif size <= SMALL * usual:
                    fresh.append((key, place, size))
        self._usual = usual
        return fresh, min(around, AROUND - 1)

    def _is_new(self, key, at, kind, wanted):
        """Tell whether the neighbour is wanted for the first time in a while."""
        guess = self._waiting.get(key)
        if guess is None:
            guess = self._waiting[key] = Guess(key, self._number, at, kind)
            self._guesses.append(guess)
        elif kind not in guess.kinds:
            guess.kinds.append(kind)
        is_new, guess.is_wanted = wanted and not guess.is_wanted, guess.is_wanted or wanted
        return is_new

    def _settle(self, read):
        """Note a neighbour that is read. Guesses that came true or failed are counted at the same age, so that
        neither leads."""
        self._number += 1
        guess = self._waiting.get(read.key)
        if guess is not None and not guess.came_true:
            guess.came_true = True
            self._came_true += 1
            # the first few count alike
            self._wait += max(WAIT_WEIGHT, 1 / self._came_true) * (read.at - guess.at - self._wait)
        while self._guesses and self._guesses[0].number + HORIZON < self._number:
            guess = self._guesses.popleft()
            del self._waiting[guess.key]
            for kind in guess.kinds:
                self.calibration.add(kind, guess.came_true)
