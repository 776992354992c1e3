"""The daemon: a process for each part, and how they stop."""
import json
import os
import signal
import sys

from swift.common.concurrency import sleep
from swift.common.daemon import Daemon
from swift.common.utils import get_logger

from ..cache import Unavailable
from ..queues import QueueError
from .cluster import with_proxys_servers
from .parts import PARTS
from .settings import read_settings
from .status.report import tell_filter

IDLE_SECONDS = 1.0


class Sidecar(Daemon):
    """One process per part: the prefetcher, which fills, keeps and evicts; the mover; the status app."""

    WORKERS_HEALTHCHECK_INTERVAL = 1.0

    def __init__(self, conf):
        logger = get_logger(conf, log_route='sidecar')
        self.settings = with_proxys_servers(read_settings(conf['__file__']), logger)
        super().__init__({**conf, 'user': self.settings.user})
        self.logger = logger
        # the number of the signal that stops it; 0 while none did
        self.stopped_by = 0

    @property
    def _enabled(self):
        return [part for part in PARTS if getattr(self.settings, part).enabled]

    def get_worker_args(self, once=False, **kwargs):
        # asked for before any part begins, as the daemon's user; a prefetcher tells the filter by its own report
        if self.settings.has_cache and not self.settings.prefetcher.enabled:
            try:
                tell_filter(self.settings)
            except OSError as error:
                self.logger.error('cache folder: %s', error)
        return [] if once else [{'part': part} for part in self._enabled]

    def run(self, once=False, **kwargs):
        # Swift's own handler exits at once, with records leased and fetches half done; and an exception, as Python
        # raises for the interrupt key, would end some green thread or other, for whose work others wait
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)
        # names of objects that are read are nobody else's business, whatever the umask was
        os.umask(0o077)
        super().run(once=once, **kwargs)

    def _stop(self, number, _):
        self.stopped_by = number
        # who cannot wait for the work under way presses the key again
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def run_once(self, **_):
        for part in self._enabled:
            try:
                worked = PARTS[part](self.settings, self.logger)
                worked.once(lambda: self.stopped_by != 0)
            except (Unavailable, QueueError, OSError) as error:
                why = f'no whole pass of the {part}: {error}'
                self.logger.error(why)
                sys.exit(why)
            if report := worked.report():
                self.logger.info('pass of the %s: %s', part, json.dumps(report))

    def run_forever(self, part='', **_):
        """Run one part until it is over; without a part, wait as a daemon that has none."""
        parent = os.getppid()

        def is_over():
            # nobody would stop a process whose parent was killed, or start another after it
            return self.stopped_by != 0 or os.getppid() != parent

        if part:
            PARTS[part](self.settings, self.logger).run(is_over)
            self.logger.info('%s stopped', part)
            return
        self.logger.info('no part is enabled')
        while not self.stopped_by:
            sleep(IDLE_SECONDS)
