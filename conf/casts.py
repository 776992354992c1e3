"""Cast a text from a conf file or a command line to a value, or raise a ValueError whose message is the rule."""
import argparse
import ipaddress
import re
from collections.abc import Callable
from typing import Any

# Swift takes every word that is not true for false; here a misspelt 'true' stops the start
FALSE_VALUES = {'0', 'f', 'false', 'n', 'no', 'off'}
UNITS = {'': 1, 'B': 1, 'KiB': 2**10, 'MiB': 2**20, 'GiB': 2**30, 'TiB': 2**40,
         'kB': 10**3, 'KB': 10**3, 'MB': 10**6, 'GB': 10**9, 'TB': 10**12}
# the largest id of a row in a database; more than there are rows, objects or bytes of anything
LARGEST = 2**63 - 1
# bytes of Swift's names in its default conf; a cluster that allows fewer says so itself
ACCOUNT_BYTES = CONTAINER_BYTES = 256
SIZE = re.compile(r'\s*(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B|)\s*$')

# Back ends of the queue: a URL's scheme, and the class in the room `queues`. The table is here, since a conf with
# another scheme must not start a program.
BACKENDS = {'sqlite': 'sqlite:SqliteQueue'}


def text(value):
    return value.strip()


def boolean(value):
    # imported here, since it loads most of Swift
    from swift.common.utils import TRUE_VALUES
    word = value.strip().lower()
    if word in TRUE_VALUES:
        return True
    if word in FALSE_VALUES:
        return False
    raise ValueError('must be on or off (also true, yes, 1, false, no, 0)')


def size(value):
    """Turn a text such as '64 KiB', '2GiB' or '1048576' into bytes."""
    found = SIZE.match(value)
    if not found or found.group(2) not in UNITS:
        raise ValueError('must be a size such as 1048576, 64 KiB, 100 MiB or 2 GiB')
    result = float(found.group(1)) * UNITS[found.group(2)]
    # no file system is larger, and infinity is no whole number
    if result > LARGEST:
        raise ValueError(f'must be a size of less than {(LARGEST + 1) // UNITS["TiB"]} TiB')
    return int(result)


def choice(*words):
    def cast(value):
        word = value.strip().lower()
        if word not in words:
            raise ValueError('must be one of ' + ', '.join(words))
        return word
    return cast


def number(kind, least, most=None, unit=''):
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


def seconds(least=0.0, most=None):
    return number(float, least, most, 'seconds')


def absolute_path(value):
    path = value.strip()
    if not path.startswith('/') or '\0' in path:
        raise ValueError('must be an absolute path without NUL')
    return path


def ip_address(value):
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        raise ValueError('must be an IP address such as 127.0.0.1 or ::1') from None


def queue_url(value):
    scheme, _, path = value.strip().partition(':')
    if scheme not in BACKENDS or not path.startswith('/') or path.endswith('/') or '\0' in path:
        raise ValueError(f'must be {" or ".join(f"{known}:" for known in BACKENDS)} followed by an absolute path '
                         'without NUL, such as sqlite:/var/cache/swiftahead/queue.db')
    return f'{scheme}:{path}'


# -- types for argparse --------------------------------------------------------------------------------------

def argument(cast: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a type whose error tells value and rule, as for a conf file."""
    def typed(value):
        try:
            return cast(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f'{value!a}: {error}') from None
    return typed


def whole(least: int = 0, most: int = LARGEST) -> Callable[[str], int]:
    return argument(number(int, least, most))


def real(least: float, most: float, unit: str = '') -> Callable[[str], float]:
    return argument(number(float, least, most, unit))


def some(value: str) -> str:
    """Take any text but the empty one, which a shell makes of a variable that is not set."""
    if not value:
        raise ValueError('must not be empty')
    return value


def container_path(value: str) -> tuple[str, str]:
    """Split 'account' or 'account/container'; the container is '' where there is none."""
    account, slash, container = value.strip('/').partition('/')
    _check(account, 'an account', ACCOUNT_BYTES)
    if slash:
        _check(container, 'a container', CONTAINER_BYTES)
    return account, container


def container_name(value: str) -> str:
    _check(value, 'a container', CONTAINER_BYTES)
    return value


def account_name(value: str) -> str:
    _check(value, 'an account', ACCOUNT_BYTES)
    return value


def _check(name, what, most):
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f'the name of {what} must be UTF-8') from None
    if not name or '/' in name or '\0' in name:
        raise ValueError(f'the name of {what} must not be empty, nor hold / or NUL')
    if length > most:
        raise ValueError(f'the name of {what} must have at most {most} bytes')
