"""Where Swift's cache middleware finds memcached: the freshness tokens have to be on the same servers."""
from configparser import Error, RawConfigParser
from pathlib import Path


def memcache_conf(conf: dict) -> dict:
    """Options for `swift.common.memcached.load_memcache`, from a filter's or program's own conf.

    What is given there counts, then the section of the conf file that uses Swift's memcache filter, then
    ``memcache.conf`` in ``swift_dir``, as with Swift's own.

    :param conf: the own section merged over [DEFAULT]; ``__file__`` names the conf file or folder
    """
    given = {key: value for key, value in conf.items() if isinstance(value, str) and value}
    shared = _parsed(Path(given.get('swift_dir', '/etc/swift')) / 'memcache.conf')
    base = dict(shared.items('memcache')) if shared.has_section('memcache') else {}
    return {**base, **_section_of_swifts_filter(_parsed(given.get('__file__', ''))), **given}


def _parsed(path):
    parser = RawConfigParser(strict=False)
    try:
        parser.read(conf_files(path))
    except (Error, OSError, UnicodeDecodeError):
        # whoever loads it for its own sake complains, and better
        return RawConfigParser()
    return parser


def _section_of_swifts_filter(parser):
    for section in parser.sections():
        if section.startswith('filter:') and parser.get(section, 'use', fallback='').endswith('#memcache'):
            return {key.removeprefix('set '): value for key, value in parser.items(section) if key != 'use'}
    return {}


def conf_files(path: str | Path) -> list[Path]:
    """The files of a conf: itself, or the ``*.conf`` of a folder in the order Swift reads them."""
    folder = Path(path)
    return sorted(folder.glob('*.conf')) if path and folder.is_dir() else [folder]
