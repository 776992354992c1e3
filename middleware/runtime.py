"""What one worker process has open. Made at its first request, since nothing opened before fork may
be used after it, and what is made in the parent is made by root."""
import socket
import time
from collections.abc import Callable
from urllib.parse import quote

from cachetools import LRUCache, TTLCache
from swift.common.concurrency import Event, sleep, spawn_n, tpool

from ..cache import Store, Unavailable
from ..conf import Settings
from ..conf.names import ObjectName
from ..conf.tables import told_settings
from ..freshness import UNKNOWN, Announced, PendingToken, Token, TokenReading, TokenRing, TokensUnreachable
from ..metrics.counters import FLUSH_SECONDS, Counters, counters_folder
from ..metrics.table import MEMCACHED_CONF
from ..queues import Forget, open_queue
from .collapsing import CollapsedReads
from .detector import Detector
from .fetch_wait import FetchWait
from .recorder import Recorder
from .token_servers import Servers, find_servers, has_servers

LOOK_SECONDS = 1.0
# objects of which it is remembered that they wait in the spool
CAPTURED = 10_000
# for how long nobody waits for such a fetch again
VAIN_SECONDS = 60.0
# more files than these count as a full spool, whatever their size
SPOOL_FILES = 10_000


def start_threads() -> None:
    """Those of the pool. Where eventlet once failed to start them, all who use them later would wait for ever.

    :raises OSError:
    """
    try:
        tpool.setup()
    except OSError:
        tpool.killall()
        raise


def node_name(conf: dict) -> str:
    """What this node is called in answers: host and port of its proxy-server, of which a host may have several.

    :param conf: with proxy-server's own options from [DEFAULT]
    """
    host, port = quote(socket.gethostname()), conf.get('bind_port', '')
    return f'{host}:{port}' if port else host


class Runtime:
    """The cache folder, the freshness tokens, the recorder and the fills of one process."""

    def __init__(self, settings, conf: dict, logger, clock: Callable[[], float] = time.time, swifts_cache=None):
        """
        :param conf: the filter's own options, merged over [DEFAULT]
        :param swifts_cache: the ring of Swift's cache filter, as the first request has it
        """
        start_threads()
        self.settings = settings
        self._spool_size = settings.spool_size
        self._go_by(told_settings({}, self._spool_size))
        self._conf = conf
        self.logger = logger
        self.clock = clock
        self.node = node_name(conf)
        self.collapsed_reads = CollapsedReads()
        # HEADs that others may wait for: what is known of which file of which object -> when it is told
        self.validations: dict[tuple[ObjectName, str, TokenReading], Event] = {}
        self.captured: LRUCache = LRUCache(CAPTURED)
        self.fetch_wait = FetchWait(settings.fetch_wait)
        # objects whose fetch by the sidecar took longer than is waited for
        self.waited_in_vain: TTLCache = TTLCache(CAPTURED, VAIN_SECONDS)
        # what hits and misses rely on; where they may not, writes are told to `_doubted` all the same
        self.tokens: TokenRing | None = None
        self._doubted: TokenRing | None = None
        # the reason that is counted for each HEAD, where it is not the entry's
        self.why_validated = ''
        # whether no request has shown yet where Swift's own cache is
        self.awaits_ring = False
        if settings.freshness == 'coherent':
            self.find_tokens(swifts_cache)
        queue = open_queue(settings.queue, logger=logger)
        self.metrics = Counters(counters_folder(queue.path), logger, tpool.execute)
        self.recorder = Recorder(queue, logger, self.count)
        self.detector = Detector(self) if settings.detect_misplaced else None
        self._counts_wait = False
        self._store: Store | None = None
        self._look_at = 0.0
        self._complained = False
        self._say_at: dict[str, float] = {}
        self._room_at = 0.0
        self._room = 0
        self._measuring = False

    def find_tokens(self, swifts_cache) -> None:
        """Open the tokens in the memcached servers that Swift's cache filter has, by the ring of a request.

        The first request decides. Where that one came without, as one may that a middleware of somebody's made,
        the first that has it does.
        """
        self.awaits_ring = not has_servers(swifts_cache)
        self._open_tokens(find_servers(self.settings.memcache_servers, self._conf, swifts_cache, self.logger))

    def _open_tokens(self, servers: Servers):
        ring = TokenRing(servers.ring) if servers.ring is not None else None
        if ring is not None:
            self.logger.info('freshness tokens in memcached at %s', ', '.join(ring.client.servers))
        self.tokens, self._doubted = ring, None
        self.why_validated = ''
        if servers.doubt:
            self.logger.error('%s', servers.doubt)
            self.tokens, self._doubted = None, ring
            self.why_validated = MEMCACHED_CONF
        self._go_by({'freshness': 'validate' if servers.doubt else 'coherent'})

    def _go_by(self, values: dict):
        self.settings = Settings(**{**vars(self.settings), **values})

    def count(self, name: str, by: int = 1, reason: str | None = None) -> None:
        """Count in memory; within a second or so the sidecar and statsd are told. See `metrics.table`."""
        self.metrics.count(name, by, reason)
        if not self._counts_wait:
            self._counts_wait = True
            spawn_n(self._tell_counts)

    def _tell_counts(self):
        sleep(FLUSH_SECONDS)
        self._counts_wait = False
        if not self.metrics.flush():
            # a disk that takes nothing: what is kept in memory goes with a later count
            self.logger.debug('counts are not written')

    def close(self) -> None:
        """What is open, closed; for who ends a runtime before its process ends."""
        self.collapsed_reads.close()
        self.recorder.close()
        self.metrics.close()
        if self.told is not None:
            self.told.close()

    # freshness tokens and records; that memcached is away is counted here, and told to nobody

    def ask(self, name: ObjectName) -> PendingToken | None:
        """Ask for the object's token, to `take` it later; None where tokens are not used."""
        return self.tokens.ask(name) if self.tokens is not None else None

    def take(self, asked: PendingToken | None) -> TokenReading:
        if asked is None:
            return UNKNOWN
        try:
            return TokenReading(asked.take(), reachable=True)
        except TokensUnreachable:
            self.count('tokens_unreachable')
            return UNKNOWN

    @property
    def told(self) -> TokenRing | None:
        """Where writes are told; None where tokens are not used."""
        return self.tokens or self._doubted

    def announce(self, name: ObjectName) -> Announced | None:
        """Set a pending token without waiting: it is in memcached long before a write can be in the backend."""
        told = self.told
        if told is None:
            return None
        try:
            return told.announce(name, Token.new(pending=True))
        except TokensUnreachable:
            self.count('tokens_unreachable')
            return None

    def settle(self, name: ObjectName, announced: Announced | None, token: Token) -> bool:
        """Set the token that follows the announced one; tells whether one is set.

        Where another write came between, it is not known which of them came last, nor what is set meanwhile: the
        token then knows of no write's time, and what is filled under it is validated before it is trusted.
        """
        told = self.told
        if told is None:
            return False
        try:
            if announced is not None and told.replace(name, announced, token):
                return True
        except TokensUnreachable:
            self.count('tokens_unreachable')
        return self.set_token(name, Token.new())

    def set_token(self, name: ObjectName, token: Token) -> bool:
        """Tells whether it is set; so it is, in a manner, where tokens are not used."""
        told = self.told
        if told is None:
            return True
        try:
            told.set(name, token)
        except TokensUnreachable:
            self.count('tokens_unreachable')
            return False
        return True

    def end_token(self, name: ObjectName) -> bool:
        """Have all nodes validate the object's entries before they trust them again; tells whether they will."""
        told = self.told
        if told is None:
            return False
        try:
            told.end(name)
        except TokensUnreachable:
            self.count('tokens_unreachable')
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
            # a report that cannot be read changes nothing
            if self._store is not None and (report := self._store.report()):
                self._go_by(told_settings(report, self._spool_size))
        return self._store

    def _open(self):
        try:
            store = Store.open(self.settings.cache_dir)
        except Unavailable as error:
            self.count('errors', reason='folder')
            if not self._complained:
                self.logger.error('no cache, requests pass through until there is one: %s '
                                  '(the sidecar makes the folder: is it running?)', error)
            self._complained = True
            return None
        self.logger.info('cache at %s', self.settings.cache_dir)
        self._complained = False
        return store

    def failed(self, what: str, text: str, error: Exception) -> None:
        """Something of ours failed, which the client does not notice: counted, and said once a second at most.

        :param what: 'entry', 'stamp' or 'capture', for the counter
        """
        self.count('errors', reason=what)
        now = time.monotonic()
        if now >= self._say_at.get(what, 0.0):
            self._say_at[what] = now + LOOK_SECONDS
            self.logger.error('%s: %r', text, error)

    def forget_store(self) -> None:
        """The folder did not answer as it should: pass through, and look again in a moment."""
        self._store = None
        self._look_at = time.monotonic() + LOOK_SECONDS

    def rest_from_capture(self) -> None:
        """The spool takes nothing: capture no misses, and measure again in a moment."""
        self._room = 0
        self._room_at = time.monotonic() + LOOK_SECONDS

    def reserve(self, store: Store, length: int) -> bool:
        """Whether a miss of so many bytes may be captured; its room is taken then.

        What lies in the spool is measured once a second, off the loop; what this process began since
        then is subtracted. Other processes measure for themselves: the spool may exceed its size by what
        they begin within one second.

        :raises OSError: where the spool cannot be measured the first time
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
        except OSError as error:
            self._room = 0
            self.failed('capture', 'the spool cannot be measured', error)
        finally:
            self._room_at = time.monotonic() + LOOK_SECONDS
            self._measuring = False

    def _measure(self, store):
        """Bytes that may be added to the spool. :raises OSError:"""
        size = self.settings.spool_size
        used = store.spool_bytes(size, SPOOL_FILES)
        return min(size - used, store.free_bytes(self.settings.free_space))
