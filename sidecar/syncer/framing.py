"""Requests and answers byte by byte: targets as they are, no headers that break off, none that is lost."""
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any

from swift.common.bufferedhttp import BufferedHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

# bytes of an answer's lines: status, headers, sizes of chunks. Without an end to them (100 Continue after 100
# Continue) a green thread would read for ever, and let none of the others run, nor any bound end it
MOST_LINES = 1 << 20


class _Lines:
    """The file of an answer. A line that breaks off is an error, and no end of the headers.

    :param heard: is called when something came
    """

    def __init__(self, file, heard: Callable[[], None]):
        self._file, self._heard, self._is_first, self._left = file, heard, True, MOST_LINES

    def __getattr__(self, name):
        return getattr(self._file, name)

    def readline(self, limit=-1):
        line = self._file.readline(limit)
        if line:
            self._heard()
        # nothing at all instead of an answer is http.client's RemoteDisconnected
        if not line.endswith(b'\n') and len(line) != limit and (line or not self._is_first):
            raise IncompleteRead(line)
        self._is_first = False
        self._left -= len(line)
        if self._left < 0:
            raise HTTPException('endless')
        return line


class Response(HTTPResponse):
    """An answer whose headers are there in full, those behind a name that is not ASCII too."""
    fp: Any
    _headers: Any

    def __init__(self, sock, *args, heard: Callable[[], None], **more):
        super().__init__(sock, *args, **more)
        self.fp = _Lines(self.fp, heard)

    @property
    def headers(self):
        return self._headers

    @headers.setter
    def headers(self, found):  # type: ignore[reportIncompatibleVariableOverride]
        # Swift mends https://bugs.python.org/issue37093 so; urllib3 would log the defect with a traceback
        BufferedHTTPResponse.headers.fset(self, found)
        if found is not None:
            found.defects.clear()


class Plain(HTTPConnection):
    """Sends the request's target as it is.

    :ivar origin: stands before the path where an HTTP proxy is to pass the request on
    :ivar seconds: for each piece of the body; urllib3 would take those for the connection
    """
    response_class: Any
    origin = ''
    seconds = 0.0

    def putrequest(self, method: str, url: str, *args, **more) -> None:
        super().putrequest(method, self.origin + url, *args, **more)

    def endheaders(self, *args, **more) -> None:
        super().endheaders(*args, **more)
        self.sock.settimeout(self.seconds)


class Secure(Plain, HTTPSConnection):
    """The same with TLS."""
