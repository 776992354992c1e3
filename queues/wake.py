"""Wake the consumers by a datagram that says only "look". A lost one costs one poll.

Consumers of prefetch records and of Misplaced records have a socket each. Each process that has put records sends
datagrams. The consumer that bound the socket last receives them; others poll. A crash leaves a socket that the
next consumer replaces.
"""
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

from .records import PREFETCH_KINDS

# of equal length, since the length of a socket's path is bounded
PREFETCH, MISPLACED = '.wake', '.move'


def socket_path(queue_path: Path, kind: str = PREFETCH) -> Path:
    return queue_path.with_name(queue_path.name + kind)


class Waker:
    """The producers' end. It never waits and never fails."""

    def __init__(self, queue_path: Path):
        self._paths = {kind: str(socket_path(queue_path, kind)) for kind in (PREFETCH, MISPLACED)}
        self._socket: socket.socket | None = None

    def wake(self, kinds: Iterable[str] = PREFETCH_KINDS) -> None:
        """Wake the consumers of these kinds. :param kinds: of the records that were put"""
        for socket_kind in {PREFETCH if kind in PREFETCH_KINDS else MISPLACED for kind in kinds}:
            self._wake(socket_kind)

    def _wake(self, kind):
        with contextlib.suppress(OSError):
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            self._socket.sendto(b'w', socket.MSG_DONTWAIT, self._paths[kind])

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class WakeListener:
    """The consumer's end. Where no socket can be bound, the consumer only polls.

    :param kind: of the consumer, PREFETCH or MISPLACED
    :param logger: is told where the socket cannot be bound
    """

    def __init__(self, queue_path: Path, kind: str = PREFETCH, logger=None):
        path = socket_path(queue_path, kind)
        # unbound, the socket receives nothing, and `wait` lasts its whole time
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # left by an earlier run; a consumer that still runs loses its wake-ups, and polls
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    path.unlink()
            self._socket.bind(str(path))
            os.chmod(path, 0o600)
        except OSError as error:
            (logger or logging.getLogger(__name__)).warning(
                'no wake-ups, the queue is only polled: %s (a socket path has 107 bytes at most): %s', path, error)

    def wait(self, seconds: float) -> bool:
        """Wait for a wake-up, at most `seconds`; take all that came. Tell whether any did."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            self._socket.recv(16)
        except (TimeoutError, BlockingIOError):
            return False
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError, TimeoutError):
            while self._socket.recv(16):
                pass
        return True

    def close(self) -> None:
        self._socket.close()
