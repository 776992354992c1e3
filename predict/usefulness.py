"""Watches whether fetching pays, account by account: how much of it is read from the cache afterwards.

Where that is too little, only one fetch in some is still begun: so it is seen when it pays again. Each origin of
fetches has a watch of its own. A reader of the ends of large files must not stop good guesses about readers in
order, and good guesses must not hide what large files cost that were fetched whole in vain.

Guesses are counted by objects and with patience: their size was weighed when they were made, and they are about
the next few hundred reads. Wholes and segments are counted by bytes, and as unread until they are read: nobody
weighed their size, and the read of eight bytes may fetch 64 MiB, so that hundreds are too many to wait for.
"""
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from .prediction import ObjectKey

LEAST = 0.1
# a guess that is not read before so many more were fetched was fetched in vain
WAITING = 500
WEIGHT = 0.02
PROBE = 10
# before anything was fetched
FIRST_PRECISION = 0.5
# bytes that are taken to have been fetched before, so that 128 MiB in vain are too many; and how far it looks back
FIRST_BYTES = 32 * 2**20
WINDOW_BYTES = 2**30


class Pay(Protocol):
    """Of one account.

    :ivar refused: fetches
    """
    refused: int

    @property
    def precision(self) -> float:
        """Share of what was fetched that is read."""
        ...


P = TypeVar('P', bound=Pay)


class Watch(Generic[P]):
    """
    :param make: of an account's pay
    :param least: share that must be read
    :param most: accounts that are watched
    """

    def __init__(self, make: Callable[[], P], least: float, most: int):
        self._make = make
        self._least = least
        self._pays: LRUCache[str, P] = LRUCache(most)

    def _of(self, account) -> P:
        pay = self._pays.get(account)
        if pay is None:
            pay = self._pays[account] = self._make()
        return pay

    def allows(self, account: str) -> bool:
        """Whether one more is to be fetched."""
        pay = self._of(account)
        if pay.precision >= self._least:
            return True
        pay.refused += 1
        return pay.refused % PROBE == 0

    @property
    def throttled(self) -> int:
        """How many accounts."""
        return sum(pay.precision < self._least for pay in self._pays.values())


# guesses

class GuessPay:
    def __init__(self):
        self.precision = FIRST_PRECISION
        self.waiting: OrderedDict[ObjectKey, None] = OrderedDict()
        self.refused = 0

    def tell(self, was_used: bool) -> None:
        self.precision += WEIGHT * (was_used - self.precision)


class Usefulness(Watch[GuessPay]):
    """Of guesses, by objects."""

    def __init__(self, least: float = LEAST, most: int = 1000):
        super().__init__(GuessPay, least, most)

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


# wholes and segments

class BytesPay:
    """
    :ivar coming: bytes that are being fetched
    """

    def __init__(self):
        self.fetched = float(FIRST_BYTES)
        self.used = FIRST_BYTES * FIRST_PRECISION
        self.coming = 0
        self.refused = 0

    @property
    def precision(self) -> float:
        return self.used / (self.fetched + self.coming)

    def came(self, size: int) -> None:
        self.fetched += size
        if self.fetched > WINDOW_BYTES:
            self.used *= WINDOW_BYTES / self.fetched
            self.fetched = float(WINDOW_BYTES)

    def use(self, size: int) -> None:
        # it may have come so long ago that it is no part of the window any more
        self.used = min(self.used + size, self.fetched + self.coming)


class UsefulnessInBytes(Watch[BytesPay]):
    """Of wholes or segments. A size is what the object takes on disk: few bytes cost a GET all the same."""

    def __init__(self, least: float = LEAST, most: int = 1000):
        super().__init__(BytesPay, least, most)

    def began(self, account: str, size: int) -> None:
        """A fetch began. :param size: as far as it is known; else 0"""
        self._of(account).coming += size

    def ended(self, account: str, size: int, came: int) -> None:
        """That fetch ended. :param came: the size that it turned out to have; 0 where it failed"""
        pay = self._of(account)
        # of an account that was forgotten meanwhile nothing began
        pay.coming = max(pay.coming - size, 0)
        pay.came(came)

    def used(self, account: str, size: int) -> None:
        """Tell that it was read from the cache, in part or whole, for the first time since it was fetched."""
        self._of(account).use(size)
