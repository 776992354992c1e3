"""Reading the sidecar's conf: option tables, the user, and the pipeline of its InternalClient."""
import ipaddress
import os
import pwd
from configparser import Error, RawConfigParser
from dataclasses import dataclass
from io import StringIO

from swift.common.wsgi import ConfigString

from ..conf import MOVER, PREFETCHER, SIDECAR, STATUS, ConfError, Settings
from ..conf.memcache import conf_files

SECTION = 'sidecar'
PIPELINE = 'catch_errors proxy-logging cache proxy-server'
# what a conf that names the pipeline alone need not say
FILTERS = {
    'app:proxy-server': {'use': 'egg:swift#proxy', 'account_autocreate': 'true'},
    'filter:catch_errors': {'use': 'egg:swift#catch_errors'},
    'filter:proxy-logging': {'use': 'egg:swift#proxy_logging'},
    'filter:cache': {'use': 'egg:swift#memcache'},
}
# of Swift's own filters those that leave objects as they are
HARMLESS = ('catch_errors', 'proxy_logging', 'memcache', 'healthcheck')


@dataclass(frozen=True)
class SidecarSettings:
    """
    :param client_conf: the conf of the InternalClient, whole
    :param memcache: options of Swift's cache middleware in that pipeline
    """
    sidecar: Settings
    prefetcher: Settings
    mover: Settings
    status: Settings
    user: str
    client_conf: str
    memcache: dict


def read_settings(path: str) -> SidecarSettings:
    """
    :param path: a conf file, or a folder of ``*.conf``
    :raises ConfError: naming section, key, value and rule
    :raises OSError: where it cannot be read
    """
    parser = _parse(path)
    if not parser.has_section(SECTION):
        raise ConfError(f'there is no [{SECTION}] section')
    defaults = dict(parser.defaults())
    sidecar = SIDECAR.read(dict(parser.items(SECTION)), defaults)
    if sidecar.low_water > sidecar.high_water:
        raise ConfError(f'[sidecar] low_water = {sidecar.low_water:g}: must not be above high_water, '
                        f'which is {sidecar.high_water:g}')
    prefetcher, mover, status = (
        table.read(dict(parser.items(table.section)) if parser.has_section(table.section) else {}, defaults)
        for table in (PREFETCHER, MOVER, STATUS))
    if mover.processes and mover.process >= mover.processes:
        raise ConfError(f'[mover] process = {mover.process}: must be less than processes, which is '
                        f'{mover.processes}')
    if not (status.allow_remote or ipaddress.ip_address(status.bind_ip).is_loopback):
        raise ConfError(f'[status] bind_ip = {status.bind_ip}: must be a loopback address such as 127.0.0.1 or '
                        '::1, unless allow_remote is on')
    _complete(parser, sidecar.swift_dir)
    user = _known_user(sidecar.user) or proxy_user(sidecar.swift_dir)
    return SidecarSettings(sidecar, prefetcher, mover, status, user,
                           _client_conf(parser), dict(parser.items('filter:cache')))


def _parse(path):
    # what is said twice is refused, as by Swift's own reader
    parser = RawConfigParser()
    files = conf_files(path)
    if not files:
        raise ConfError('the folder holds no *.conf')
    for file in files:
        with open(file, encoding='utf-8') as lines:
            try:
                parser.read_file(lines)
            except UnicodeDecodeError as error:
                raise ConfError(f'{file} must be UTF-8, which its byte {error.start} is not') from None
            except Error as error:
                # some tell of it in several lines
                raise ConfError(' '.join(str(error).split())) from None
    return parser


def _known_user(user):
    try:
        return user and pwd.getpwnam(user).pw_name
    except KeyError:
        raise ConfError(f'[sidecar] user = {user}: must be a user of this machine') from None


def proxy_user(swift_dir: str) -> str:
    """The user whom the proxy-server of this node runs as: the filter must be able to read the cache."""
    parser = RawConfigParser(strict=False)
    for place in ('proxy-server.conf', 'proxy-server.conf.d', 'proxy-server'):
        try:
            parser.read(conf_files(os.path.join(swift_dir, place)))
        except (Error, OSError, UnicodeDecodeError):
            continue
    # 'swift' is what proxy-server itself falls back to
    user = parser.defaults().get('user', 'swift')
    try:
        pwd.getpwnam(user)
    except KeyError:
        return pwd.getpwuid(os.geteuid()).pw_name
    return user


def _complete(parser, swift_dir):
    """Add what [pipeline:main] needs and the conf does not say."""
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
    if 'swift_dir' not in parser.defaults():
        parser.set('DEFAULT', 'swift_dir', swift_dir)


def _refuse_acting(parser, name):
    """Filters that would have something else cached and moved than the objects that are stored."""
    section = f'filter:{name}'
    use = parser.get(section, 'use', fallback=FILTERS.get(section, {}).get('use', f'egg:swift#{name}'))
    egg, _, factory = use.partition('#')
    if egg == 'egg:swiftahead' or egg == 'egg:swift' and factory not in HARMLESS:
        raise ConfError(f'[pipeline:main] pipeline = ... {name} ...: must not have {use}, which acts on what '
                        f'passes; {PIPELINE} are all that the sidecar needs')


def _client_conf(parser):
    """The sections that PasteDeploy loads; ours would be options that Swift does not know."""
    own = RawConfigParser(strict=False)
    for key, value in parser.defaults().items():
        own.set('DEFAULT', key, value)
    for section in parser.sections():
        if section.startswith(('pipeline:', 'app:', 'filter:', 'composite:')):
            own.add_section(section)
            for key, value in parser.items(section):
                if value != parser.defaults().get(key):
                    own.set(section, key, value)
    text = StringIO()
    own.write(text)
    return text.getvalue()


def client_config(settings: SidecarSettings) -> ConfigString:
    """For `swift.common.wsgi.loadapp`."""
    return ConfigString(settings.client_conf)
