"""A real memcached for tests, and rings of connections to it."""
import os
import signal
import socket
import subprocess
from contextlib import contextmanager

from helpers.common.builders import ListLogger
from swift.common.concurrency import Timeout, sleep
from swift.common.memcached import MemcacheRing, load_memcache

from swiftahead.freshness import TokenRing


def free_port():
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(('127.0.0.1', port)) == 0


def eventually(condition):
    with Timeout(20):
        while not condition():
            sleep(0.01)


class Server:
    """One memcached, ended by its own pid."""

    def __init__(self):
        self.port = free_port()
        run_as = ['-u', 'root'] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            ['memcached', '-l', '127.0.0.1', '-p', str(self.port), '-U', '0', *run_as])
        eventually(lambda: listens(self.port))
        self.logger = ListLogger()
        self.address = f'127.0.0.1:{self.port}'
        self.ring = self.new_ring()

    def new_ring(self, **conf):
        return TokenRing(load_memcache({'memcache_servers': self.address, **conf}, self.logger))

    def swifts_ring(self, **more):
        return MemcacheRing([self.address], logger=self.logger, **more)

    @contextmanager
    def hung(self):
        self.process.send_signal(signal.SIGSTOP)
        # until all of its threads have stopped
        os.waitpid(self.process.pid, os.WUNTRACED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def flush(self):
        with socket.create_connection(('127.0.0.1', self.port)) as connection:
            connection.sendall(b'flush_all\r\n')
            assert connection.recv(10) == b'OK\r\n'

    def close(self):
        close(self.ring)
        self.process.kill()
        self.process.wait()


def close(ring):
    """The connections of a ring's pools."""
    if isinstance(ring, TokenRing):
        ring.close()
        return
    for pool in ring._client_cache.values():
        while pool.free_items:
            file, connection = pool.free_items.popleft()
            if connection is not None:
                file.close()
                connection.close()
