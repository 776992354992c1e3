"""Keep everything that one worker has open.

It is opened at the worker's first request: nothing opened before fork may be used after it, and the parent process
is root's."""
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from cachetools import LRUCache, TTLCache
from swift.common.concurrency import Event, sleep, spawn_n, tpool

from ..cache import Store, Unavailable
from ..conf import FilterSettings
from ..conf.names import ObjectName
from ..conf.options import told_settings
from ..freshness import ProcessTokens, TokenReading, TokenRing
from ..freshness.process_tokens import Servers, find_servers, has_servers
from ..metrics.counters import FLUSH_SECONDS, Counters, counters_folder
from ..metrics.table import MEMCACHED_CONF
from ..queues import Forget, open_queue
from .collapsing import CollapsedReads
from .detector import Detector
from .recorder import Recorder
from .spool_budget import SpoolBudget

# share of the usual time that a reader waits longer: a fetch has to be admitted, too
GRACE = 0.5
# weight of a new answer in the average
WEIGHT = 0.1


class FetchWait:
    """The time that readers wait for the sidecar, which is fetching their object.

    The reader waits no longer than Swift would take to answer, and half as long again for a fetch that ends later
    than expected. A reader that waits in vain has lost no more than that, however slow fetching has become.
    """

    def __init__(self, most: float):
        """:param most: the longest wait in seconds"""
        self._most = most
        self._usual: float | None = None

    def answered(self, seconds: float) -> None:
        """Learn how long Swift took to begin its answer to a read."""
        self._usual = seconds if self._usual is None else self._usual + WEIGHT * (seconds - self._usual)

    def seconds(self, left: float) -> float:
        """Return how long to wait; 0: Swift is quicker.

        :param left: seconds until the expected end of the fetch; below 0: it is late
        """
        usual = self._most if self._usual is None else min(self._usual, self._most)
        return min(self._most, max(left, 0.0) + GRACE * usual) if left <= usual else 0.0


LOOK_SECONDS = 1.0
# the most objects that are remembered as captured, and as waited for in vain
CAPTURED = 10_000
# seconds for which no reader waits again for a fetch that took too long
VAIN_SECONDS = 60.0


def start_threads() -> None:
    """Start the threads of eventlet's pool. After one failed start, all later calls would wait for ever.

    :raises OSError: where a thread cannot be started
    """
    try:
        tpool.setup()
    except OSError:
        tpool.killall()
        raise


def node_name(conf: dict) -> str:
    """Name this node for answers: host and port of its proxy-server, since a host may run several.

    :param conf: with proxy-server's own options from [DEFAULT]
    """
    host, port = quote(socket.gethostname()), conf.get('bind_port', '')
    return f'{host}:{port}' if port else host


class Runtime:
    """The cache folder, the freshness tokens, the recorder and the collapsed reads of one worker."""

    def __init__(self, settings: FilterSettings, conf: dict, logger, clock: Callable[[], float] = time.time,
                 swifts_cache=None):
        """
        :param conf: the filter's own options, merged over [DEFAULT]
        :param swifts_cache: the ring of Swift's cache filter, as the first request has it
        """
        start_threads()
        self.settings = settings
        self._go_by(told_settings({}, settings.spool_size))
        self._conf = conf
        self.logger = logger
        self.clock = clock
        self.node = node_name(conf)
        self.collapsed_reads = CollapsedReads()
        # HEADs under way that other readers may wait for, by object, entry and token; the event brings the outcome
        self.validations: dict[tuple[ObjectName, str, TokenReading], Event] = {}
        self.captured: LRUCache = LRUCache(CAPTURED)
        self.fetch_wait = FetchWait(settings.fetch_wait)
        # objects whose fetch by the sidecar took longer than a reader waits
        self.waited_in_vain: TTLCache = TTLCache(CAPTURED, VAIN_SECONDS)
        self.tokens = ProcessTokens(self.count)
        # the reason that is counted for each HEAD in place of the entry's
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
        self.spool = SpoolBudget(lambda: self.settings, self.failed)

    def find_tokens(self, swifts_cache) -> None:
        """Open the tokens in the memcached servers that Swift's cache filter has, by the ring of a request.

        The first request that carries the ring decides: a request that another middleware made may lack it.
        """
        self.awaits_ring = not has_servers(swifts_cache)
        self._open_tokens(find_servers(self.settings.memcache_servers, self._conf, swifts_cache, self.logger))

    def _open_tokens(self, servers: Servers):
        ring = TokenRing(servers.ring) if servers.ring is not None else None
        if ring is not None:
            self.logger.info('freshness tokens in memcached at %s', ', '.join(ring.client.servers))
        self.tokens.ring, self.tokens.doubted = ring, None
        self.why_validated = ''
        if servers.doubt:
            self.logger.error('%s', servers.doubt)
            self.tokens.ring, self.tokens.doubted = None, ring
            self.why_validated = MEMCACHED_CONF
        self._go_by({'freshness': 'validate' if servers.doubt else 'coherent'})

    def _go_by(self, values: dict):
        self.settings = replace(self.settings, **values)

    def count(self, name: str, by: int = 1, reason: str | None = None) -> None:
        """Count in memory; within a second or so the sidecar and statsd learn of it. See `metrics.table`."""
        self.metrics.count(name, by, reason)
        if not self._counts_wait:
            self._counts_wait = True
            spawn_n(self._tell_counts)

    def _tell_counts(self):
        sleep(FLUSH_SECONDS)
        self._counts_wait = False
        if not self.metrics.flush():
            # where the disk takes nothing, the counts stay in memory and go with a later one
            self.logger.debug('counts are not written')

    def close(self) -> None:
        """Close all, where the runtime ends before its process."""
        self.collapsed_reads.close()
        self.recorder.close()
        self.metrics.close()
        self.tokens.close()

    def forget(self, name: ObjectName, identity: str = '') -> None:
        """Have the sidecar purge the object's entry; with `identity` only if it is still that file."""
        self.recorder.add(Forget(name.account, name.container, object=name.object, identity=identity,
                                 at=self.clock()))

    # the cache folder

    def store(self) -> Store | None:
        """Return the cache folder; None, and one ERROR in the log, until the sidecar has made it."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            if self._store is None or not self._store.is_current():
                self._store = self._open()
            # a report that cannot be read changes nothing
            if self._store is not None and (report := self._store.report()):
                self._go_by(told_settings(report, self.settings.spool_size))
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
        """Count a failure that no client notices, and log it once a second at most.

        :param what: 'entry', 'stamp', 'capture' or 'record', for the counter
        """
        self.count('errors', reason=what)
        now = time.monotonic()
        if now >= self._say_at.get(what, 0.0):
            self._say_at[what] = now + LOOK_SECONDS
            self.logger.error('%s: %r', text, error)

    def forget_store(self) -> None:
        """Pass requests through after an error of the folder, and look again in a moment."""
        self._store = None
        self._look_at = time.monotonic() + LOOK_SECONDS
