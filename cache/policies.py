"""What leaves the cache first: each a `cachetools.Cache` of maxsize and getsizeof that evicts by `popitem`."""
import heapq
from collections import OrderedDict

from cachetools import Cache, LFUCache, LRUCache


class GDSFCache(Cache):
    """Greedy-Dual-Size-Frequency: what was read often stays, the sooner it goes the more room it takes.

    An entry's priority is the cache's age, which is the priority of what left last, plus its reads per byte.
    """

    def __init__(self, maxsize, getsizeof=None):
        super().__init__(maxsize, getsizeof)
        self._age = 0.0
        self._reads: dict = {}
        self._priorities: dict = {}
        # with outdated pairs, told by the table above
        self._heap: list = []
        self._number = 0

    def __getitem__(self, key, cache_getitem=Cache.__getitem__):
        value = cache_getitem(self, key)
        self._touch(key)
        return value

    def __setitem__(self, key, value, cache_setitem=Cache.__setitem__):
        cache_setitem(self, key, value)
        self._touch(key)

    def __delitem__(self, key, cache_delitem=Cache.__delitem__):
        cache_delitem(self, key)
        del self._reads[key], self._priorities[key]

    def popitem(self):
        """The one of the least priority. :raises KeyError: there is none"""
        while self._heap:
            priority, number, key = heapq.heappop(self._heap)
            if self._priorities.get(key) == (priority, number):
                self._age = priority
                return key, self.pop(key)
        raise KeyError(f'{type(self).__name__} is empty')

    def _touch(self, key):
        reads = self._reads[key] = self._reads.get(key, 0) + 1
        self._number += 1
        found = self._age + reads / max(1, self.getsizeof(Cache.__getitem__(self, key))), self._number
        self._priorities[key] = found
        heapq.heappush(self._heap, (*found, key))
        if len(self._heap) > 4 * len(self._priorities) + 64:
            self._heap = [(*found, key) for key, found in self._priorities.items()]
            heapq.heapify(self._heap)


class S3FIFOCache(Cache):
    """Three queues (S3-FIFO, Yang and others, 2023): what is new passes through a small one, and comes to the main
    one only if it was read there, or if it was in the small one not long ago, which a list of names remembers.
    """
    SMALL = 0.1
    READS = 3

    def __init__(self, maxsize, getsizeof=None):
        super().__init__(maxsize, getsizeof)
        # key -> reads since it came; the oldest first
        self._small: OrderedDict = OrderedDict()
        self._main: OrderedDict = OrderedDict()
        self._gone: OrderedDict = OrderedDict()
        self._small_bytes = 0

    def __getitem__(self, key, cache_getitem=Cache.__getitem__):
        value = cache_getitem(self, key)
        queue = self._small if key in self._small else self._main
        queue[key] = min(queue[key] + 1, self.READS)
        return value

    def __setitem__(self, key, value, cache_setitem=Cache.__setitem__):
        before = self._size_of(key)
        cache_setitem(self, key, value)
        if key in self._small:
            self._small_bytes += self._size_of(key) - before
        elif key not in self._main:
            self._enter(key)

    def __delitem__(self, key, cache_delitem=Cache.__delitem__):
        if key in self._small:
            self._small_bytes -= self._size_of(key)
        cache_delitem(self, key)
        self._small.pop(key, None)
        self._main.pop(key, None)

    def popitem(self):
        """:raises KeyError: there is none"""
        if not self:
            raise KeyError(f'{type(self).__name__} is empty')
        while True:
            from_small = self._small and (self._small_bytes > self.SMALL * self.maxsize or not self._main)
            key = self._leaving_small() if from_small else self._leaving_main()
            if key is not None:
                value = Cache.__getitem__(self, key)
                del self[key]
                return key, value

    def _enter(self, key):
        if key in self._gone:
            del self._gone[key]
            self._main[key] = 0
        else:
            self._small[key] = 0
            self._small_bytes += self._size_of(key)

    def _leaving_small(self):
        """The oldest, if nobody read it; else it goes on to the main queue."""
        key = next(iter(self._small))
        if not self._small[key]:
            self._gone[key] = None
            while len(self._gone) > max(64, len(self._main)):
                self._gone.popitem(last=False)
            return key
        del self._small[key]
        self._small_bytes -= self._size_of(key)
        self._main[key] = 0
        return None

    def _leaving_main(self):
        """The oldest, if nobody read it; else it goes round once more."""
        key = next(iter(self._main))
        if not self._main[key]:
            return key
        self._main[key] -= 1
        self._main.move_to_end(key)
        return None

    def _size_of(self, key):
        return self.getsizeof(Cache.__getitem__(self, key)) if key in self else 0


EVICTIONS = {'lru': LRUCache, 'lfu': LFUCache, 'gdsf': GDSFCache, 's3fifo': S3FIFOCache}


# admission

def admits_all(key: object) -> bool:
    return True


class SecondHit:
    """Lets in what was asked for before, not long ago: a bit for each of two hashes, in two generations.

    :param most: keys that are remembered; of those that were not asked for before, one in fifty is let in too
    """
    BITS = 10

    def __init__(self, most: int):
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


ADMISSIONS = {'all': lambda most: admits_all, 'second_hit': SecondHit}
