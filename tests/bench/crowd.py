"""Many clients that ask for one object at the same moment; one thread, since what it costs the others lose."""
import hashlib
import selectors
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.common import BenchError

PIECE = 256 * 1024
HEAD_BYTES = 64 * 1024


@dataclass
class Reader:
    """One connection. Times in seconds since all have asked.

    :param status: of the answer; 0 where it broke off before
    :param length: bytes that the body is said to have
    :param got: bytes of it that came
    """
    client: socket.socket
    head: bytes = b''
    status: int = 0
    length: int = 0
    got: int = 0
    first: float = 0.0
    last: float = 0.0
    digest: 'hashlib._Hash | None' = None

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and self.got == self.length

    def take(self, piece: memoryview, now: float) -> None:
        self.last = now
        if self.status:
            self._body(piece)
            return
        self.head += bytes(piece)
        head, end, rest = self.head.partition(b'\r\n\r\n')
        if not end and len(head) > HEAD_BYTES:
            raise BenchError('an answer without an end of its headers')
        if end:
            lines = head.decode('latin-1').split('\r\n')
            headers = {key.lower(): value.strip() for key, _, value in (line.partition(':') for line in lines[1:])}
            self.status, self.length = int(lines[0].split()[1]), int(headers.get('content-length', 0))
            self.first = now
            self._body(memoryview(rest))

    def _body(self, piece):
        self.got += len(piece)
        if self.digest is not None:
            self.digest.update(piece)


@dataclass(frozen=True)
class Crowd:
    """What became of the readers. Seconds since all had asked.

    :param last: when the last reader had all
    :param first_byte: when the last reader had its first
    """
    last: float
    median: float
    first_byte: float
    failures: dict[str, int] = field(default_factory=dict)


def read(url: str, path: str, headers: dict[str, str], count: int, md5: str, patience: float = 120) -> Crowd:
    """`count` GETs of `path`, sent when all are connected. The bytes of one are checked, of all their number.

    :raises BenchError: where that takes longer than `patience` seconds
    """
    address = urlsplit(url)
    request = ''.join([f'GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n',
                       *(f'{key}: {value}\r\n' for key, value in headers.items()), '\r\n']).encode()
    readers: list[Reader] = []
    try:
        for _ in range(count):
            readers.append(Reader(socket.create_connection((address.hostname, address.port), timeout=patience)))
        # one: two hundred of 10 MB would keep this thread from reading for seconds
        readers[0].digest = hashlib.md5(usedforsecurity=False)
        begin = time.perf_counter()
        for reader in readers:
            reader.client.sendall(request)
            reader.client.setblocking(False)
        _read_all(readers, begin, patience)
    finally:
        for reader in readers:
            reader.client.close()
    return _seen(readers, md5)


def _read_all(readers, begin, patience):
    buffer = memoryview(bytearray(PIECE))
    with selectors.DefaultSelector() as waiting:
        for reader in readers:
            waiting.register(reader.client, selectors.EVENT_READ, reader)
        while waiting.get_map():
            if time.perf_counter() - begin > patience:
                raise BenchError(f'{len(waiting.get_map())} readers are not done after {patience:g} s')
            for key, _ in waiting.select(1):
                try:
                    size = key.data.client.recv_into(buffer)
                except OSError:
                    size = 0
                if size:
                    key.data.take(buffer[:size], time.perf_counter() - begin)
                if not size or key.data.is_whole:
                    waiting.unregister(key.data.client)


def _seen(readers, md5):
    failures = Counter(f'status {reader.status}' if reader.status != 200 else 'cut short'
                       for reader in readers if not reader.is_whole)
    if not failures and readers[0].digest.hexdigest() != md5:
        failures['wrong bytes'] += 1
    ends = sorted(reader.last for reader in readers)
    return Crowd(ends[-1], ends[len(ends) // 2], max(reader.first for reader in readers), dict(failures))
