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
from .memcached import with_proxys_servers
from .parts import PARTS
from .settings import read_settings

IDLE_SECONDS = 1.0


class Sidecar(Daemon):
    """One process per part: the prefetcher, which fills, keeps and evicts; the mover; the status app."""

    WORKERS_HEALTHCHECK_INTERVAL = 1.0

    def __init__(self, conf):
        logger = get_logger(conf, log_route='sidecar')
        self.settings = with_proxys_servers(read_settings(conf['__file__']), logger)
        super().__init__({**conf, 'user': self.settings.user})
        self.logger = logger
        self._stopping = False

    @property
    def _enabled(self):
        return [part for part in PARTS if getattr(self.settings, part).enabled]

    def get_worker_args(self, once=False, **kwargs):
        return [] if once else [{'part': part} for part in self._enabled]

    def run(self, once=False, **kwargs):
        # Swift's own handler exits at once, with records leased and fetches half done
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, self._stop)
        # names of objects that are read are nobody else's business, whatever the umask was
        os.umask(0o077)
        try:
            super().run(once=once, **kwargs)
        except KeyboardInterrupt:
            self._stopping = True

    def _stop(self, *_):
        self._stopping = True

    def run_once(self, **_):
        for part in self._enabled:
            try:
                worked = PARTS[part](self.settings, self.logger)
                worked.once()
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
            return self._stopping or os.getppid() != parent

        if part:
            PARTS[part](self.settings, self.logger).run(is_over)
            self.logger.info('%s stopped', part)
            return
        self.logger.info('no part is enabled')
        while not self._stopping:
            sleep(IDLE_SECONDS)
