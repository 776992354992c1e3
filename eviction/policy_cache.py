"""What leaves the cache first and what is let in, as a replay of reads takes them: the orders of the index behind
cachetools' interface, and the rules of admission, which the sidecar asks too."""
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from cachetools import Cache

from .policies import POLICIES
from .policies.base import EvictionPolicy

# key, value, and what the order knew of it
Taken = tuple[Hashable, Any, Any]


class PolicyCache(Cache):
    """A cachetools cache of maxsize and getsizeof that evicts by `popitem`, in an order of the index."""

    def __init__(self, order: Callable[[float], EvictionPolicy], maxsize, getsizeof=None):
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


EVICTIONS = {name: partial(PolicyCache, order) for name, order in POLICIES.items()}
