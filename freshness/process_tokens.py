"""The tokens as one worker process uses them: an unreachable memcached is counted, and never an error."""
from collections.abc import Callable

from ..conf.names import ObjectName
from .memcache_client import Announced
from .tokens import UNKNOWN, PendingToken, Token, TokenReading, TokenRing, TokensUnreachable


class ProcessTokens:
    """
    :ivar ring: hits and misses rely on it; None where they may not
    :ivar doubted: learns of writes all the same, where there is no `ring`
    """

    def __init__(self, count: Callable[[str], None]):
        """:param count: counts one event by the name of its counter"""
        self.ring: TokenRing | None = None
        self.doubted: TokenRing | None = None
        self._count = count

    @property
    def told(self) -> TokenRing | None:
        """The ring that learns of writes; None where tokens are not used."""
        return self.ring or self.doubted

    def ask(self, name: ObjectName) -> PendingToken | None:
        """Ask for the object's token, to `take` it later; None where tokens are not used."""
        return self.ring.ask(name) if self.ring is not None else None

    def take(self, asked: PendingToken | None) -> TokenReading:
        if asked is None:
            return UNKNOWN
        try:
            return TokenReading(asked.take(), reachable=True)
        except TokensUnreachable:
            self._count('tokens_unreachable')
            return UNKNOWN

    def announce(self, name: ObjectName) -> Announced | None:
        """Set a pending token without waiting: memcached has it long before a write can be in the backend."""
        told = self.told
        if told is None:
            return None
        try:
            return told.announce(name, Token.new(pending=True))
        except TokensUnreachable:
            self._count('tokens_unreachable')
            return None

    def settle(self, name: ObjectName, announced: Announced | None, token: Token) -> bool:
        """Set the token that follows the announced one; tells whether one is set.

        Where another write came between, nobody knows which of them came last. The token then knows of no write's
        time, and entries filled under it are validated before they are trusted.
        """
        told = self.told
        if told is None:
            return False
        try:
            if announced is not None and told.replace(name, announced, token):
                return True
        except TokensUnreachable:
            self._count('tokens_unreachable')
        return self.set(name, Token.new())

    def set(self, name: ObjectName, token: Token) -> bool:
        """Set the token; tells whether it is set, True where tokens are not used."""
        return self.told is None or self._try(self.told.set, name, token)

    def end(self, name: ObjectName) -> bool:
        """Have all nodes validate the object's entries before they trust them again; tells whether they will."""
        return self.told is not None and self._try(self.told.end, name)

    def _try(self, change: Callable[..., None], *args) -> bool:
        try:
            change(*args)
        except TokensUnreachable:
            self._count('tokens_unreachable')
            return False
        return True

    def close(self) -> None:
        if self.told is not None:
            self.told.close()
