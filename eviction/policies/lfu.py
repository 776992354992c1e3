"""Least frequently used."""
from math import log2

from .ranked import RankedPolicy


class Lfu(RankedPolicy):
    """Least frequently used: the entry that was read least goes first; of several, the one read longest ago.

    Up to 16 reads each number is a class; above that, each doubling has four classes.
    """
    EXACT = 16

    def _class_of(self, size, reads):
        return reads if reads <= self.EXACT else self.EXACT + int(4 * log2(reads / self.EXACT))

    def _worth_of(self, number):
        return number

    def gone(self, name, size, mark):
        """Do nothing: this policy does not age, and an entry that once was read often stays."""
