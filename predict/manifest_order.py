"""Follow clients along lists, such as a manifest's segments: the order is known, only the time is not.

A client is followed once it opens a list. Its next keys are expected at its own pace; until the pace is known,
one key is expected at once. Only as many are expected as must be fetched now to be there in time, so that a
client that stops in the middle of a long list leaves few fetches in vain.
"""
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cachetools import LRUCache

from ..conf.names import SEGMENT
from .prediction import DISORDER, ObjectKey, Prediction, Read

PACE_WEIGHT = 0.3
# steps at a time that still count as one pace: a record of a read may be lost
SKIPPED = 2
# lists that one client has open at the same time
OPEN_LISTS = 4


@dataclass(frozen=True)
class Place:
    """A client's place in a list.

    :param index: -1 before the first key
    :param at: time since when the client is there
    :param pace: seconds for each key; None: unknown
    """
    index: int
    at: float
    pace: float | None = None

    def after(self, index: int, at: float) -> 'Place':
        """Give the place after a read of the key at `index`."""
        steps = index - self.index
        if not steps:
            return self
        if self.index < 0 or not 0 < steps <= SKIPPED:
            return Place(index, at)
        seconds = (at - self.at) / steps
        pace = seconds if self.pace is None else self.pace + PACE_WEIGHT * (seconds - self.pace)
        return Place(index, at, pace)


class Order:
    """The keys of one list, and the places of each."""

    def __init__(self, keys: Iterable[ObjectKey]):
        self.keys: list[ObjectKey] = []
        self._places: dict[ObjectKey, list[int]] = {}
        for key in keys:
            # parts of one object in a row count as one read
            if not self.keys or self.keys[-1] != key:
                self._places.setdefault(key, []).append(len(self.keys))
                self.keys.append(key)

    def __len__(self):
        return len(self.keys)

    def index(self, key: ObjectKey, least: int) -> int | None:
        """Find the first place of a key from `least` on, or else its first; None: not in the list."""
        places = self._places.get(key)
        if places is None:
            return None
        return next((place for place in places if place >= least), places[0])


EMPTY = Order(())


class ManifestOrder:
    """
    :param look_ahead: keys of a list that are expected at a time, at most
    :param max_keys: keys that are remembered, of all lists together
    :param max_readers: clients that are remembered
    """

    def __init__(self, look_ahead: int = 8, max_keys: int = 100_000, max_readers: int = 10_000):
        self._look_ahead = look_ahead
        self._orders: LRUCache[tuple, Order] = LRUCache(max_keys, getsizeof=lambda order: len(order) + 1)
        self._readers: LRUCache = LRUCache(max_readers)

    def know(self, account: str, key: ObjectKey, keys: Iterable[ObjectKey]) -> bool:
        """Remember the keys of a list, in order; False where it is too long."""
        order = Order(keys)
        if len(order) >= self._orders.maxsize:
            return False
        self._orders[account, key] = order
        return True

    def open(self, read: Read) -> None:
        """Note that a list itself was read."""
        places = self._readers.setdefault((read.account, read.client), LRUCache(OPEN_LISTS))
        place = places.get(read.key)
        # a client may open the list anew for each part that it reads
        places[read.key] = place or Place(-1, read.at)

    def observe(self, read: Read, to_end: bool, lead: float) -> list[Prediction]:
        """Predict the next keys of the lists that hold this one, the soonest first.

        :param to_end: False where the read stopped early, so that the next may not be wanted
        :param lead: seconds before a read at which its fetch must begin
        """
        places = self._readers.get((read.account, read.client), {})
        return [prediction for key in list(places)
                for prediction in self._follow(places, key, read, to_end, lead)]

    def _follow(self, places, list_key, read, to_end, lead) -> Iterator[Prediction]:
        place, order = places[list_key], self._orders.get((read.account, list_key), EMPTY)
        index = order.index(read.key, place.index)
        if index is None:
            return
        if read.at < place.at - DISORDER:
            place = Place(-1, read.at)
        elif read.at < place.at:
            # an older read may be told of late
            return
        place = places[list_key] = place.after(index, read.at)
        if place.pace is None and not to_end:
            return
        for step in range(1, self._steps(place.pace, lead) + 1):
            if index + step < len(order):
                at = max(place.at + step * (place.pace or 0.0), read.at)
                yield Prediction(read.account, order.keys[index + step], 1.0, at, origin=SEGMENT)

    def _steps(self, pace, lead):
        """Count the keys to expect: the next one, and all whose fetch must begin before it is read."""
        if pace is None:
            return 1
        if pace * (self._look_ahead - 1) <= lead:
            return self._look_ahead
        return 1 + int(lead / pace)
