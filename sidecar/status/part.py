"""The status app: a page, JSON, Prometheus' metrics and a health check, on loopback, in a process of its own.

It writes nothing of its own; it folds the counters of dead processes, see `metrics.totals`. A port that is taken,
a disk that hangs or a queue that cannot be read keeps it from telling all, and touches no other part.
"""
import json
import time
from collections.abc import Callable

from swift.common.concurrency import Event, GreenPool, Timeout, listen, socket, spawn, spawn_n, tpool, wsgi
from webob import Request, Response
from webob.dec import wsgify
from webob.exc import HTTPMethodNotAllowed, HTTPNotFound

from ...metrics import counters_folder
from ...metrics.totals import fold
from ..pacing import pause
from ..settings import SidecarSettings
from .formats import exposition, page
from .snapshot import Figures, gather, queue_path

# a request that comes sooner gets the same figures again
FRESH_SECONDS = 1.0
GATHER_SECONDS = 5.0
FOLD_SECONDS = 5.0
RETRY_SECONDS = 5.0
SOCKET_SECONDS = 10.0
CONNECTIONS = 32
HEADERS = {'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff',
           'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


class Latest:
    """The figures of this moment, gathered by one thread at a time, however many requests there are.

    :param call: gathers them; blocks
    """

    def __init__(self, call: Callable[[], Figures], execute: Callable = tpool.execute,
                 clock: Callable[[], float] = time.monotonic):
        self._call = call
        self._execute = execute
        self._clock = clock
        self._known: Figures | None = None
        self._until = float('-inf')
        self._coming: Event | None = None

    def figures(self) -> Figures:
        if self._known is not None and self._clock() < self._until:
            return self._known
        coming = self._coming
        if coming is None:
            coming = self._coming = Event()
            spawn_n(self._gather, coming)
        with Timeout(GATHER_SECONDS, False):
            return coming.wait()
        return Figures(time.time(), gauges={'healthy': 0}, problems=['the disk does not answer'])

    def _gather(self, coming):
        try:
            found = self._execute(self._call)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the next one tries again
            found = Figures(time.time(), gauges={'healthy': 0}, problems=[repr(error)])
        self._known, self._until, self._coming = found, self._clock() + FRESH_SECONDS, None
        coming.send(found)


class StatusApp:
    """
    :param figures: gives the figures of the moment
    """

    def __init__(self, figures: Callable[[], Figures]):
        self._figures = figures
        self._pages = {'/': self._page, '/status': self._json, '/metrics': self._metrics, '/healthz': self._health}

    @wsgify
    def __call__(self, req: Request) -> Response:
        answer = self._pages.get(req.path_info)
        if answer is None:
            raise HTTPNotFound()
        if req.method not in ('GET', 'HEAD'):
            raise HTTPMethodNotAllowed(headers={'Allow': 'GET, HEAD'})
        response = answer(req, self._figures())
        response.headers.update(HEADERS)
        return response

    def _page(self, _, figures):
        return Response(page(figures), content_type='text/html', charset='utf-8')

    def _json(self, _, figures):
        return _as_json(figures.as_json())

    def _metrics(self, req, figures):
        body, content_type = exposition(figures, req.headers.get('Accept', ''))
        return Response(body, headerlist=[('Content-Type', content_type), ('Content-Length', str(len(body)))])

    def _health(self, _, figures):
        told = {'healthy': figures.is_healthy, 'problems': figures.problems}
        return _as_json(told, 200 if figures.is_healthy else 503)


def _as_json(told, status=200):
    return Response(json.dumps(told, indent=1) + '\n', status=status, content_type='application/json',
                    charset='utf-8')


class StatusPart:
    """:param logger: one of Swift's"""

    def __init__(self, settings: SidecarSettings, logger):
        self._status = settings.status
        self._folder = counters_folder(queue_path(settings)) if settings.has_cache else None
        self._app = StatusApp(Latest(lambda: gather(settings)).figures)
        self._logger = logger
        self._failing = False

    def run(self, is_over: Callable[[], bool]) -> None:
        """Serve until it is over."""
        listening = self._listen(is_over)
        if listening is None:
            return
        host, port = listening.getsockname()[:2]
        self._logger.info('status on http://%s:%d/', f'[{host}]' if ':' in host else host, port)
        server = spawn(wsgi.server, listening, self._app, log_output=False, debug=False, keepalive=False,
                       custom_pool=GreenPool(CONNECTIONS), socket_timeout=SOCKET_SECONDS)
        try:
            while not is_over() and not server.dead:
                self._fold()
                pause(FOLD_SECONDS, is_over)
        finally:
            server.kill()
            listening.close()

    def _listen(self, is_over):
        """Make a listening socket as soon as there can be one; give None when stopped before."""
        address, said = (self._status.bind_ip, self._status.bind_port), ''
        family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        while not is_over():
            try:
                # reuse_port could take over another program's port, and its requests
                return listen(address, family, reuse_port=False)
            except OSError as error:
                if str(error) != said:
                    self._logger.error('no status on %s port %d, tried again each %g s: %s', *address,
                                       RETRY_SECONDS, error)
                said = str(error)
                pause(RETRY_SECONDS, is_over)
        return None

    def once(self, is_over: Callable[[], bool]) -> None:
        """Do nothing: nobody can ask within a pass."""

    def report(self) -> dict:
        return {}

    def _fold(self):
        if self._folder is None:
            return
        try:
            tpool.execute(fold, self._folder)
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._logger.error('counters of ended processes are not added up: %s', error)
            self._failing = True
