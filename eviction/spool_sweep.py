"""Sweeping the spool: remove files that nobody admitted, and warn where they are too many."""
import time
from collections.abc import Callable

from ..cache import Store


class SpoolSweep:
    """
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
        """Sweep once; blocks for as long as the disk does. :raises OSError:"""
        now = self._clock()
        self._store.sweep_spool(now - self._age, now)
        held = self._store.spool_bytes()
        if held > self._size and not self._is_over:
            self._logger.warning('the spool holds %d bytes, more than its %d: misses are captured faster than '
                                 'they are admitted', held, self._size)
        self._is_over = held > self._size
