"""The cluster as the sidecar reaches it: Swift through the pipeline of its conf, in this process, with no port in
between; and the memcached servers that it shares with the proxy of its node.

Where the sidecar's conf names no servers, those of the proxy's cache filter are taken. The filter's options are
read as the proxy reads them. The servers hold the tokens, and the InternalClient's facts of containers.
"""
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from swift.common.internal_client import InternalClient
from swift.common.memcached import load_memcache
from swift.common.swob import wsgi_to_str
from swift.common.utils import split_path
from swift.common.wsgi import loadapp
from swift.proxy.controllers.base import clear_info_cache

from ..conf import pipelines
from ..freshness import TokenRing
from .settings import SidecarSettings

AGENT = 'swiftahead-sidecar'
NAMED = 'memcache_servers'
# options that say which servers there are and how they are reached; where a number of connections is given, Swift
# does not look into memcache.conf. All others are each program's own
SHARED = (NAMED, 'memcache_max_connections', 'max_connections', 'tls_enabled', 'tls_cafile', 'tls_certfile',
          'tls_keyfile')
MEND = f'name the proxies\' {NAMED} in [filter:cache]'


@dataclass(frozen=True)
class ProxyConf:
    """
    :param path: of its conf
    :param options: the options of `SHARED` that its cache filter has; the servers in any case
    :param is_ours: whether it has the filter that puts into our queue
    """
    path: str
    options: dict[str, str]
    is_ours: bool

    @property
    def servers(self) -> list[str]:
        return servers(self.options)


def servers(options: dict[str, str]) -> list[str]:
    """List the servers that Swift makes of a cache filter's options, `memcache.conf` and all."""
    return sorted(load_memcache({**options, 'tls_enabled': 'false'}, None).memcache_servers)


def with_proxys_servers(settings: SidecarSettings, logger) -> SidecarSettings:
    """Give the settings of a sidecar that uses the proxy's servers, unless its own conf names some."""
    if not settings.has_cache:
        # the syncer needs no tokens, and its node may have no proxy
        return settings
    own = pipelines.cache_options(pipelines.pipeline(settings.client)) or {}
    proxy = find_proxy(settings, logger.debug if own.get(NAMED) else logger.warning)
    if own.get(NAMED):
        if proxy is not None and proxy.is_ours and proxy.servers != servers(own):
            logger.error('each object that is fetched ahead costs a HEAD at its first hit: freshness tokens are '
                         'asked of memcached at %s, but %s has %s; take %s out of this conf, or name the same',
                         ', '.join(servers(own)), proxy.path, ', '.join(proxy.servers), NAMED)
        return settings
    if proxy is None:
        logger.warning('no conf of a proxy-server in %s tells its memcached servers: taken are %s. If the proxies '
                       'have others, %s', settings.sidecar.swift_dir, ', '.join(servers(own)), MEND)
        return settings
    logger.info('memcached at %s, as in %s', ', '.join(proxy.servers), proxy.path)
    return replace(settings, proxys=proxy.options)


def find_proxy(settings: SidecarSettings, tell: Callable) -> ProxyConf | None:
    """Find the proxy of this node whose filter puts into our queue; where none does, any that has a cache filter.

    :param tell: is told of confs that cannot be loaded, as a method of a logger is
    """
    found = []
    for path in pipelines.proxy_confs(settings.sidecar.swift_dir):
        try:
            proxy = _proxy(path, settings.sidecar.queue)
        except Exception as error:  # noqa: BLE001 - loading a pipeline runs the code of anybody's filters
            tell('%s cannot be loaded to learn its memcached servers: %r', path, error)
            continue
        if proxy is not None:
            found.append(proxy)
    return next((proxy for proxy in found if proxy.is_ours), found[0] if found else None)


def _proxy(path, queue):
    context = pipelines.pipeline(path)
    ours = [own for own in map(pipelines.options, pipelines.filters(context)) if own.get('queue') == queue]
    # a proxy without a cache filter has its tokens where its own filter names servers
    found = pipelines.cache_options(context) or next((own for own in ours if own.get(NAMED)), None)
    if found is None:
        return None
    shared = {key: found[key] for key in SHARED if key in found}
    return ProxyConf(path, {**shared, NAMED: ','.join(servers(found))}, bool(ours))


def token_ring(settings: SidecarSettings, logger) -> TokenRing:
    """Make the ring of tokens on the servers of the own pipeline's cache filter. To be made after the fork."""
    context = pipelines.pipeline(settings.client, settings.proxys)
    options = pipelines.cache_options(context) or {'swift_dir': settings.sidecar.swift_dir, **settings.proxys}
    return TokenRing(load_memcache(options, logger))


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
