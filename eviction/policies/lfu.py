"""Least frequently used."""
from math import log2

from .ranked import RankedPolicy


class Lfu(RankedPolicy):
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
