"""Bounds on time that need no luck."""
from collections.abc import Callable

ATTEMPTS = 50


def is_quick(attempt: Callable[[], float], most: float) -> bool:
    """Whether one of several attempts takes less: what waits too long does so each time, a busy machine does not.

    :param attempt: returns seconds; must find the same state each time
    """
    return any(attempt() < most for _ in range(ATTEMPTS))
