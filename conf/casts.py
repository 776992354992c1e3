"""Casts: each turns a text of a conf file into a value, or raises a ValueError whose message is the rule."""
import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

Number = TypeVar('Number', int, float)

# Swift takes every word that is not true for false; here a misspelt 'true' stops the start
FALSE_VALUES = {'0', 'f', 'false', 'n', 'no', 'off'}
UNITS = {'': 1, 'B': 1, 'KiB': 2**10, 'MiB': 2**20, 'GiB': 2**30, 'TiB': 2**40,
         'kB': 10**3, 'KB': 10**3, 'MB': 10**6, 'GB': 10**9, 'TB': 10**12}
LARGEST = 2**63
SIZE = re.compile(r'\s*(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B|)\s*$')
HOST = re.compile(r'[a-z0-9]([a-z0-9._-]*[a-z0-9])?')

# Back ends of the queue: a URL's scheme, and the class in the room `queues`. The table is here, since a conf with
# another scheme must not start a program.
BACKENDS = {'sqlite': 'sqlite:SqliteQueue'}


def text(value: str) -> str:
    return value.strip()


def boolean(value: str) -> bool:
    # imported here, since it loads most of Swift
    from swift.common.utils import TRUE_VALUES
    word = value.strip().lower()
    if word in TRUE_VALUES:
        return True
    if word in FALSE_VALUES:
        return False
    raise ValueError('must be on or off (also true, yes, 1, false, no, 0)')


def size(value: str) -> int:
    """Turn a text such as '64 KiB', '2GiB' or '1048576' into bytes."""
    found = SIZE.match(value)
    if not found or found.group(2) not in UNITS:
        raise ValueError('must be a size such as 1048576, 64 KiB, 100 MiB or 2 GiB')
    result = float(found.group(1)) * UNITS[found.group(2)]
    # no file system is larger, and infinity is no whole number
    if result >= LARGEST:
        raise ValueError(f'must be a size of less than {LARGEST // UNITS["TiB"]} TiB')
    return int(result)


def choice(*words: str) -> Callable[[str], str]:
    def cast(value):
        word = value.strip().lower()
        if word not in words:
            raise ValueError('must be one of ' + ', '.join(words))
        return word
    return cast


def number(kind: type[Number], least: float, most: float | None = None, unit: str = '') -> Callable[[str], Number]:
    """Make a cast to `kind` (int or float) that refuses values below `least` and above `most`."""
    what = 'a whole number' if kind is int else 'a number'
    rule = f'must be {what}{unit and " of " + unit} of at least {least}'
    if most is not None:
        rule += f' and at most {most}'

    def cast(value):
        try:
            result = kind(value.strip())
        except ValueError:
            raise ValueError(rule) from None
        # the comparison is written so that NaN fails it
        if not (least <= result and (most is None or result <= most)) or result == float('inf'):
            raise ValueError(rule)
        return result
    return cast


def seconds(least: float = 0.0, most: float | None = None) -> Callable[[str], float]:
    return number(float, least, most, 'seconds')


def absolute_path(value: str) -> str:
    path = value.strip()
    if not path.startswith('/') or '\0' in path:
        raise ValueError('must be an absolute path without NUL')
    return path


def words(value: str) -> tuple[str, ...]:
    """Split a list at its commas; empty items count for nothing."""
    return tuple(word.strip() for word in value.split(',') if word.strip())


def hosts(value: str) -> tuple[str, ...]:
    """Split a list of hosts at its commas, each as Swift finds it in a URL: in small letters."""
    names = words(value.lower())
    if not all(HOST.fullmatch(name) or _is_ip(name) for name in names):
        raise ValueError('must be names or IP addresses of hosts, without scheme, port and path, with commas '
                         'between them')
    return names


def _is_ip(value):
    try:
        return bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def proxy_urls(value: str) -> tuple[str, ...]:
    """Split a list of HTTP proxies at its commas."""
    urls = words(value)
    if not all(map(_is_proxy, urls)):
        raise ValueError('must be URLs of proxies with http or https and a host, such as http://10.1.1.1:8888, '
                         'with commas between them')
    return urls


def _is_proxy(url):
    try:
        parts = urlsplit(url)
        # a port that is no number is seen when it is asked for
        return parts.scheme in ('http', 'https') and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        raise ValueError('must be an IP address such as 127.0.0.1 or ::1') from None


def queue_url(value: str) -> str:
    scheme, _, path = value.strip().partition(':')
    if scheme not in BACKENDS or not path.startswith('/') or path.endswith('/') or '\0' in path:
        raise ValueError(f'must be {" or ".join(f"{known}:" for known in BACKENDS)} followed by an absolute path '
                         'without NUL, such as sqlite:/var/cache/swiftahead/queue.db')
    return f'{scheme}:{path}'
