"""How long a reader waits for the sidecar, which is fetching what it wants.

Half as long again as Swift takes for an answer just now: who waits in vain, and then asks Swift, has lost no more
than that, however slow fetching has become.
"""
# of the time that Swift's answers take: a fetch has to be checked and linked, too
SHARE = 1.5
# of a new answer in the average
WEIGHT = 0.1


class Patience:
    """One process's own.

    :param most: seconds
    """

    def __init__(self, most: float):
        self._most = most
        self._usual: float | None = None

    def answered(self, seconds: float) -> None:
        """Swift took so long to begin its answer to a read."""
        self._usual = seconds if self._usual is None else self._usual + WEIGHT * (seconds - self._usual)

    @property
    def seconds(self) -> float:
        return self._most if self._usual is None else min(self._most, SHARE * self._usual)
