"""Let time pass: between two passes of a part, and between two chunks of a body."""
import time
from collections.abc import Callable, Iterable, Iterator

from swift.common.concurrency import sleep
from swift.common.utils import EventletRateLimiter

# between two looks whether it is over
LOOK_SECONDS = 0.2


def pause(seconds: float, is_over: Callable[[], bool]) -> None:
    """Wait, and no longer than until it is over."""
    until = time.monotonic() + seconds
    while not is_over() and time.monotonic() < until:
        sleep(min(LOOK_SECONDS, seconds))


def paced(rate: EventletRateLimiter, body: Iterable[bytes]) -> Iterator[bytes]:
    """Give the chunks of a body on, as fast as all bodies of one rate together may go.

    :param rate: in bytes
    """
    for chunk in body:
        rate.wait(incr_by=len(chunk))
        yield chunk
