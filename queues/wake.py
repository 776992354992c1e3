"""Waking the consumer: a datagram that says only "look". A lost one costs one poll.

Who writes: each process that has put records. Who reads: the one consumer that has bound the socket last.
What holds after a crash: a socket without a reader is left, which the next consumer replaces.
"""
import contextlib
import os
import socket
import stat
from pathlib import Path


def socket_path(queue_path: Path) -> Path:
    return queue_path.with_name(queue_path.name + '.wake')


class Waker:
    """The producers' end: never waits, never fails."""

    def __init__(self, queue_path: Path):
        self._path = str(socket_path(queue_path))
        self._socket: socket.socket | None = None

    def wake(self) -> None:
        with contextlib.suppress(OSError):
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            self._socket.sendto(b'w', socket.MSG_DONTWAIT, self._path)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class WakeListener:
    """The consumer's end. :raises OSError: where the socket cannot be made"""

    def __init__(self, queue_path: Path):
        path = socket_path(queue_path)
        # what an earlier run left; a consumer that still runs loses its wake-ups to us, and polls
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(str(path))
            os.chmod(path, 0o600)
        except OSError:
            self._socket.close()
            raise

    def wait(self, seconds: float) -> bool:
        """Until woken, at most `seconds`; takes all wake-ups that came. Tells whether one did."""
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
