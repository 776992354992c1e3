"""Watch whether fetching pays, account by account, by the share of the fetches that is read from the cache later.

Where that is too small, only one fetch in `PROBE` is begun, which shows when fetching pays again. Each origin of
fetches has a watch of its own: fetches of whole large files must neither stop good predictions nor hide
behind them.

Predicted fetches are counted by objects and with patience: their size was weighed, and they are about the next few
hundred reads. Wholes and segments are counted by bytes, as unread until they are read: nobody weighed their size,
and a read of eight bytes may fetch 64 MiB.
"""
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from .prediction import ObjectKey

LEAST_SHARE = 0.1
# fetches after which an unread one counts as in vain
WAITING = 500
WEIGHT = 0.02
PROBE = 10
# precision before anything was fetched
FIRST_PRECISION = 0.5
# bytes taken as fetched before, so that 128 MiB in vain are too many; and bytes looked back
FIRST_BYTES = 32 * 2**20
WINDOW_BYTES = 2**30


class Pay(Protocol):
    """The pay of fetching for one account. :ivar refused: fetches refused"""
    refused: int

    @property
    def precision(self) -> float:
        """Share of the fetched objects or bytes that is read."""
        ...


P = TypeVar('P', bound=Pay)


class Watch(Generic[P]):
    """
    :param make: makes an account's pay
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
        """Tell whether one more may be fetched."""
        pay = self._of(account)
        if pay.precision >= self._least:
            return True
        pay.refused += 1
        return pay.refused % PROBE == 0

    @property
    def throttled(self) -> int:
        """Count the accounts whose fetches are refused."""
        return sum(pay.precision < self._least for pay in self._pays.values())


class GuessPay:
    def __init__(self):
        self.precision = FIRST_PRECISION
        self.waiting: OrderedDict[ObjectKey, None] = OrderedDict()
        self.refused = 0

    def tell(self, was_used: bool) -> None:
        self.precision += WEIGHT * (was_used - self.precision)


class Usefulness(Watch[GuessPay]):
    """Watch predicted fetches, by objects."""

    def __init__(self, least: float = LEAST_SHARE, most: int = 1000):
        super().__init__(GuessPay, least, most)

    def fetched(self, account: str, key: ObjectKey) -> None:
        """Note a fetch by a prediction."""
        pay = self._of(account)
        if key in pay.waiting:
            # evicted unread, and fetched once more
            del pay.waiting[key]
            pay.tell(False)
        pay.waiting[key] = None
        if len(pay.waiting) > WAITING:
            pay.waiting.popitem(last=False)
            pay.tell(False)

    def read(self, account: str, key: ObjectKey, was_there: bool) -> None:
        """Note a read. :param was_there: the read was a hit"""
        pay = self._pays.get(account)
        if pay is not None and key in pay.waiting:
            del pay.waiting[key]
            pay.tell(was_there)


class BytesPay:
    """:ivar coming: bytes that are being fetched"""

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
        # the fetch may have left the window
        self.used = min(self.used + size, self.fetched + self.coming)


class UsefulnessInBytes(Watch[BytesPay]):
    """Watch wholes or segments, by bytes on disk: a few bytes cost a GET all the same."""

    def __init__(self, least: float = LEAST_SHARE, most: int = 1000):
        super().__init__(BytesPay, least, most)

    def began(self, account: str, size: int) -> None:
        """Note that a fetch began. :param size: 0: unknown"""
        self._of(account).coming += size

    def ended(self, account: str, size: int, came: int) -> None:
        """Note that the fetch ended. :param came: its real size; 0: it failed"""
        pay = self._of(account)
        # an account forgotten meanwhile has nothing coming
        pay.coming = max(pay.coming - size, 0)
        pay.came(came)

    def used(self, account: str, size: int) -> None:
        """Note the first read from the cache since the fetch, in part or whole."""
        self._of(account).use(size)
