"""What leaves the cache first and what is let in, as a replay of reads takes them: the orders of the index behind
cachetools' interface, and the rules of admission, which the sidecar asks too."""
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from cachetools import Cache

from .order import Order
from .orders import ORDERS

# key, value, and what the order knew of it
Taken = tuple[Hashable, Any, Any]


class Evicting(Cache):
    """A cachetools cache of maxsize and getsizeof that evicts by `popitem`, in an order of the index."""

    def __init__(self, order: Callable[[float], Order], maxsize, getsizeof=None):
        super().__init__(maxsize, getsizeof)
        self._order = order(maxsize)

    def __getitem__(self, key, cache_getitem=Cache.__getitem__):
        value = cache_getitem(self, key)
        self._order.read(key)
        return value

    def __setitem__(self, key, value, cache_setitem=Cache.__setitem__):
        size = int(self.getsizeof(value))
        # what takes the place of another begins anew, as in the index
        if key in self and size <= self.maxsize:
            del self[key]
        cache_setitem(self, key, value)
        self._order.add(key, size)

    def expect(self, key: Hashable) -> None:
        """It will be read soon, most likely, and goes no sooner than if it just had been, if it is here."""
        if key in self:
            self._order.expect(key)

    def __delitem__(self, key, cache_delitem=Cache.__delitem__):
        cache_delitem(self, key)
        self._order.remove(key)

    def popitem(self):
        """:raises KeyError: there is none"""
        item = self.take()
        self.let_go(item)
        return item[:2]

    def take(self) -> Taken:
        """What `popitem` would give, to be followed by `let_go` or `put_back`. :raises KeyError: there is none"""
        key = self._order.first()
        value = Cache.__getitem__(self, key)
        Cache.__delitem__(self, key)
        return key, value, self._order.remove(key)[1]

    def let_go(self, item: Taken) -> None:
        key, value, mark = item
        self._order.gone(key, int(self.getsizeof(value)), mark)

    def put_back(self, item: Taken) -> None:
        """In the place that it had."""
        key, value, mark = item
        Cache.__setitem__(self, key, value)
        self._order.put_back(key, int(self.getsizeof(value)), mark)


EVICTIONS = {name: partial(Evicting, order) for name, order in ORDERS.items()}


# admission

# names that are remembered; a sketch takes two and a half bytes for each
REMEMBERED = 1_000_000


def admits_all(key: object) -> bool:
    return True


class SecondHit:
    """Lets in what was asked for before, not long ago: a bit for each of two hashes, in two generations.

    :param most: keys that are remembered; of those that were not asked for before, one in fifty is let in too
    """
    BITS = 10

    def __init__(self, most: int = REMEMBERED):
        self._most = max(1, most)
        self._now = bytearray(self._size())
        self._before = bytearray(self._size())
        self._count = 0

    def _size(self):
        return self._most * self.BITS // 8 + 1

    def __call__(self, key: object) -> bool:
        """Whether it is to be let in; it was asked for."""
        number = hash(key)
        bits = 8 * len(self._now)
        places = number % bits, (number // bits * 0x9E3779B1 + 1) % bits
        was_known = any(all(table[place >> 3] >> (place & 7) & 1 for place in places)
                        for table in (self._now, self._before))
        for place in places:
            self._now[place >> 3] |= 1 << (place & 7)
        self._count += not was_known
        if 2 * self._count >= self._most:
            self._now, self._before, self._count = bytearray(self._size()), self._now, 0
        return was_known


ADMISSIONS: dict[str, Callable[[], Callable[[object], bool]]] = {
    'all': lambda: admits_all, 'second_hit': SecondHit}
