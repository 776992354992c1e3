"""Freshness tokens: how a write through one proxy ends the life of a cached version on all others.

memcached holds one token per object, under the object's path, so that all nodes agree on it. Who
writes: every proxy worker, around each write, and whoever validates an entry that has none. Who
reads: whoever fills or answers. After a crash of a writer in mid-write the token stays pending, and
each hit is validated with a HEAD until the token runs out; memcached lost is tokens lost, and each
entry is validated once before it is trusted again.
"""
import secrets
from dataclasses import dataclass

from swift.common.exceptions import MemcacheConnectionError
from swift.common.memcached import load_memcache

from ..conf.naming import ObjectName

TOKEN_SECONDS = 24 * 3600
LONGEST_WAIT = 0.1
CONNECTIONS = '8'


class TokensUnreachable(Exception):
    """memcached did not answer, or not in time."""


@dataclass(frozen=True)
class Token:
    """
    :param value: random, new for each write
    :param pending: a write has begun and its outcome is not known yet
    :param timestamp: internal form of the last write known, '' for none
    """
    value: str
    pending: bool = False
    timestamp: str = ''

    @classmethod
    def new(cls, pending: bool = False, timestamp: str = '') -> 'Token':
        return cls(secrets.token_hex(16), pending, timestamp)


class TokenRing:
    """The memcached servers of Swift's cache middleware, asked in our own way.

    A ring of its own: two slow tokens must not error-limit the server that holds Swift's logins.
    One try, a short wait, and no falling through to another server, where the token is not.
    """

    def __init__(self, conf: dict, logger):
        """:param conf: options of Swift's cache middleware, complete, as `load_memcache` takes them"""
        wait = min(float(conf.get('io_timeout', LONGEST_WAIT)), LONGEST_WAIT)
        own = {**conf, 'tries': '1', 'io_timeout': str(wait), 'connect_timeout': str(wait),
               'pool_timeout': str(wait)}
        # many requests ask at the same time, and none should wait for another's connection
        own['memcache_max_connections'] = CONNECTIONS
        # a server that hangs costs its wait ten times, then nothing for this long
        own['error_suppression_interval'] = '5'
        self._ring = load_memcache(own, logger)
        # a write is never spared its wait: a token that was not tried to be set leaves others with the old
        self._writes = load_memcache({**own, 'error_suppression_interval': '0'}, logger)

    def get(self, name: ObjectName) -> Token | None:
        """:raises TokensUnreachable:"""
        try:
            found = self._ring.get(_key(name), raise_on_error=True)
        except MemcacheConnectionError as error:
            raise TokensUnreachable(str(error)) from None
        if not (isinstance(found, list) and len(found) == 3):
            return None
        value, pending, timestamp = found
        return Token(str(value), bool(pending), str(timestamp))

    def set(self, name: ObjectName, token: Token) -> None:
        """:raises TokensUnreachable:"""
        value = [token.value, token.pending, token.timestamp]
        try:
            self._writes.set(_key(name), value, time=TOKEN_SECONDS, raise_on_error=True)
        except MemcacheConnectionError as error:
            raise TokensUnreachable(str(error)) from None

    def ensure(self, name: ObjectName) -> Token:
        """The object's token; a new one where there was none.

        Setting it over one that another process set meanwhile is harmless: whoever validated
        against the lost one finds that it differs, and validates again.

        :raises TokensUnreachable:
        """
        token = self.get(name)
        if token is None:
            token = Token.new()
            self.set(name, token)
        return token


def _key(name):
    return f'swiftahead{name.path}'
