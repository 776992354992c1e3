"""Types of command-line arguments: casts for argparse, whose message is the rule."""
import argparse
from collections.abc import Callable
from typing import Any

from .casts import number

# the largest id of a row in a database; more than there are rows, objects or bytes of anything
LARGEST = 2**63 - 1
# bytes of Swift's names in its default conf; a cluster that allows fewer says so itself
ACCOUNT_BYTES = CONTAINER_BYTES = 256


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
