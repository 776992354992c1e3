"""The base of policies by rank."""
from abc import abstractmethod
from collections import OrderedDict
from heapq import heapify, heappop, heappush, heapreplace

from .base import EvictionPolicy, Name


class RankedPolicy(EvictionPolicy):
    """The base of policies by rank: reads and size put an entry into one of a few classes, each with its worth.

    An entry's rank is the sum of its class's worth and of the policy's age when it was last read. So within a
    class the entry that was read longest ago goes first, and the next entry to evict is the first of some class.
    A heap holds the classes; a heap of all entries would have to be mended at each read. A class stands in the
    heap with a lower bound on the rank of its first entry, and is checked when it comes to the top.
    """
    # the low bits of a number count the reads, the bits above hold the size: one object for both
    READS_BITS = 20
    MOST_READS = 2**READS_BITS - 1

    def __init__(self, room: float):
        super().__init__(room)
        # class -> its worth, and a table: name -> the age when it was read
        self._classes: dict[int, tuple[float, OrderedDict[Name, float]]] = {}
        self._age = 0.0
        self._oldest = 0.0
        # (rank, class); only a pair with the class's rank in `_ranks` counts
        self._heap: list[tuple[float, int]] = []
        self._ranks: dict[int, float] = {}

    @abstractmethod
    def _class_of(self, size: int, reads: int) -> int: ...

    @abstractmethod
    def _worth_of(self, number: int) -> float: ...

    def size_of(self, name):
        return self._entries[name] >> self.READS_BITS

    def add(self, name, size):
        self._enter(name, size, 1, self._age)

    def put_back(self, name, size, mark=None):
        if mark is None:
            # below all others, whatever its class: only more reads make a worth above 1, and it has one read
            self._oldest -= 2
        reads, age = mark or (1, self._oldest)
        number = self._enter(name, size, reads, age)
        worth, names = self._classes[number]
        names.move_to_end(name, last=False)
        self._has(number, worth + age)

    def _enter(self, name, size, reads, age):
        self._entries[name] = size << self.READS_BITS | reads
        number = self._class_of(size, reads)
        found = self._classes.get(number)
        if found is None:
            found = self._classes[number] = self._worth_of(number), OrderedDict()
            self._has(number, found[0] + age)
        found[1][name] = age
        return number

    def _has(self, number, rank):
        """Note that a class has an entry of that rank at its head."""
        known = self._ranks.get(number)
        if known is not None and known <= rank:
            return
        self._ranks[number] = rank
        heappush(self._heap, (rank, number))
        if len(self._heap) > 2 * len(self._ranks) + 64:
            self._heap = [(rank, number) for number, rank in self._ranks.items()]
            heapify(self._heap)

    def read(self, name):
        size, (reads, _) = self.remove(name)
        self._enter(name, size, min(reads + 1, self.MOST_READS), self._age)

    def expect(self, name):
        size, (reads, _) = self.remove(name)
        self._enter(name, size, reads, self._age)

    def remove(self, name):
        entry = self._entries.pop(name)
        size, reads = entry >> self.READS_BITS, entry & self.MOST_READS
        number = self._class_of(size, reads)
        worth, names = self._classes[number]
        age = names.pop(name)
        if names:
            # the removed entry may have been put back before others, and be younger than they are
            self._has(number, worth + next(iter(names.values())))
        else:
            del self._classes[number]
        return size, (reads, age)

    def first(self):
        heap, ranks = self._heap, self._ranks
        while heap:
            rank, number = heap[0]
            found = self._classes.get(number)
            if found is None or ranks[number] != rank:
                heappop(heap)
                if found is None:
                    ranks.pop(number, None)
                continue
            worth, names = found
            name, age = next(iter(names.items()))
            if worth + age == rank:
                return name
            ranks[number] = worth + age
            heapreplace(heap, (worth + age, number))
        raise KeyError('there is none')
