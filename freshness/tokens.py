"""Freshness tokens, by which a write through one proxy ends the life of a cached version on all others.

memcached holds one token per object, under the object's path, so that all nodes agree on it. Each proxy worker
writes it around a write, and where it validates an entry that has none. Captures, fetches and hits read it.
After a crash of a writer in mid-write the token stays pending, and each hit is validated with a HEAD until the
token runs out. Where memcached lost its tokens, each entry is validated once before it is trusted again.
"""
import secrets
from dataclasses import dataclass

from swift.common.memcached import MemcacheRing

from ..conf.names import ObjectName
from .memcache_client import Announced, MemcacheAnswer, MemcacheClient
from .memcache_connection import MemcacheError

TOKEN_SECONDS = 24 * 3600


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


@dataclass(frozen=True)
class TokenReading:
    """The answer of memcached to the question for an object's token.

    :param reachable: False where memcached did not answer, or is not asked in this mode
    """
    token: Token | None
    reachable: bool

    @property
    def settled(self) -> Token | None:
        return self.token if self.token is not None and not self.token.pending else None


UNKNOWN = TokenReading(None, reachable=False)


class PendingToken:
    """A token that was asked for and has not been taken yet."""

    def __init__(self, answer: MemcacheAnswer):
        self._answer = answer

    def take(self) -> Token | None:
        """Give the token; None where there is none. :raises TokensUnreachable:"""
        try:
            return _token(self._answer.take())
        except MemcacheError as error:
            raise TokensUnreachable(str(error)) from None


class TokenRing:
    """The tokens in the memcached servers of Swift's cache middleware."""

    def __init__(self, ring: MemcacheRing):
        """:param ring: one of Swift's, which tells where the servers are and is left alone else"""
        self.client = MemcacheClient(ring)

    def ask(self, name: ObjectName) -> PendingToken:
        """Send the question now, to take the token when it is needed; the token is as of now or later."""
        return PendingToken(*self.client.ask(_key(name)))

    def ask_with(self, name: ObjectName, key: str) -> tuple[PendingToken, MemcacheAnswer]:
        """Ask for the token, and for the value of another key along with it."""
        token, value = self.client.ask(_key(name), key)
        return PendingToken(token), value

    def get(self, name: ObjectName) -> Token | None:
        """Ask for the token and wait for it; None where there is none. :raises TokensUnreachable:"""
        return self.ask(name).take()

    def announce(self, name: ObjectName, token: Token) -> Announced:
        """Set a token without waiting: a process that asks after this finds it, or a later one.

        :raises TokensUnreachable: where it could not even be sent
        """
        try:
            return self.client.announce(_key(name), _value(token), TOKEN_SECONDS)
        except MemcacheError as error:
            raise TokensUnreachable(str(error)) from None

    def replace(self, name: ObjectName, announced: Announced, token: Token) -> bool:
        """Set a token in the place of the announced one; False where another has been set since.

        :raises TokensUnreachable:
        """
        try:
            place = announced.confirm()
            return bool(place) and self.client.replace(_key(name), _value(token), TOKEN_SECONDS, place)
        except MemcacheError as error:
            raise TokensUnreachable(str(error)) from None

    def set(self, name: ObjectName, token: Token) -> None:
        """Set the token, and wait for the answer. :raises TokensUnreachable:"""
        try:
            self.client.set(_key(name), _value(token), TOKEN_SECONDS)
        except MemcacheError as error:
            raise TokensUnreachable(str(error)) from None

    def ensure(self, name: ObjectName) -> Token:
        """Give the object's token; set a new one where there was none.

        Setting it over one that another process set meanwhile is harmless: a process that validated
        against the lost one finds that it differs, and validates again.

        :raises TokensUnreachable:
        """
        token = self.get(name)
        if token is None:
            token = Token.new()
            self.set(name, token)
        return token

    def end(self, name: ObjectName) -> None:
        """Replace the object's token, so that entries stamped with it are validated before they are trusted again.

        The new one keeps the time of the last write, by which copies of replicas that missed it are known. A
        pending token stays, since its writer ends it; without any token no entry is trusted. A writer that set
        another one meanwhile has ended this one; entries stamped with that one are validated after this call.

        :raises TokensUnreachable:
        """
        try:
            found, place = self.client.get(_key(name))
            token = _token(found)
            if token is not None and not token.pending:
                self.client.replace(_key(name), _value(Token.new(timestamp=token.timestamp)), TOKEN_SECONDS, place)
        except MemcacheError as error:
            raise TokensUnreachable(str(error)) from None

    def close(self) -> None:
        self.client.close()


def _token(found) -> Token | None:
    """Decode a token of ours; None where memcached holds anything else."""
    if not (isinstance(found, list) and len(found) == 3):
        return None
    value, pending, timestamp = found
    return Token(str(value), bool(pending), str(timestamp))


def _value(token):
    return [token.value, token.pending, token.timestamp]


def _key(name):
    return f'swiftahead{name.path}'
