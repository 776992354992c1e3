"""Requests as bytes on one connection, and the answers to them one after the other."""
import http.client
import socket
from urllib.parse import urlsplit

from helpers.filter.equivalence import Answer

from swiftahead.lab import Lab


class Raw:
    def __init__(self, lab: Lab, proxy: int):
        address = urlsplit(lab.urls[proxy])
        self._socket = socket.create_connection((address.hostname, address.port), timeout=60)
        self._file = self._socket.makefile('rb')
        self.send = self._socket.sendall

    def answer(self, method: str) -> Answer:
        response = http.client.HTTPResponse(_Shared(self._file), method=method)
        response.begin()
        return Answer(response.version, response.status, response.reason, response.getheaders(), response.read())

    def read(self, length: int = -1) -> bytes:
        """What comes until the server closes the connection."""
        return self._file.read(length)

    def no_more(self) -> None:
        """Nothing will be sent any more."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class _Shared:
    """A file that one answer after the other is read from, each of which would close its own."""

    def __init__(self, file):
        self.read, self.readline, self.readinto = file.read, file.readline, file.readinto

    def makefile(self, _mode):
        return self

    def flush(self):
        pass

    close = flush


def raw(method: str, path: str, token: str, *lines: str, body: bytes = b'') -> bytes:
    head = [f'{method} {path} HTTP/1.1', 'Host: x', f'X-Auth-Token: {token}', *lines, '', '']
    return '\r\n'.join(head).encode('latin-1') + body
