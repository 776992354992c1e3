"""In which order entries leave the cache: by name, each with its bytes. Plain tables, no I/O.

Who writes and reads: the index of the sidecar (`index.py`), and the caches that `swiftahead plan` replays reads
through (`policies.py`). Nothing of it is on disk: after a start the entries come back by `put_back`, the newest
first, and so leave in the order of their files' times until they are read again.

An order may know of an entry how often it was read: its mark, which is given back with what is put back after all.
"""
from abc import abstractmethod
from collections import OrderedDict
from heapq import heapify, heappop, heappush, heapreplace
from math import log2

from .order import Name, Order
from .s3fifo import S3Fifo


class Lru(Order):
    """What was read longest ago goes first."""

    def __init__(self, room: float):
        super().__init__(room)
        self._entries = self._queue = OrderedDict[Name, int]()

    def size_of(self, name):
        return self._queue[name]

    def add(self, name, size):
        self._queue[name] = size

    def put_back(self, name, size, mark=None):
        self._queue[name] = size
        self._queue.move_to_end(name, last=False)

    def read(self, name):
        self._queue.move_to_end(name)

    expect = read

    def remove(self, name):
        return self._queue.pop(name), None

    def first(self):
        for name in self._queue:
            return name
        raise KeyError('there is none')

    def gone(self, name, size, mark):
        """Nothing is remembered of it."""


class Classes(Order):
    """The base of orders by rank: reads and size put an entry into one of a few classes, each with its worth.

    An entry's rank is its class's worth and the order's age when it was last read. So within a class the one that
    was read longest ago goes first, and what goes next is the first of some class. Of these there is a heap, where
    one of all entries would have to be mended at each read: a class stands in it with a rank that its first has at
    least, and is looked at when it comes to the top.
    """
    # so many reads are counted in the low bits of a number, above them the size: one object for both
    READS_BITS = 20
    MOST_READS = 2**READS_BITS - 1

    def __init__(self, room: float):
        super().__init__(room)
        # class -> its worth, and name -> the age when it was read
        self._classes: dict[int, tuple[float, OrderedDict[Name, float]]] = {}
        self._age = 0.0
        self._oldest = 0.0
        # (rank, class), of which only those count that are the class's rank
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
            # below all others, whatever its class: no worth is above 1 but by reads, and it has only one
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
        """A class has somebody of that rank at its head."""
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
            # what was put back before others may have been younger than they are
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


class Lfu(Classes):
    """What was read least goes first, and of what was read about as often what was read longest ago.

    Up to 16 reads each number is a class, above that four for each doubling.
    """
    EXACT = 16

    def _class_of(self, size, reads):
        return reads if reads <= self.EXACT else self.EXACT + int(4 * log2(reads / self.EXACT))

    def _worth_of(self, number):
        return number

    def gone(self, name, size, mark):
        """It does not age: what was read often once stays."""


class Gdsf(Classes):
    """Greedy-Dual-Size-Frequency (Cherkasova, 1998): what was read often stays, the sooner it goes the more room
    it takes. The worth is reads for each byte, to a quarter of a doubling; the age is the rank of what was evicted
    last, so that what was read often goes in time.
    """
    STEPS = 4

    def _class_of(self, size, reads):
        return round(self.STEPS * log2(reads / (size or 1)))

    def _worth_of(self, number):
        return 2 ** (number / self.STEPS)

    def gone(self, name, size, mark):
        reads, age = mark
        self._age = max(self._age, age + self._worth_of(self._class_of(size, reads)))


ORDERS: dict[str, type[Order]] = {'lru': Lru, 'lfu': Lfu, 'gdsf': Gdsf, 's3fifo': S3Fifo}
