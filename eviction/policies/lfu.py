"""Least frequently used."""
from math import log2

from .ranked import RankedPolicy


class Lfu(RankedPolicy):
    """The entry that was read least goes first; of several, the one that was read longest ago.

    Up to 16 reads each number is a class, above that four for each doubling.
    """
    EXACT = 16

    def _class_of(self, size, reads):
        return reads if reads <= self.EXACT else self.EXACT + int(4 * log2(reads / self.EXACT))

    def _worth_of(self, number):
        return number

    def gone(self, name, size, mark):
        """This policy does not age: an entry that once was read often stays."""
