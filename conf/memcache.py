"""Where Swift's cache middleware finds memcached: the freshness tokens have to be on the same servers."""
from configparser import Error, RawConfigParser
from pathlib import Path


def memcache_conf(conf: dict) -> dict:
    """Options for `swift.common.memcached.load_memcache`, from a filter's or program's own conf.

    What is given there counts; then the section of the conf file that uses Swift's memcache filter.
    `load_memcache` itself goes on to ``memcache.conf`` in ``swift_dir``.

    :param conf: the own section merged over [DEFAULT]; ``__file__`` names the conf file or folder
    """
    given = {key: value for key, value in conf.items() if isinstance(value, str) and value}
    if 'memcache_servers' in given:
        return given
    return {**_section_of_swifts_filter(given.get('__file__', '')), **given}


def _section_of_swifts_filter(path):
    parser = RawConfigParser(strict=False)
    try:
        parser.read(conf_files(path))
    except (Error, OSError, UnicodeDecodeError):
        # whoever loaded it has complained already, and better
        return {}
    for section in parser.sections():
        if section.startswith('filter:') and parser.get(section, 'use', fallback='').endswith('#memcache'):
            return {key.removeprefix('set '): value for key, value in parser.items(section) if key != 'use'}
    return {}


def conf_files(path: str) -> list[Path]:
    """The files of a conf: itself, or the ``*.conf`` of a folder in the order Swift reads them."""
    folder = Path(path)
    return sorted(folder.glob('*.conf')) if path and folder.is_dir() else [folder]
