"""What was never read: names that stand next to those that are, in the order of their container's listing.

Of each place that a neighbour may have it is measured how often such a one was read soon after.
"""
from array import array
from collections import deque
from collections.abc import Callable, Container, Sequence

from .evidence import Calibration
from .prediction import ObjectKey, Read

# names on each side
REACH = 4
# names of its surroundings that were read: none, one, two, more
AROUND = 4
# reads of the account within which a neighbour must come true
HORIZON = 500
FIRST_SHARE = 0.2
# seconds until it does, before any did
WAIT, WAIT_WEIGHT = 60.0, 0.05
# It waits long in the cache, or in vain: what takes more room than most objects is not worth it. Found by steps:
# where all are of one size they are within a step or two of it.
SMALL = 1.07
# two in five names are smaller
UP, DOWN = 1.02, 1 / 1.03
PLACES = 2 * REACH * AROUND * 2

Name = tuple[str, int]
Names = Callable[[str, ObjectKey, int], tuple[Sequence[Name], Sequence[Name]]]


class Guess:
    """A name that may be read soon, since when, and why."""
    __slots__ = ('key', 'number', 'at', 'kinds', 'is_wanted', 'came_true')

    def __init__(self, key: ObjectKey, number: int, at: float, kind: int):
        self.key = key
        self.number = number
        self.at = at
        self.kinds = [kind]
        self.is_wanted = False
        self.came_true = False


class Neighbours:
    """Of one account.

    :param names: (account, key, reach) -> names and bytes before and after it in its container, the nearest first
    """

    def __init__(self, names: Names, threshold: float):
        self.threshold = threshold
        self._names = names
        self.calibration = Calibration(array('d', [FIRST_SHARE]) * PLACES)
        self._wait = WAIT
        self._came_true = 0
        self._number = 0
        # bytes that two in five names have at most
        self._usual = 10_000.0
        self._waiting: dict[ObjectKey, Guess] = {}
        self._guesses: deque[Guess] = deque()

    def observe(self, read: Read, was_known: bool,
                known: Container[ObjectKey]) -> list[tuple[ObjectKey, float, int]]:
        """(object, probability, bytes) of the neighbours that were never read.

        :param was_known: whether this was read before
        :param known: what was
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
        """Seconds until one that comes true does, on average.

        Less, as long as no guess was settled: who divides it by the probability is not to rely on what is only
        guessed.
        """
        return self._wait if self._number > HORIZON else self._wait * FIRST_SHARE

    def _fresh(self, read, known):
        """(object, place, bytes) of those never read that are not too large; how many were, up to a limit."""
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
        """Whether it is wanted for the first time in a while."""
        guess = self._waiting.get(key)
        if guess is None:
            guess = self._waiting[key] = Guess(key, self._number, at, kind)
            self._guesses.append(guess)
        elif kind not in guess.kinds:
            guess.kinds.append(kind)
        is_new, guess.is_wanted = wanted and not guess.is_wanted, guess.is_wanted or wanted
        return is_new

    def _settle(self, read):
        """What came true is counted no sooner than what did not, or else it would be too much of it at first."""
        self._number += 1
        guess = self._waiting.get(read.key)
        if guess is not None and not guess.came_true:
            guess.came_true = True
            self._came_true += 1
            # of the first few each counts as much as the others
            self._wait += max(WAIT_WEIGHT, 1 / self._came_true) * (read.at - guess.at - self._wait)
        while self._guesses and self._guesses[0].number + HORIZON < self._number:
            guess = self._guesses.popleft()
            del self._waiting[guess.key]
            for kind in guess.kinds:
                self.calibration.add(kind, guess.came_true)
