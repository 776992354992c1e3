"""Whether prefetching pays, account by account: how much of what was fetched is read before so much more was.

Where it is too little, only one prediction in some is still acted upon: so it is seen when it pays again.
"""
from collections import OrderedDict

from cachetools import LRUCache

from .learner import ObjectKey

LEAST = 0.1
# what is not read before so many more were fetched was fetched in vain
WAITING = 500
WEIGHT = 0.02
PROBE = 10
# before anything was fetched
GUESS = 0.5


class Pay:
    """Of one account."""

    def __init__(self):
        self.precision = GUESS
        self.waiting: OrderedDict[ObjectKey, None] = OrderedDict()
        self.refused = 0

    def tell(self, was_used: bool) -> None:
        self.precision += WEIGHT * (was_used - self.precision)


class Worth:
    """
    :param least: share that must be read
    :param most: accounts that are watched
    """

    def __init__(self, least: float = LEAST, most: int = 1000):
        self._least = least
        self._pays: LRUCache[str, Pay] = LRUCache(most)

    def _of(self, account) -> Pay:
        pay = self._pays.get(account)
        if pay is None:
            pay = self._pays[account] = Pay()
        return pay

    def allows(self, account: str) -> bool:
        """Whether a prediction is to be acted upon."""
        pay = self._of(account)
        if pay.precision >= self._least:
            return True
        pay.refused += 1
        return pay.refused % PROBE == 0

    def fetched(self, account: str, key: ObjectKey) -> None:
        """It was fetched because of a prediction."""
        pay = self._of(account)
        if key in pay.waiting:
            # it was evicted meanwhile, and is fetched once more
            del pay.waiting[key]
            pay.tell(False)
        pay.waiting[key] = None
        if len(pay.waiting) > WAITING:
            pay.waiting.popitem(last=False)
            pay.tell(False)

    def read(self, account: str, key: ObjectKey, was_there: bool) -> None:
        """It was read; whether it was there."""
        pay = self._pays.get(account)
        if pay is not None and key in pay.waiting:
            del pay.waiting[key]
            pay.tell(was_there)

    @property
    def throttled(self) -> int:
        """How many accounts."""
        return sum(pay.precision < self._least for pay in self._pays.values())
