"""In which order entries leave the cache: by name, each with its bytes. Plain tables, no I/O.

Who writes and reads: the index of the sidecar (`index.py`), and the caches that `swiftahead plan` replays reads
through (`policies.py`). Nothing of it is on disk: after a start the entries come back by `put_back`, the newest
first, and so leave in the order of their files' times until they are read again.

An order may know of an entry how often it was read: its mark, which is given back with what is put back after all.
"""
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from math import log2
from typing import Any

# whatever a table takes
Name = Any


class Order(ABC):
    """:param room: bytes of all entries together, at most"""

    def __init__(self, room: float):
        self._room = room
        # name -> its size, and what else the order puts into the number
        self._entries: dict[Name, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: Name) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator:
        """Of a copy: it may change meanwhile, and be asked for in another thread."""
        return iter(list(self._entries))

    @abstractmethod
    def size_of(self, name: Name) -> int:
        """:raises KeyError: it is not here"""

    @abstractmethod
    def add(self, name: Name, size: int) -> None:
        """It came, because it was read or will be; it must not be here."""

    @abstractmethod
    def put_back(self, name: Name, size: int, mark: Any = None) -> None:
        """It goes next, or takes the place that it had.

        :param mark: as of `remove`; None: it is older than what is here
        """

    @abstractmethod
    def read(self, name: Name) -> None:
        """:raises KeyError: it is not here"""

    @abstractmethod
    def remove(self, name: Name) -> tuple[int, Any]:
        """Its bytes and its mark. :raises KeyError: it is not here"""

    @abstractmethod
    def first(self) -> Name:
        """What goes next. :raises KeyError: there is none"""

    @abstractmethod
    def gone(self, name: Name, size: int, mark: Any) -> None:
        """What `remove` gave was evicted, for good."""


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
    was read longest ago goes first, and what goes next is the first of some class: there are some dozens, where a
    heap of ranks would have to be mended at each read, or all at once.
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
        self._enter(name, size, reads, age).move_to_end(name, last=False)

    def _enter(self, name, size, reads, age):
        self._entries[name] = size << self.READS_BITS | reads
        number = self._class_of(size, reads)
        found = self._classes.get(number)
        if found is None:
            found = self._classes[number] = self._worth_of(number), OrderedDict()
        found[1][name] = age
        return found[1]

    def read(self, name):
        size, (reads, _) = self.remove(name)
        self._enter(name, size, min(reads + 1, self.MOST_READS), self._age)

    def remove(self, name):
        entry = self._entries.pop(name)
        size, reads = entry >> self.READS_BITS, entry & self.MOST_READS
        number = self._class_of(size, reads)
        _, names = self._classes[number]
        age = names.pop(name)
        if not names:
            del self._classes[number]
        return size, (reads, age)

    def first(self):
        least, found = float('inf'), None
        for worth, names in self._classes.values():
            for name, age in names.items():
                if age + worth < least:
                    least, found = age + worth, name
                break
        if found is None:
            raise KeyError('there is none')
        return found


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


class S3Fifo(Order):
    """Three queues (S3-FIFO, Yang and others, 2023): what is new passes through a small one, and comes to the main
    one only if it was read there, or if it was in the small one not long ago, which a list of names remembers.
    """
    SMALL = 0.1
    # reads are counted in the two low bits, above them the size
    READS_BITS = 2
    MOST_READS = 3
    # entries that one decision passes by at most: where all were read, the others would wait for seconds
    MOST_PASSED = 10_000

    def __init__(self, room: float):
        super().__init__(room)
        self._small: OrderedDict[Name, int] = OrderedDict()
        self._main: OrderedDict[Name, int] = OrderedDict()
        self._gone: OrderedDict[Name, None] = OrderedDict()
        self._small_bytes = 0

    def __len__(self):
        return len(self._small) + len(self._main)

    def __contains__(self, name):
        return name in self._small or name in self._main

    def __iter__(self):
        # what goes over from the one to the other meanwhile is in the second list too
        return iter(dict.fromkeys([*list(self._small), *list(self._main)]))

    def _queue_of(self, name):
        return self._small if name in self._small else self._main

    def size_of(self, name):
        return self._queue_of(name)[name] >> self.READS_BITS

    def add(self, name, size):
        if name in self._gone:
            del self._gone[name]
            self._main[name] = size << self.READS_BITS
        else:
            self._small[name] = size << self.READS_BITS
            self._small_bytes += size

    def put_back(self, name, size, mark=None):
        """:param mark: whether it was in the small queue; what is not known is as if it had stayed for long"""
        queue = self._small if mark else self._main
        queue[name] = size << self.READS_BITS
        queue.move_to_end(name, last=False)
        self._small_bytes += size if mark else 0

    def read(self, name):
        queue = self._queue_of(name)
        if queue[name] & self.MOST_READS < self.MOST_READS:
            queue[name] += 1

    def remove(self, name):
        is_small = name in self._small
        size = self._queue_of(name).pop(name) >> self.READS_BITS
        self._small_bytes -= size if is_small else 0
        return size, is_small

    def first(self):
        for _ in range(self.MOST_PASSED):
            name, queue = self._next()
            if not queue[name] & self.MOST_READS:
                return name
            self._stays(name, queue)
        return self._next()[0]

    def _next(self):
        """The one whose turn it is, and its queue."""
        from_small = self._small and (self._small_bytes > self.SMALL * self._room or not self._main)
        queue = self._small if from_small else self._main
        for name in queue:
            return name, queue
        raise KeyError('there is none')

    def _stays(self, name, queue):
        """It was read: from the small queue it goes on to the main one, in that it goes round once more."""
        if queue is self._small:
            size, _ = self.remove(name)
            self._main[name] = size << self.READS_BITS
        else:
            queue[name] -= 1
            queue.move_to_end(name)

    def gone(self, name, size, mark):
        if mark:
            self._gone[name] = None
            while len(self._gone) > max(64, len(self._main)):
                self._gone.popitem(last=False)


ORDERS: dict[str, type[Order]] = {'lru': Lru, 'lfu': Lfu, 'gdsf': Gdsf, 's3fifo': S3Fifo}
