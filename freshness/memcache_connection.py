"""A connection to one memcached server that all green threads of a process share.

Questions go out as they come, and answers come back in the order of the questions: a green thread that waits for
its answer reads for all. So a question can be sent first and its answer be taken later, after other work. Swift's
ring, which lends a connection to one caller at a time, costs a hit three times as much.

The green threads of one process use a connection, never two threads. Any failure ends the connection, and with it
every question under way; the next question makes a new connection.
"""
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from swift.common.concurrency import Semaphore, Timeout

RECEIVE = 64 * 1024
# after so many failures in a row only patient questions go to the server, for so long
STRIKES = 3
REST_SECONDS = 5.0
INCOMPLETE = None
Parse = Callable[[bytes], tuple[Any, int] | None]


class MemcacheError(Exception):
    """The server did not answer, not in time, or not in memcached's language."""


class MemcacheClosed(MemcacheError):
    """The connection had ended, as it does after a restart of the server: a new one may do."""


@dataclass(eq=False, slots=True)
class PendingAnswer:
    """A question under way. `parse` takes the bytes that came: (answer, bytes used), or INCOMPLETE."""
    connection: 'MemcacheConnection'
    parse: Parse
    deadline: float
    done: bool = False
    answer: Any = None
    error: MemcacheError | None = field(default=None)

    def result(self) -> Any:
        """Wait for the answer. :raises MemcacheError:"""
        while not self.done:
            with self.connection.turn:
                if not self.done:
                    self.connection.read(self.deadline)
        if self.error is not None:
            raise self.error
        return self.answer


class MemcacheConnection:
    """
    :param connect: makes a connection, a green socket
    :param wait: seconds for which an answer is waited for at most
    """

    def __init__(self, connect: Callable, wait: float, clock: Callable[[], float] = time.monotonic):
        self.turn = Semaphore()
        self._connect = connect
        self._wait = wait
        self._clock = clock
        self._socket = None
        self._asked: deque[PendingAnswer] = deque()
        self._buffer = b''
        self._strikes = 0
        self._failures = 0
        self._resting_until = 0.0

    def ask(self, *questions: tuple[bytes, Parse], patient: bool = False) -> list[PendingAnswer]:
        """Send questions, each with the parser of its answer, together.

        :param patient: ask even a server that has just failed several times
        :raises MemcacheError:
        """
        now = self._clock()
        if not patient and now < self._resting_until:
            raise MemcacheError('failed several times, not asked for a while')
        if self._socket is None:
            self._open()
        asked = [PendingAnswer(self, parse, now + self._wait) for _, parse in questions]
        # appended and sent without a switch in between, so that both orders are the same
        self._asked.extend(asked)
        self._send(b''.join(question for question, _ in questions))
        return asked

    def _open(self):
        """Make the connection, or wait until another green thread has made it.

        :raises MemcacheError: as soon as one green thread that waited for the connection has failed
        """
        failures = self._failures
        with self.turn:
            if self._socket is not None:
                return
            if self._failures == failures:
                try:
                    self._socket = self._connect()
                    return
                except (Exception, Timeout) as error:  # noqa: BLE001 - timeouts of eventlet are no Exceptions
                    self._fail(None, MemcacheError(f'no connection: {error!r}'))
            raise MemcacheError('no connection')

    def _send(self, question):
        connection: Any = self._socket
        try:
            # the socket inside eventlet's does not block: eventlet's own code costs as much as the system call
            if _plain(connection).send(question) != len(question):
                raise BlockingIOError
        except (BlockingIOError, TimeoutError):
            self._fail(connection, MemcacheError('takes no more questions'))
        except OSError as error:
            self._fail(connection, MemcacheClosed(repr(error)))

    def read(self, deadline: float) -> None:
        """Receive once, and hand out the answers that are whole; a failure ends all questions under way."""
        connection: Any = self._socket
        try:
            data = self._receive(connection, deadline)
            if not data:
                raise MemcacheClosed('closed')
            self._buffer += data
            self._hand_out()
        except MemcacheError as error:
            self._fail(connection, error)
        except ValueError as error:
            self._fail(connection, MemcacheError(repr(error)))
        except TimeoutError:
            self._fail(connection, MemcacheError(f'no answer within {self._wait:g} s'))
        except OSError as error:
            self._fail(connection, MemcacheClosed(repr(error)))

    def _receive(self, connection, deadline):
        # bytes that have come are taken, even where the time is over
        with suppress(BlockingIOError):
            return _plain(connection).recv(RECEIVE)
        connection.settimeout(max(deadline - self._clock(), 0.001))
        try:
            return connection.recv(RECEIVE)
        except TimeoutError as timeout:
            # a loop that was busy for so long fires its timers before it looks at its sockets
            with suppress(BlockingIOError):
                return _plain(connection).recv(RECEIVE)
            raise timeout

    def _hand_out(self):
        while self._asked and self._buffer:
            parsed = self._asked[0].parse(self._buffer)
            if parsed is None:
                return
            asked = self._asked.popleft()
            asked.answer, used = parsed
            asked.done = True
            self._buffer = self._buffer[used:]
            self._strikes = 0

    def _fail(self, connection, error):
        """End the connection and all questions under way; not those of the one that came after it."""
        if connection is not self._socket:
            return
        self._failures += 1
        # a connection that was closed in between is no sign of a server in trouble
        if not isinstance(error, MemcacheClosed):
            self._strikes += 1
            if self._strikes >= STRIKES:
                self._resting_until = self._clock() + REST_SECONDS
        self.close()
        while self._asked:
            asked = self._asked.popleft()
            asked.error, asked.done = error, True

    def close(self) -> None:
        connection, self._socket, self._buffer = self._socket, None, b''
        if connection is not None:
            connection.close()


def _plain(connection):
    """Give the system's own socket, which does not block; a socket with TLS has none that could be used."""
    plain = getattr(connection, 'fd', None)
    if plain is None:
        connection.settimeout(0)
        return connection
    return plain


def value_of(key: bytes) -> Parse:
    """Make a parser of the answer to ``get key`` or ``gets key``: (flags, value, mark that tells this value from
    others; b'' for get), or None where there is none."""
    def parse(data):
        if data.startswith(b'END\r\n'):
            return None, 5
        end = data.find(b'\r\n')
        if end < 0:
            return INCOMPLETE
        words = data[:end].split()
        if len(words) not in (4, 5) or words[0] != b'VALUE' or words[1] != key:
            raise MemcacheError(f'{data[:end]!r} is no answer to get')
        begin, stop = end + 2, end + 2 + int(words[3])
        if len(data) < stop + 7:
            return INCOMPLETE
        if data[stop:stop + 7] != b'\r\nEND\r\n':
            raise MemcacheError(f'a value of other than {words[3]!r} bytes')
        return (int(words[2]), data[begin:stop], b''.join(words[4:])), stop + 7
    return parse


def stored(data: bytes) -> tuple[Any, int] | None:
    """Parse the answer to ``set`` or ``cas``; tell whether the value was stored."""
    end = data.find(b'\r\n')
    if end < 0:
        return INCOMPLETE
    if data[:end] not in (b'STORED', b'EXISTS', b'NOT_FOUND'):
        raise MemcacheError(f'{data[:end]!r} is no answer to set')
    return data[:end] == b'STORED', end + 2
