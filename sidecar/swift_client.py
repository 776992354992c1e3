"""Swift as the sidecar asks it: the pipeline of its conf, in this process, with no port in between."""
from contextlib import suppress

from swift.common.internal_client import InternalClient
from swift.common.swob import wsgi_to_str
from swift.common.utils import split_path
from swift.common.wsgi import loadapp
from swift.proxy.controllers.base import clear_info_cache

from .settings import SidecarSettings

AGENT = 'swiftahead-sidecar'


class UnrememberedContainers:
    """An app that takes out of memcached again the facts that Swift keeps of a container at each GET and HEAD.

    A proxy clears them at a POST, before the container servers have the change. A read meanwhile brings the old
    metadata back, and the old rights, for a minute. The sidecar lists a container unasked, just when it is in use.
    """

    def __init__(self, app):
        self._app = app

    def __getattr__(self, name):
        return getattr(self._app, name)

    def __call__(self, env, start_response):
        # Swift has remembered it once the app returns; filters may have changed the path by then
        method, path = env['REQUEST_METHOD'], wsgi_to_str(env['PATH_INFO'])
        body = self._app(env, start_response)
        with suppress(ValueError):
            _, account, container, name = split_path(path, 3, 4, True)
            if name is None and method in ('GET', 'HEAD'):
                clear_info_cache(env, account, container)
        return body


def client_app(settings: SidecarSettings, log_name: str) -> UnrememberedContainers:
    """Make the app of an InternalClient.

    :param log_name: tells its lines in the log from the proxy's own, as upstream's daemons do it
    """
    return UnrememberedContainers(
        loadapp(settings.client, {'log_name': log_name, **settings.proxys}, allow_modify_pipeline=False))


def make_client(settings: SidecarSettings, agent: str = AGENT, tries: int = 1, **more) -> InternalClient:
    """Make an InternalClient. :param more: options of `InternalClient`"""
    return InternalClient(None, agent, tries, app=client_app(settings, f'{agent}-ic'), **more)
