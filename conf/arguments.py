"""Types of command-line arguments: casts for argparse. The message of an error is the rule."""
import argparse
from collections.abc import Callable
from typing import Any

from swift.common import constraints

from .casts import number

# the largest id of a row in a database; more than there are rows, objects or bytes of anything
LARGEST = 2**63 - 1


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
    return account_name(account), container_name(container) if slash else ''


def container_name(value: str) -> str:
    return _name(value, 'a container', constraints.MAX_CONTAINER_NAME_LENGTH)


def account_name(value: str) -> str:
    return _name(value, 'an account', constraints.MAX_ACCOUNT_NAME_LENGTH)


def object_name(value: str) -> str:
    """Take an object's name, or the beginning of one."""
    if not constraints.check_utf8(value):
        raise ValueError('must be UTF-8, neither empty nor with a zero byte')
    return value


def _name(value, what, most):
    """Take each name that Swift's proxy takes: . and .. are such names."""
    if not constraints.check_utf8(value):
        raise ValueError(f'the name of {what} must be UTF-8, neither empty nor with a zero byte')
    if '/' in value:
        raise ValueError(f'the name of {what} must be without "/"')
    if len(value.encode()) > most:
        raise ValueError(f'the name of {what} must have at most {most} bytes')
    return value
