"""What one worker process has open. Made at its first request, since nothing opened before fork may
be used after it, and what is made in the parent is made by root."""
import time
from collections.abc import Callable

from swift.common.concurrency import spawn_n, tpool

from ..cache import Store, TokenRing, Unavailable
from ..conf.memcache import memcache_conf
from ..queues import SqliteQueue
from .fill import Fill
from .recorder import Recorder

LOOK_SECONDS = 1.0
# more files than these count as a full spool, whatever their size
SPOOL_FILES = 10_000


class Runtime:
    """The cache folder, the freshness tokens, the recorder and the fills of one process."""

    def __init__(self, settings, conf: dict, logger, clock: Callable[[], float] = time.time):
        self.settings = settings
        self.logger = logger
        self.clock = clock
        self.fills: dict[str, Fill] = {}
        self.tokens = TokenRing(memcache_conf(conf), logger) if settings.freshness == 'coherent' else None
        self.recorder = Recorder(SqliteQueue(settings.queue), settings.buffer_records,
                                 settings.flush_interval, logger)
        self._store: Store | None = None
        self._look_at = 0.0
        self._complained = False
        self._room_at = 0.0
        self._room = 0
        self._measuring = False

    def store(self) -> Store | None:
        """The cache folder, or None as long as the sidecar has not made it: one ERROR, then silence."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            if self._store is None or not self._store.is_current():
                self._store = self._open()
        return self._store

    def _open(self):
        try:
            store = Store.open(self.settings.cache_dir)
        except Unavailable as error:
            if not self._complained:
                self.logger.error('no cache, requests pass through until there is one: %s '
                                  '(the sidecar makes the folder: is it running?)', error)
            self._complained = True
            return None
        self.logger.info('cache at %s', self.settings.cache_dir)
        self._complained = False
        return store

    def forget_store(self) -> None:
        """The folder did not answer as it should: pass through, and look again in a moment."""
        self._store = None
        self._look_at = time.monotonic() + LOOK_SECONDS

    def reserve(self, store: Store, length: int) -> bool:
        """Whether a miss of so many bytes may be captured; its room is taken then.

        What lies in the spool is measured once a second, off the loop; what this process began since
        then is subtracted. Other processes measure for themselves: the spool may exceed its size by what
        they begin within one second.
        """
        now = time.monotonic()
        if not self._room_at:
            self._room = self._measure(store)
            self._room_at = now + LOOK_SECONDS
        elif now >= self._room_at and not self._measuring:
            self._measuring = True
            spawn_n(self._measure_again, store)
        if self._room < length:
            return False
        self._room -= length
        return True

    def _measure_again(self, store):
        try:
            self._room = tpool.execute(self._measure, store)
        finally:
            self._room_at = time.monotonic() + LOOK_SECONDS
            self._measuring = False

    def _measure(self, store):
        """Bytes that may be added to the spool."""
        settings = self.settings
        try:
            used = store.spool_bytes(settings.spool_size, SPOOL_FILES)
            return min(settings.spool_size - used, store.free_bytes(settings.free_space))
        except OSError:
            return 0
