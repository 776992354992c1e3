"""Find the handler of each request: a read, a write or a control request; the app alone answers all others.

The filter stands directly left of proxy-server. In a wrong place it would leak or answer wrongly, so that it
passes all requests on there."""
import os
import time
from collections.abc import Iterator

from swift.common.concurrency import Semaphore
from swift.common.constraints import valid_api_version
from swift.common.middleware.gatekeeper import GatekeeperMiddleware
from swift.common.registry import register_swift_info
from swift.common.swob import Request, wsgi_to_str
from swift.common.utils import cache_from_env, get_logger
from swift.proxy.server import Application

from ..conf import FILTER, ConfError, FilterSettings
from ..conf.names import ObjectName
from ..freshness.process_tokens import OPTION, has_servers
from . import decide
from .control import control, is_control, is_misdirected, refuse
from .exchange import Exchange
from .get import read
from .runtime import Runtime
from .writes import Write

MAIN = '[pipeline:main]'


def pipeline_error(middleware) -> str:
    """Tell the error in the middleware's place in its pipeline; '' where it is right.

    The pipeline exists only once it is loaded whole: ask at the first request, not before.
    """
    pipeline = getattr(middleware, '_pipeline', None)
    if pipeline is None:
        # Swift's loadapp did not load the filter: its place is unknown, and matters only where a proxy app follows
        return unseen() if any(isinstance(app, Application) for app in right_of(middleware)) else ''
    between = pipeline[pipeline.index(middleware) + 1:-1]
    if between:
        return stands_between(middleware, between)
    if pipeline[-1] is middleware:
        return unseen()
    if not any(isinstance(app, GatekeeperMiddleware) for app in pipeline):
        return ('there is no gatekeeper in the pipeline: clients could send X-Backend headers. '
                f'Add "gatekeeper" to {MAIN}; an internal client has no use for "prefetch"')
    return ''


def stands_between(middleware, between: list) -> str:
    if isinstance(between[-1], type(middleware)):
        return f'the prefetch filter is in the pipeline twice. Take all but the last "prefetch" out of {MAIN}'
    names = ', '.join(type(app).__name__ for app in between)
    return (f'the prefetch filter must stand directly left of proxy-server, but {names} stands between: '
            f'it would answer what {names} has to decide. Move "prefetch" in {MAIN}')


def unseen() -> str:
    return ('the prefetch filter and proxy-server are not in one pipeline that Swift made, and nothing is known '
            f'of what stands around them. Name both in {MAIN}, "prefetch" directly left of proxy-server, '
            'and not by filter-with, filter-app or a pipeline within a pipeline')


def right_of(middleware) -> Iterator[object]:
    app = getattr(middleware, 'app', None)
    while app is not None:
        yield app
        app = getattr(app, 'app', None)


NAME = 'prefetch'
RETRY_SECONDS = 1.0
READS = ('GET', 'HEAD')
WRITES = ('PUT', 'POST', 'DELETE')


class PrefetchFilter:
    """Immutable but for the runtime, which each process makes for itself at its first request.

    :param conf: the filter's own options, merged over [DEFAULT]
    """

    def __init__(self, app, settings: FilterSettings, conf: dict, logger):
        self.app = app
        self.logger = logger
        self._settings = settings
        self._conf = conf
        self._runtime: Runtime | None = None
        self._pid = 0
        self._retry_at = 0.0
        self._turn = Semaphore()
        self._pipeline_error = ''

    def __call__(self, env, start_response):
        try:
            handle = self._handler(env)
        except Exception:  # noqa: BLE001 - whatever fails here, the client gets Swift's answer
            self.logger.exception('prefetch filter passes a request through')
            self._count_broken('fault')
            handle = None
        if handle is None:
            return self.app(env, start_response)
        return handle(start_response)

    def _handler(self, env):
        """Find the handler of this request: a callable of `start_response`; None: the app answers alone."""
        method = env['REQUEST_METHOD']
        if method not in READS and method not in WRITES:
            return None
        req = Request(env)
        try:
            version, account, container, obj = (
                part and wsgi_to_str(part) for part in req.split_path(3, 4, True))
        except ValueError:
            return None
        # Swift refuses other versions, cached or not
        if not valid_api_version(version):
            return None
        runtime = self._ready(cache_from_env(env, True))
        if runtime is None:
            return None
        if method in WRITES and is_control(req):
            if is_misdirected(req, obj):
                return lambda start_response: refuse(req, start_response)
            if not obj and method == 'POST':
                return lambda start_response: control(req, start_response, self.app, runtime, account, container)
        if not obj:
            return None
        return self._object(req, runtime, ObjectName(account, container, obj))

    def _object(self, req, runtime: Runtime, name):
        reason = decide.bypass_name_reason(name.account, name.path, req.allow_reserved_names)
        if reason:
            if req.method in READS:
                runtime.count('bypassed', reason=reason)
            return None
        if req.method in WRITES:
            return lambda start_response: Write(self.app, runtime, name)(req, start_response)
        store = runtime.store()
        if store is None:
            runtime.count('passed_broken', reason='folder')
            return None
        return lambda start_response: read(Exchange(self.app, runtime, store, req, name, start_response))

    def _ready(self, swifts_cache=None) -> Runtime | None:
        """Return this process's runtime; None where the filter stands in a wrong place.

        :param swifts_cache: the ring of Swift's cache filter; the first request that carries it decides
        """
        if self._pid != os.getpid():
            # other requests wait meanwhile: a write that passed by would leave the old version's token
            with self._turn:
                if not self._has_begun(swifts_cache):
                    return None
        if self._pipeline_error:
            self._count_broken('pipeline-error')
            return None
        if self._runtime is not None and self._runtime.awaits_ring and has_servers(swifts_cache):
            self._runtime.find_tokens(swifts_cache)
        return self._runtime

    def _count_broken(self, reason):
        if self._runtime is not None:
            self._runtime.count('passed_broken', reason=reason)

    def _has_begun(self, swifts_cache):
        if self._pid != os.getpid():
            if time.monotonic() < self._retry_at:
                return False
            # a beginning that failed, for want of file descriptors for one, is tried again
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._begin(swifts_cache)
            self._pid, self._retry_at = os.getpid(), 0.0
        return True

    def _begin(self, swifts_cache):
        self._pipeline_error = pipeline_error(self)
        if self._pipeline_error:
            self.logger.error('requests pass through: %s', self._pipeline_error)
        self._runtime = Runtime(self._settings, self._conf, self.logger, swifts_cache=swifts_cache)


def filter_factory(global_conf, **local_conf):
    """Make the filter: Paste's entry point, ``egg:swiftahead#prefetch``.

    :raises ConfError: for options that are wrong, naming key, value and rule
    """
    conf = {**global_conf, **local_conf}
    # servers that [DEFAULT] names are for all filters: they do not contradict those of Swift's cache filter
    settings = FILTER.read(local_conf, {key: global_conf[key] for key in global_conf if key != OPTION})
    if settings.serve_misplaced and not settings.detect_misplaced:
        raise ConfError('[filter:prefetch] serve_misplaced = on: must not be on where detect_misplaced is off')
    register_swift_info(NAME, freshness=settings.freshness)
    logger = get_logger(conf, log_route=NAME)

    def prefetch_filter(app):
        return PrefetchFilter(app, settings, conf, logger)
    return prefetch_filter
