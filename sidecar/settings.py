"""Read the sidecar's conf: option tables, the user, and the pipeline of its InternalClient."""
import configparser
import ipaddress
import os
import pwd
from dataclasses import dataclass, field

from ..conf import MOVER, PREFETCHER, SIDECAR, STATUS, SYNCER, ConfError, pipelines
from ..conf.options import MoverSection, PrefetcherSection, SidecarSection, StatusSection, SyncerSection
from ..conf.process import told

SECTION = 'sidecar'
# options that a conf for the syncer alone has not
OF_CACHE = ('cache_dir', 'queue')
PIPELINE = 'catch_errors proxy-logging cache proxy-server'
# sections that a conf need not have when it names the pipeline alone
FILTERS = {
    'app:proxy-server': {'use': 'egg:swift#proxy', 'account_autocreate': 'true'},
    'filter:catch_errors': {'use': 'egg:swift#catch_errors'},
    'filter:proxy-logging': {'use': 'egg:swift#proxy_logging'},
    'filter:cache': {'use': 'egg:swift#memcache'},
}
# Swift's own filters that leave objects as they are
HARMLESS = ('catch_errors', 'proxy_logging', 'memcache', 'healthcheck')


@dataclass(frozen=True)
class SidecarSettings:
    """
    :param client: Swift's loader of this conf, completed for the pipeline of the InternalClient
    :param proxys: options of its cache filter that are the proxy's, since this conf names none
    """
    sidecar: SidecarSection
    prefetcher: PrefetcherSection
    mover: MoverSection
    syncer: SyncerSection
    status: StatusSection
    user: str
    client: pipelines.Loader
    proxys: dict[str, str] = field(default_factory=dict)

    @property
    def has_cache(self) -> bool:
        """Whether there are a cache folder and a queue: not in a conf for the syncer alone. Both are '' then."""
        return bool(self.sidecar.cache_dir)


def read_settings(path: str) -> SidecarSettings:
    """Read and check a conf.

    :param path: a conf file, or a folder of ``*.conf``
    :raises ConfError: naming section, key, value and rule
    :raises OSError: where it cannot be read
    """
    try:
        return _settings(pipelines.load(path))
    except UnicodeDecodeError as error:
        raise ConfError(f'must be UTF-8, which byte {error.start} is not') from None
    except configparser.Error as error:
        # some of these errors have several lines
        raise ConfError(told(error)) from None


def _settings(loader) -> SidecarSettings:
    parser = loader.parser
    if not parser.has_section(SECTION):
        raise ConfError(f'there is no [{SECTION}] section')
    defaults = dict(parser.defaults())

    def section(name: str) -> dict[str, str]:
        return dict(parser.items(name)) if parser.has_section(name) else {}

    syncer = SYNCER.read(section('syncer'), defaults)
    is_alone = syncer.enabled and not any(parser.has_option(SECTION, key) for key in OF_CACHE)
    # a part that needs the cache is on then only where the conf says so, and the conf is refused for it below
    parts = {'enabled': 'off', **defaults} if is_alone else defaults
    prefetcher, mover = PREFETCHER.read(section('prefetcher'), parts), MOVER.read(section('mover'), parts)
    without = OF_CACHE if is_alone and not (prefetcher.enabled or mover.enabled) else ()
    sidecar, status = SIDECAR.read(section(SECTION), defaults, without), STATUS.read(section('status'), defaults)
    user = _known_user(sidecar.user) or proxy_user(sidecar.swift_dir)
    settings = SidecarSettings(sidecar, prefetcher, mover, syncer, status, user, loader)
    _check(settings)
    _complete(loader, sidecar.swift_dir)
    return settings


def _check(settings):
    """Refuse values that do not go with each other."""
    sidecar, mover, status = settings.sidecar, settings.mover, settings.status
    if sidecar.low_water > sidecar.high_water:
        raise ConfError(f'[sidecar] low_water = {sidecar.low_water:g}: must not be above high_water, '
                        f'which is {sidecar.high_water:g}')
    if mover.processes and mover.process >= mover.processes:
        raise ConfError(f'[mover] process = {mover.process}: must be less than processes, which is '
                        f'{mover.processes}')
    if not (status.allow_remote or ipaddress.ip_address(status.bind_ip).is_loopback):
        raise ConfError(f'[status] bind_ip = {status.bind_ip}: must be a loopback address such as 127.0.0.1 or '
                        '::1, unless allow_remote is on')


def _known_user(user):
    try:
        return user and pwd.getpwnam(user).pw_name
    except KeyError:
        raise ConfError(f'[sidecar] user = {user}: must be a user of this machine') from None


def proxy_user(swift_dir: str) -> str:
    """Find the user that the proxy-server of this node runs as: the filter must be able to read the cache."""
    # proxy-server itself falls back to 'swift'
    user = next(_proxy_users(swift_dir), 'swift')
    try:
        pwd.getpwnam(user)
    except KeyError:
        return pwd.getpwuid(os.geteuid()).pw_name
    return user


def _proxy_users(swift_dir):
    for path in pipelines.proxy_confs(swift_dir):
        try:
            yield pipelines.proxy_options(path).get('user', 'swift')
        except (OSError, LookupError, ImportError, ValueError, configparser.Error):
            # a proxy-server that is started with this conf tells of it, and better
            continue


def _complete(loader, swift_dir):
    """Add the sections and options that [pipeline:main] needs and the conf lacks."""
    parser = loader.parser
    if not parser.has_section('pipeline:main'):
        parser.add_section('pipeline:main')
        parser.set('pipeline:main', 'pipeline', PIPELINE)
    names = parser.get('pipeline:main', 'pipeline', fallback=PIPELINE).split()
    if not names:
        raise ConfError('[pipeline:main] pipeline is empty: must end with proxy-server')
    if names[-1] != 'proxy-server' and not parser.has_section(f'app:{names[-1]}'):
        raise ConfError(f'[pipeline:main] pipeline ends with {names[-1]}: must end with proxy-server')
    for name in names[:-1]:
        _refuse_acting(parser, name)
    for section, options in FILTERS.items():
        if not parser.has_section(section):
            parser.add_section(section)
            for key, value in options.items():
                parser.set(section, key, value)
    loader.update_defaults({'swift_dir': swift_dir}, overwrite=False)


def _refuse_acting(parser, name):
    """Refuse a filter that would have something else cached and moved than the objects that are stored.

    A section that names its filter less plainly than Swift's samples do is left to `check_client`.
    """
    section = f'filter:{name}'
    absent = FILTERS.get(section, {}).get('use', f'egg:swift#{name}')
    use = parser.get(section, 'use', fallback='') if parser.has_section(section) else absent
    egg, _, factory = use.partition('#')
    if egg == 'egg:swiftahead' or egg == 'egg:swift' and factory not in HARMLESS:
        raise _acting(name, use)


def _acting(name, use):
    return ConfError(f'[pipeline:main] pipeline = ... {name} ...: must not have {use}, which acts on what passes; '
                     f'{PIPELINE} are all that the sidecar needs')


def check_client(settings: SidecarSettings) -> None:
    """Load the pipeline as the parts will, and see where each filter comes from, however its section names it.

    :raises ConfError: where it cannot be loaded, or has filters that act on objects
    """
    try:
        found = list(pipelines.filters(pipelines.pipeline(settings.client)))
    except Exception as error:  # noqa: BLE001 - a filter is anybody's code, which may fail to load in any way
        raise ConfError(f'[pipeline:main] cannot be loaded: {error!r}') from None
    for one in found:
        package, _, factory = one.object.__module__.rpartition('.')
        if package.partition('.')[0] in ('swift', 'swiftahead') and factory not in HARMLESS:
            raise _acting(one.name, f'{package}.{factory}')
