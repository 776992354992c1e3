"""An order-1 chain, for tests of what is done with predictions: what was read right after an object will be read
after it again, from the first time on."""
from collections import Counter
from dataclasses import dataclass, field

from cachetools import LRUCache

from swiftahead.predict.prediction import ObjectKey, Prediction, Read

FOLLOWERS = 8
GAP_WEIGHT = 0.3
TOTAL_LIMIT = 64


@dataclass
class FollowerCounts:
    """What was read after one object: how often, and after how many seconds."""
    counts: Counter = field(default_factory=Counter)
    gaps: dict[ObjectKey, float] = field(default_factory=dict)
    total: int = 0

    def add(self, key: ObjectKey, gap: float) -> None:
        self.counts[key] += 1
        self.total += 1
        before = self.gaps.get(key, gap)
        self.gaps[key] = before + GAP_WEIGHT * (gap - before)
        if self.total >= TOTAL_LIMIT or len(self.counts) > FOLLOWERS:
            self._age()

    def _age(self):
        # halving lets what changed be forgotten; a follower seen once makes room for new ones
        self.counts = Counter({key: count // 2 for key, count in self.counts.items() if count > 1})
        self.gaps = {key: self.gaps[key] for key in self.counts}
        self.total = max(sum(self.counts.values()), self.total // 2)

    def best(self) -> tuple[ObjectKey, float, float] | None:
        """(key, probability, gap in seconds) of the likeliest follower."""
        if not self.counts:
            return None
        key, count = self.counts.most_common(1)[0]
        return key, count / self.total, self.gaps[key]


class Chain:
    """Counts are shared within an account, the place in the sequence is each client's own.

    :param threshold: least probability, over all steps together, of what is predicted
    :param window: seconds after which a read no longer follows the one before
    :param look_ahead: steps at most
    :param max_contexts: objects whose followers are remembered, and clients whose place is
    """

    def __init__(self, threshold: float = 0.5, window: float = 60.0, look_ahead: int = 8,
                 max_contexts: int = 100_000):
        self._threshold = threshold
        self._window = window
        self._look_ahead = look_ahead
        self._followers: LRUCache = LRUCache(max_contexts)
        self._last: LRUCache = LRUCache(max_contexts)

    def observe(self, read: Read) -> list[Prediction]:
        place = (read.account, read.client)
        before: Read | None = self._last.get(place)
        # records of several workers may arrive out of order by their flush intervals
        if before is not None and before.key != read.key and 0 <= read.at - before.at <= self._window:
            self._learn(before, read)
        if before is None or read.at >= before.at:
            self._last[place] = read
        return list(self._ahead(read))

    def _learn(self, before, read):
        context = (before.account, before.key)
        followers = self._followers.get(context)
        if followers is None:
            followers = self._followers[context] = FollowerCounts()
        followers.add(read.key, read.at - before.at)

    def _ahead(self, read):
        key, probability, at = read.key, 1.0, read.at
        seen = {key}
        for _ in range(self._look_ahead):
            followers = self._followers.get((read.account, key))
            step = followers.best() if followers is not None else None
            if step is None:
                return
            key, chance, gap = step
            probability *= chance
            at += gap
            if probability < self._threshold or key in seen:
                return
            seen.add(key)
            yield Prediction(read.account, key, probability, at)
