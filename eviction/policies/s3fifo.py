"""S3-FIFO."""
from collections import OrderedDict

from .base import EvictionPolicy, Name


class S3Fifo(EvictionPolicy):
    """Three queues (S3-FIFO, Yang and others, 2023): a small queue, a main queue and a list of names.

    A new entry passes through the small queue. It comes to the main queue only if it was read in the small one, or
    had left the small one not long ago, which the list of names remembers.
    """
    SMALL = 0.1
    # the two low bits count the reads, the bits above hold the size
    READS_BITS = 2
    MOST_READS = 3
    # upper bound on the entries that one decision passes by: where all were read, other green threads would wait
    # for seconds
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
        # the main queue last, since an entry that moves there meanwhile must be in one of both lists
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
        """Put an entry at the head of its queue.

        :param mark: whether it was in the small queue; None: it stayed for long, and goes to the main queue
        """
        queue = self._small if mark else self._main
        queue[name] = size << self.READS_BITS
        queue.move_to_end(name, last=False)
        self._small_bytes += size if mark else 0

    def read(self, name):
        queue = self._queue_of(name)
        if queue[name] & self.MOST_READS < self.MOST_READS:
            queue[name] += 1

    def expect(self, name):
        queue = self._queue_of(name)
        if not queue[name] & self.MOST_READS:
            # one counted read keeps it for another round, even if no reader made it
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
        """Give the entry whose turn it is, and its queue. :raises KeyError: there is none"""
        from_small = self._small and (self._small_bytes > self.SMALL * self._room or not self._main)
        queue = self._small if from_small else self._main
        for name in queue:
            return name, queue
        raise KeyError('there is none')

    def _stays(self, name, queue):
        """Move an entry that was read to the main queue, or to the end of it where it is there already."""
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
