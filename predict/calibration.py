"""Confidence is measured: how often what was predicted on such evidence came true."""
from array import array
from collections.abc import Iterator

# sightings after which those so far count half: what changed is forgotten
LIMIT = 400
# sightings that a first guess counts for
GUESS_WEIGHT = 4.0


class Calibration:
    """A table of shares: of the predictions on each kind of evidence, how many came true.

    :param guesses: of each kind, before anything was seen, 0 to 1
    """

    def __init__(self, guesses: array):
        # the probability of each kind: asked for more often than one changes
        self.shares = array('d', guesses)
        self._true = array('d', (guess * GUESS_WEIGHT for guess in guesses))
        self._all = array('d', [GUESS_WEIGHT]) * len(guesses)

    def __len__(self):
        return len(self._all)

    def add(self, kind: int, came_true: bool) -> None:
        seen, true = self._all[kind] + 1, self._true[kind] + came_true
        self.shares[kind] = true / seen
        if seen >= LIMIT:
            seen, true = seen / 2, true / 2
        self._all[kind], self._true[kind] = seen, true

    def numbers(self) -> Iterator[tuple[float, float]]:
        """(came true, all) of each kind, for a snapshot."""
        return zip(self._true, self._all, strict=True)

    def restore(self, numbers) -> None:
        """:raises ValueError: where these cannot have been counted"""
        for kind, (came_true, seen) in enumerate(numbers):
            if not 0 <= came_true <= seen <= LIMIT or not seen:
                raise ValueError('no shares')
            self._true[kind], self._all[kind], self.shares[kind] = came_true, seen, came_true / seen
