"""A server on loopback that answers requests of a syncer well, or as badly as it is told."""
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

# an answer of each method that is as good as done; the DELETE's has a body
GOOD = {'HEAD': '200 OK', 'PUT': '201 Created', 'POST': '202 Accepted', 'DELETE': '404 Not Found', 'GET': '200 OK'}
TIMESTAMP = '1700000000.12345'
# what a client is not waited for longer
BOUND = 60.0


class Request(NamedTuple):
    """A request as it came, byte for byte; the names of its headers in lower case."""
    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Conversation:
    """One connection to the server.

    :ivar number: of the connection, counted from 1
    :ivar socket: for bytes that are no requests
    """

    def __init__(self, server: 'Server', connection: socket.socket, number: int):
        self.server, self.socket, self.number = server, connection, number
        connection.settimeout(BOUND)
        self.file = connection.makefile('rb')

    def send(self, *lines: str, body: bytes = b'') -> None:
        """Send lines, each with its end, and bytes."""
        self.socket.sendall(''.join(f'{line}\r\n' for line in lines).encode('latin-1') + body)

    def request(self) -> Request | None:
        """Read a request; None where none comes, or none that is whole."""
        line = self.file.readline().decode('latin-1').split()
        headers = {}
        while field := self.file.readline().strip(b'\r\n'):
            name, value = field.split(b': ', 1)
            # bytes have no letters but ASCII's
            headers[name.lower().decode('latin-1')] = value.decode('latin-1')
        length = int(headers.get('content-length', 0))
        body = self.file.read(length)
        if not line or len(body) < length:
            return None
        request = Request(self.number, line[0], line[1], headers, body)
        self.server.seen.append(request)
        return request

    def hang(self) -> None:
        """Say nothing until the client has gone."""
        while self.socket.recv(65536):
            pass

    def drip(self, text: str) -> None:
        """Send byte after byte, always before a read of the client would time out."""
        for byte in text:
            self.socket.sendall(byte.encode('latin-1'))
            if self.server.is_over.wait(0.1):
                return


Behaviour = Callable[[Conversation], None]


class Server:
    """Accepts connections, each in a thread of its own.

    :ivar behave: what is done with a connection; may be changed at any time
    :ivar seen: requests that came whole
    """

    def __init__(self, behave: Behaviour, tls: Path | None = None):
        self.behave, self.seen, self.is_over, self.connections = behave, [], threading.Event(), 0
        self._listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self._tls = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls)
        self.port = self._listener.getsockname()[1]
        self.origin = f'{"https" if tls else "http"}://127.0.0.1:{self.port}'
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection, self.connections))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection, number):
        with suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                conversation = Conversation(self, connection, number)
                with conversation.file:
                    self.behave(conversation)

    def close(self):
        self.is_over.set()
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(BOUND)


@contextmanager
def serving(behave: Behaviour | None = None, tls: Path | None = None) -> Iterator[Server]:
    server = Server(behave or good, tls)
    try:
        yield server
    finally:
        server.close()


def head(status: str, *lines: str, length: int | str = 0) -> tuple[str, ...]:
    """The lines of an answer up to its body."""
    return f'HTTP/1.1 {status}', *lines, f'Content-Length: {length}', ''


def good(talk: Conversation) -> None:
    """Answer request after request; a listing has the target as its only name, other answers in the Etag."""
    while request := talk.request():
        body = f'[{{"name": "{request.target}"}}]'.encode() if request.method == 'GET' else b''
        talk.send(*head(GOOD[request.method], f'X-Timestamp: {TIMESTAMP}', f'Etag: "{request.target}"',
                        length=len(body)), body=body)


def answering(status: str, *lines: str, body: bytes = b'', length: int | str | None = None) -> Behaviour:
    """Give a server that has one answer. :param status: empty: what the method makes of a good one"""
    def behave(talk):
        while request := talk.request():
            told = len(body) if length is None else length
            talk.send(*head(status or GOOD[request.method], *lines, length=told),
                      body=b'' if request.method == 'HEAD' else body)
            if told != len(body):
                return
    return behave


def cut(text: str) -> Behaviour:
    """Give a server that sends this much of an answer and hangs up. :param text: `{}` stands for the status"""
    def behave(talk):
        if request := talk.request():
            talk.send(body=text.format(GOOD[request.method]).encode())
    return behave


def hanging(text: str) -> Behaviour:
    """Give a server that sends this much of an answer and then nothing."""
    def behave(talk):
        if request := talk.request():
            talk.send(body=text.format(GOOD[request.method]).encode())
            talk.hang()
    return behave


def dripping(begin: str, then: str) -> Behaviour:
    """Give a server that sends the beginning at once, and the rest byte after byte."""
    def behave(talk):
        if request := talk.request():
            talk.send(body=begin.format(GOOD[request.method]).encode())
            talk.drip(then * 1000)
    return behave


def endless(begin: str, then: str) -> Behaviour:
    """Give a server whose answer has no end."""
    def behave(talk):
        if request := talk.request():
            talk.send(body=begin.format(GOOD[request.method]).encode())
            while not talk.server.is_over.is_set():
                talk.send(body=then.encode() * 1000)
    return behave


def after_first_line(talk: Conversation) -> None:
    talk.file.readline()
    talk.hang()


# what goes wrong with any answer
NEVER = {'accepts only': lambda talk: talk.hang(), 'reads one line': after_first_line, 'says nothing': hanging(''),
         'hangs amid the status': hanging('HTTP/1.1 2'),
         'hangs amid a header': hanging('HTTP/1.1 {}\r\nContent-L'),
         'hangs before the empty line': hanging('HTTP/1.1 {}\r\nContent-Length: 0\r\n')}
SLOW = {'drips its status': dripping('', 'HTTP/1.1 200 OK'), 'drips a header': dripping('HTTP/1.1 {}\r\nX: ', 'y'),
        'drips headers': dripping('HTTP/1.1 {}\r\n', 'X: y\r\n')}
ENDLESS = {'endless headers': endless('HTTP/1.1 {}\r\n', 'X: y\r\n'),
           'endless header': endless('HTTP/1.1 {}\r\nX: ', 'y'),
           'endless status': endless('', 'x'), 'endless continues': endless('', 'HTTP/1.1 100 Continue\r\n\r\n')}
CUT = {'hangs up at once': lambda talk: None, 'hangs up without an answer': cut(''),
       'cuts the status': cut('HTTP/1.1 2'), 'cuts behind the status': cut('HTTP/1.1 {}'),
       'cuts before headers': cut('HTTP/1.1 {}\r\n'), 'cuts a header': cut('HTTP/1.1 {}\r\nX-Timestamp: 17'),
       'cuts before the empty line': cut('HTTP/1.1 {}\r\nX-Timestamp: 1700000000.00000\r\nContent-Length: 0\r\n')}
RUBBISH = {'garbage': cut('\0\1\2 no http at all\r\n\r\n'), 'another protocol': cut('SSH-2.0-OpenSSH_9.6\r\n'),
           'no status': cut('HTTP/1.1 OK\r\n\r\n'), 'HTTP 9': cut('HTTP/9.9 abc\r\n\r\n')}
# those of answers with a body, which one to a HEAD has not
BODIES = {'hangs amid the body': hanging('HTTP/1.1 {}\r\nContent-Length: 9\r\n\r\nabc'),
          'cuts the body': cut('HTTP/1.1 {}\r\nContent-Length: 9\r\n\r\nabc'),
          'drips the body': dripping('HTTP/1.1 {}\r\nContent-Length: 900\r\n\r\n', 'b'),
          'hangs amid a chunk': hanging('HTTP/1.1 {}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc'),
          'cuts a chunk': cut('HTTP/1.1 {}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc'),
          'chunks of no length': cut('HTTP/1.1 {}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc')}
ALL = NEVER | SLOW | ENDLESS | CUT | RUBBISH
# what a HEAD is told of the time of its object
LIES = {'no timestamp': (), 'rubbish': ('X-Timestamp: soon',), 'negative': ('X-Timestamp: -1.00000',),
        'nan': ('X-Timestamp: nan',), 'infinite': ('X-Timestamp: inf',), 'huge': (f'X-Timestamp: 1{"0" * 400}',),
        'far future': ('X-Timestamp: 9999999999.00000',), 'empty': ('X-Timestamp: ',)}


def passing(talk: Conversation) -> None:
    """Be a proxy: open a tunnel for a CONNECT, and answer all else as the server itself would."""
    request = talk.request()
    if request is None:
        return
    if request.method != 'CONNECT':
        talk.send(*head(GOOD[request.method], f'X-Timestamp: {TIMESTAMP}'))
        return
    host, _, port = request.target.rpartition(':')
    with socket.create_connection((host, int(port)), timeout=BOUND) as other:
        talk.send('HTTP/1.1 200 Connected', '')
        back = threading.Thread(target=_pump, args=(other, talk.socket))
        back.start()
        _pump(talk.socket, other)
        back.join(BOUND)


def _pump(source, sink):
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
