"""Admission: keep all captured misses, or only the misses of objects that were read before, not long ago.

The filter captures a miss before the sidecar knows of it. A miss that is not kept has cost a capture. It spares
the room, and the entries that would be evicted for it. To ask first would cost each miss a look into a table that
all workers share. Objects that are fetched ahead, whole or to warm are exempt, and so are new versions of entries.

Readers that read along with a miss cause no capture: together with the miss they count as one read. Reads are
remembered in memory alone: after a start every object counts as read for the first time again.
"""
import time
from collections.abc import Callable

from ..cache import Store

# number of names to remember; a sketch takes two and a half bytes for each
REMEMBERED = 1_000_000


def admits_all(key: object) -> bool:
    return True


class SecondHit:
    """Admit a key that was asked for before, not long ago: a bit for each of two hashes, in two generations.

    :param most: number of keys to remember; of the keys not asked for before, one in fifty is admitted too
    """
    BITS = 10

    def __init__(self, most: int = REMEMBERED):
        self._most = max(1, most)
        self._now = bytearray(self._size())
        self._before = bytearray(self._size())
        self._count = 0

    def _size(self):
        return self._most * self.BITS // 8 + 1

    def __call__(self, key: object) -> bool:
        """Note that a key was asked for, and tell whether it is to be admitted."""
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


ADMISSIONS: dict[str, Callable[[], Callable[[object], bool]]] = {
    'all': lambda: admits_all, 'second_hit': SecondHit}


class Admission:
    """Applies the admission rule to the spool files of captured misses.

    :param rule: a name of `ADMISSIONS`
    :param is_here: tells whether there is an entry of this name
    :param execute: runs a blocking call
    """

    def __init__(self, rule: str, store: Store, is_here: Callable[[str], bool], execute: Callable):
        self._knows = ADMISSIONS[rule]()
        self._store = store
        self._is_here = is_here
        self._execute = execute

    def read(self, entry_name: str) -> None:
        """Note a hit."""
        self._knows(entry_name)

    def refuses(self, spool_name: str) -> bool:
        """Remove the spool file of a miss that the rule does not keep, and tell whether it was one."""
        if self._knows is admits_all:
            return False
        meta = self._execute(self._store.spooled_meta, spool_name)
        # a file that cannot be read is left to the caller, which logs the reason
        if meta is None or meta.origin != 'read' or self._is_known(self._store.naming.entry(meta.name)):
            return False
        self._execute(self._store.discard, spool_name)
        return True

    def _is_known(self, entry_name):
        # first, since it must note the read in any case
        return self._knows(entry_name) or self._is_here(entry_name)


class SpoolSweep:
    """Removes spool files that were not admitted in time, and warns where the spool holds too much.

    :param size: bytes that the spool may hold
    :param age: seconds after which a file is removed
    """

    def __init__(self, store: Store, size: int, age: float, logger, clock: Callable[[], float] = time.time):
        self._store = store
        self._size = size
        self._age = age
        self._logger = logger
        self._clock = clock
        self._is_over = False

    def look(self) -> None:
        """Sweep once, and block as long as the disk does. :raises OSError:"""
        now = self._clock()
        self._store.sweep_spool(now - self._age, now)
        held = self._store.spool_bytes()
        if held > self._size and not self._is_over:
            self._logger.warning('the spool holds %d bytes, more than its %d: misses are captured faster than '
                                 'they are admitted', held, self._size)
        self._is_over = held > self._size
