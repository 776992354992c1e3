"""Limit the bytes that one worker adds to the spool of captured misses."""
import time
from collections.abc import Callable

from swift.common.concurrency import spawn_n, tpool

from ..cache import Store
from ..conf import FilterSettings

MEASURE_SECONDS = 1.0
# a spool with more files counts as full, whatever their size
SPOOL_FILES = 10_000


class SpoolBudget:
    """The bytes that this process may still add to the spool."""

    def __init__(self, settings: Callable[[], FilterSettings], failed: Callable[[str, str, Exception], None]):
        """
        :param settings: gives the filter's settings of now, which the sidecar's report changes
        :param failed: counts and logs an error; see `Runtime.failed`
        """
        self._settings = settings
        self._failed = failed
        self._room_at = 0.0
        self._room = 0
        self._measuring = False

    def rest(self) -> None:
        """Capture no misses after an error of the spool, and measure again in a moment."""
        self._room = 0
        self._room_at = time.monotonic() + MEASURE_SECONDS

    def reserve(self, store: Store, length: int) -> bool:
        """Take room for a miss of so many bytes; False where the spool has too little.

        The spool is measured once a second, off the loop. The captures that this process began since then are
        subtracted. Other processes measure for themselves: the spool may exceed its size by the captures that they
        begin within one second.

        :raises OSError: where the spool cannot be measured the first time
        """
        now = time.monotonic()
        if not self._room_at:
            self._room = self._measure(store)
            self._room_at = now + MEASURE_SECONDS
        elif now >= self._room_at and not self._measuring:
            self._measuring = True
            spawn_n(self._measure_again, store)
        if self._room < length:
            return False
        self._room -= length
        return True

    def _measure_again(self, store: Store):
        try:
            self._room = tpool.execute(self._measure, store)
        except OSError as error:
            self._room = 0
            self._failed('capture', 'the spool cannot be measured', error)
        finally:
            self._room_at = time.monotonic() + MEASURE_SECONDS
            self._measuring = False

    def _measure(self, store: Store) -> int:
        """Return the bytes that may be added to the spool. :raises OSError:"""
        settings = self._settings()
        used = store.spool_bytes(settings.spool_bytes, SPOOL_FILES)
        return min(settings.spool_bytes - used, store.free_bytes(settings.free_space))
