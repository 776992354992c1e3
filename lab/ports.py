"""Free ports on loopback, held until the servers have them."""
import socket
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom

from .spec import LabError

HOST = '127.0.0.1'
LOWEST, HIGHEST = 10000, 61000
TRIES = 1000


class Reservation(ExitStack):
    """Ports that nobody else can take while this is open.

    Swift's servers listen with SO_REUSEPORT: two of them on one port is no error, and each gets half of the
    requests. So a port is first bound alone, which fails if anyone has it, and then opened to the servers.
    """

    def take(self, wanted: int | None = None) -> int:
        """`wanted` if it is free, else any port that is.

        A port is not free for a minute after a server with connections has ended.
        """
        for port in ([wanted] if wanted else []) + _some_ports():
            if self._hold(port):
                return port
        raise LabError(f'no free port found on {HOST} between {LOWEST} and {HIGHEST}')

    def _hold(self, port):
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            holder.bind((HOST, port))
        except OSError:
            holder.close()
            return False
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            holder.setsockopt(socket.SOL_SOCKET, option, 1)
        self.enter_context(holder)
        return True


def _some_ports():
    """Below those the kernel gives to outgoing connections: one could take the port of a stopped server."""
    system = SystemRandom()
    highest = _first_outgoing()
    if highest - LOWEST < TRIES:
        highest = HIGHEST
    return system.sample(range(LOWEST, highest), TRIES)


def _first_outgoing():
    try:
        return int(Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    except (OSError, ValueError):
        return HIGHEST


def is_open(port: int) -> bool:
    """Whether anyone listens there."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
