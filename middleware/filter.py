"""The filter: which requests are ours, and who handles them."""
import os

from swift.common.registry import register_swift_info
from swift.common.swob import Request, wsgi_to_str
from swift.common.utils import get_logger

from ..conf import FILTER
from ..conf.naming import ObjectName
from . import decide
from .control import control, is_control
from .exchange import Exchange
from .place import misplacement
from .read import read
from .runtime import Runtime
from .writes import Write

NAME = 'prefetch'
READS = ('GET', 'HEAD')
WRITES = ('PUT', 'POST', 'DELETE')


class PrefetchFilter:
    """Immutable but for the runtime, which each process makes for itself at its first request."""

    def __init__(self, app, settings, conf: dict, logger):
        self.app = app
        self.logger = logger
        self._settings = settings
        self._conf = conf
        self._runtime: Runtime | None = None
        self._pid = 0
        self._misplaced = False

    def __call__(self, env, start_response):
        try:
            handle = self._handler(env)
        except Exception:  # noqa: BLE001 - whatever is wrong with us, the client gets Swift's answer
            self.logger.exception('prefetch filter passes a request through')
            handle = None
        if handle is None:
            return self.app(env, start_response)
        return handle(start_response)

    def _handler(self, env):
        """Who handles this request: a callable of `start_response`; None: the app alone."""
        method = env['REQUEST_METHOD']
        if method not in READS and method not in WRITES:
            return None
        req = Request(env)
        try:
            _, account, container, obj = (
                part and wsgi_to_str(part) for part in req.split_path(3, 4, True))
        except ValueError:
            return None
        runtime = self._ready()
        if runtime is None:
            return None
        if not obj:
            return self._control(req, runtime, account, container) if is_control(req) else None
        return self._object(req, runtime, ObjectName(account, container, obj))

    def _object(self, req, runtime, name):
        if decide.bypass_name_reason(name.account, name.path, req.allow_reserved_names):
            return None
        if req.method in WRITES:
            return lambda start_response: Write(self.app, runtime, name)(req, start_response)
        store = runtime.store()
        if store is None:
            return None
        return lambda start_response: read(Exchange(self.app, runtime, store, req, name, start_response))

    def _control(self, req, runtime, account, container):
        store = runtime.store()
        if store is None:
            return None
        return lambda start_response: control(req, start_response, self.app, runtime, account, container)

    def _ready(self) -> Runtime | None:
        """This process's runtime; None where the filter stands in a wrong place."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            wrong = misplacement(self)
            self._misplaced = wrong is not None
            if wrong:
                self.logger.error('requests pass through: %s', wrong)
            else:
                self._runtime = Runtime(self._settings, self._conf, self.logger)
        return None if self._misplaced else self._runtime


def filter_factory(global_conf, **local_conf):
    """Paste's entry point, ``egg:swiftahead#prefetch``.

    :raises ConfError: for options that are wrong, naming key, value and rule
    """
    conf = {**global_conf, **local_conf}
    settings = FILTER.read(local_conf, global_conf)
    register_swift_info(NAME, freshness=settings.freshness, max_object_size=settings.max_object_size)
    logger = get_logger(conf, log_route=NAME)

    def prefetch_filter(app):
        return PrefetchFilter(app, settings, conf, logger)
    return prefetch_filter
