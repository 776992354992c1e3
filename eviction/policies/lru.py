"""Least recently used."""
from collections import OrderedDict

from .base import EvictionPolicy, Name


class Lru(EvictionPolicy):
    """Least recently used: the entry that was read longest ago goes first."""

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
        """Do nothing: this policy remembers nothing of evicted entries."""
