"""What one worker process has open. Made at its first request, since nothing opened before fork may
be used after it, and what is made in the parent is made by root."""
import time
from collections.abc import Callable
from dataclasses import dataclass

from swift.common.concurrency import spawn_n, tpool

from ..cache import Asked, Store, Token, TokenRing, TokensUnreachable, Unavailable
from ..conf.memcache import memcache_conf
from ..conf.naming import ObjectName
from ..queues import Forget, SqliteQueue
from .fill import Fill
from .recorder import Recorder

LOOK_SECONDS = 1.0
# more files than these count as a full spool, whatever their size
SPOOL_FILES = 10_000


@dataclass(frozen=True)
class Known:
    """What memcached knew of an object.

    :param reachable: False where memcached did not answer, or is not asked in this mode
    """
    token: Token | None
    reachable: bool

    @property
    def settled(self) -> Token | None:
        return self.token if self.token is not None and not self.token.pending else None


UNKNOWN = Known(None, reachable=False)


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

    # freshness tokens and records; that memcached is away is counted here, and told to nobody

    def ask(self, name: ObjectName) -> Asked | None:
        """Ask for the object's token, to `take` it later; None where tokens are not used."""
        return self.tokens.ask(name) if self.tokens is not None else None

    def take(self, asked: Asked | None) -> Known:
        if asked is None:
            return UNKNOWN
        try:
            return Known(asked.take(), reachable=True)
        except TokensUnreachable:
            self.logger.increment('prefetch.tokens.unreachable')
            return UNKNOWN

    def set_token(self, name: ObjectName, token: Token) -> bool:
        """Tells whether it is set; so it is, in a manner, where tokens are not used."""
        if self.tokens is None:
            return True
        try:
            self.tokens.set(name, token)
        except TokensUnreachable:
            self.logger.increment('prefetch.tokens.unreachable')
            return False
        return True

    def forget(self, name: ObjectName, identity: str = '') -> None:
        """Have the sidecar drop the object's entry; with `identity` only if it is still that file."""
        self.recorder.add(Forget(name.account, name.container, object=name.object, identity=identity,
                                 at=self.clock()))

    # the cache folder

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
