"""Greedy-Dual-Size-Frequency."""
from math import log2

from .ranked import RankedPolicy


class Gdsf(RankedPolicy):
    """Greedy-Dual-Size-Frequency (Cherkasova, 1998): an entry that was read often stays.

    The more room an entry takes, the sooner it goes. The worth is reads for each byte, to a quarter of a doubling.
    The age is the rank of the entry that was evicted last, so that an entry that was read often long ago goes in
    time.
    """
    STEPS = 4

    def _class_of(self, size, reads):
        return round(self.STEPS * log2(reads / (size or 1)))

    def _worth_of(self, number):
        return 2 ** (number / self.STEPS)

    def gone(self, name, size, mark):
        reads, age = mark
        self._age = max(self._age, age + self._worth_of(self._class_of(size, reads)))
