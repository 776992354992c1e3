"""A client of the memcached servers of Swift's cache middleware.

Swift's ring chooses the server of a key and tells how to connect to it. The client tries once, waits briefly, and
falls through to no other server, which would not have the key. Its connections are its own: two slow answers must
not error-limit the server that holds Swift's logins.
"""
import json
from bisect import bisect
from contextlib import suppress
from functools import partial
from typing import Any

from swift.common.memcached import JSON_FLAG, MemcacheConnPool, MemcacheRing, md5hash, set_msg

from .memcache_connection import (
    MemcacheClosed,
    MemcacheConnection,
    MemcacheError,
    Parse,
    PendingAnswer,
    stored,
    value_of,
)

LONGEST_WAIT = 0.1


class MemcacheAnswer:
    """The value of a key that was asked for and has not been taken yet."""

    def __init__(self, client: 'MemcacheClient', key: bytes, asked: PendingAnswer | None):
        self._client = client
        self._key = key
        self._asked = asked

    def take(self):
        """Give the value; None where there is none, or none that is JSON. :raises MemcacheError:"""
        try:
            if self._asked is not None:
                return _decoded(self._asked.result())
        except MemcacheClosed:
            # the server may have been restarted, or closes idle connections: that is no failure yet
            pass
        return _decoded(self._client.call(self._key, *_get(self._key)))


class Announced:
    """A value that was set without waiting."""

    def __init__(self, value, stored: PendingAnswer, found: PendingAnswer):
        self._value = value
        self._stored = stored
        self._found = found

    def confirm(self) -> bytes:
        """Return the mark that tells this value from all others ever set; b'' where another was set since.

        :raises MemcacheError: where it was not set, or nobody knows
        """
        self._stored.result()
        found = self._found.result()
        return found[2] if _decoded(found) == self._value else b''


class MemcacheClient:
    """One connection to each server. Made after fork; closed, or left to the end of the process."""

    def __init__(self, ring: MemcacheRing):
        """
        :param ring: tells which servers there are, which of them has a key, and whether they speak TLS; it is
            never asked for a value, nor are its connections used, which are Swift's
        """
        wait = min(ring._io_timeout, LONGEST_WAIT)
        self._ring = ring
        self._connections = {server: _to(server, pool, wait)
                             for server, pool in ring._client_cache.items()}

    @property
    def servers(self) -> list[str]:
        """The servers as the conf spells them."""
        return sorted(self._connections)

    def has_servers_of(self, swifts_ring) -> bool:
        """Tell whether that is a ring of Swift's with the very same servers."""
        return sorted(self._connections) == sorted(getattr(swifts_ring, 'memcache_servers', ()))

    def ask(self, *keys: str) -> list[MemcacheAnswer]:
        """Send the questions now, to take the answers when they are needed; the answers are as of now or later."""
        hashed = [md5hash(key) for key in keys]
        by_connection: dict[MemcacheConnection, list[bytes]] = {}
        for key in hashed:
            by_connection.setdefault(self._connection(key), []).append(key)
        asked: dict[bytes, PendingAnswer] = {}
        for connection, own in by_connection.items():
            # a question that fails is asked again when its answer is taken, and reports its failure then
            with suppress(MemcacheError):
                asked.update(zip(own, connection.ask(*map(_get, own)), strict=True))
        return [MemcacheAnswer(self, key, asked.get(key)) for key in hashed]

    def get(self, key: str) -> tuple[Any, bytes]:
        """Get a key's value, or None, and the mark that tells it from all others ever set, for `replace`.

        :raises MemcacheError:
        """
        hashed = md5hash(key)
        found = self.call(hashed, *_gets(hashed), patient=True)
        return _decoded(found), found[2] if found is not None else b''

    def set(self, key: str, value, seconds: int) -> None:
        """Set a value, and wait for the answer. :raises MemcacheError:"""
        hashed = md5hash(key)
        # a write always waits: a token that nobody tried to set would leave other nodes with the old one
        self.call(hashed, _set(hashed, value, seconds), stored, patient=True)

    def announce(self, key: str, value, seconds: int) -> 'Announced':
        """Set a value without waiting: memcached has it before any later question.

        :raises MemcacheError: where it could not even be sent
        """
        hashed = md5hash(key)
        connection = self._connection(hashed)
        questions = (_set(hashed, value, seconds), stored), _gets(hashed)
        asked = connection.ask(*questions, patient=True)
        if asked[0].error is not None:
            # the connection had ended, which sending found out: once more, on a new one
            asked = connection.ask(*questions, patient=True)
        return Announced(value, *asked)

    def replace(self, key: str, value, seconds: int, place: bytes) -> bool:
        """Set a value in the place of one certain other; tell whether that was still there.

        :param place: mark that `Announced.confirm` or `get` gave
        :raises MemcacheError:
        """
        hashed = md5hash(key)
        words = _set(hashed, value, seconds).split(b'\r\n', 1)
        question = b'cas' + words[0].removeprefix(b'set') + b' ' + place + b'\r\n' + words[1]
        return self.call(hashed, question, stored, patient=True)

    def call(self, key: bytes, question: bytes, parse: Parse, patient: bool = False) -> Any:
        """Ask the server of a key, once more where the connection had ended; give the answer.

        :raises MemcacheError:
        """
        connection = self._connection(key)
        try:
            return connection.ask((question, parse), patient=patient)[0].result()
        except MemcacheClosed:
            return connection.ask((question, parse), patient=patient)[0].result()

    def _connection(self, key):
        # chooses the server that MemcacheRing would try first
        ring, places = self._ring._ring, self._ring._sorted
        return self._connections[ring[places[(bisect(places, key) + 1) % len(places)]]]

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def _to(server, pool, wait):
    return MemcacheConnection(partial(connect, MemcacheConnPool(server, 1, wait, pool._tls_context)), wait)


def connect(pool):
    """Connect to the server of a `MemcacheConnPool`, TLS and all."""
    file, connection = pool.create()
    # the connection stays open without it
    file.close()
    return connection


def _set(key, value, seconds):
    return set_msg(key, JSON_FLAG, seconds, json.dumps(value).encode('ascii'))


def _get(key):
    return b'get ' + key + b'\r\n', value_of(key)


def _gets(key):
    return b'gets ' + key + b'\r\n', value_of(key)


def _decoded(found):
    if found is None or not found[0] & JSON_FLAG:
        return None
    try:
        return json.loads(found[1])
    except (ValueError, RecursionError):
        return None
