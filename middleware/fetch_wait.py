"""How long a reader waits for the sidecar, which is fetching what it wants.

No longer than Swift would take to answer, and half as long again for what ends later than was expected: who waits
in vain, and then asks Swift, has lost no more than that, however slow fetching has become.
"""
# of the time that Swift's answers take: a fetch has to be checked and linked, too
GRACE = 0.5
# of a new answer in the average
WEIGHT = 0.1


class FetchWait:
    """One process's own.

    :param most: seconds
    """

    def __init__(self, most: float):
        self._most = most
        self._usual: float | None = None

    def answered(self, seconds: float) -> None:
        """Swift took so long to begin its answer to a read."""
        self._usual = seconds if self._usual is None else self._usual + WEIGHT * (seconds - self._usual)

    def seconds(self, left: float) -> float:
        """How long to wait; 0: Swift is quicker.

        :param left: seconds after which the fetch is expected to end; below 0: it should have
        """
        usual = self._most if self._usual is None else min(self._usual, self._most)
        return min(self._most, max(left, 0.0) + GRACE * usual) if left <= usual else 0.0
