"""The tokens as one worker process uses them: an unreachable memcached is counted, and never an error.

They are in the servers of Swift's own cache filter, as Swift has made it. That filter stands further left and is
not seen when this one is loaded, but each request carries its ring. All proxies whose Swift shares a cache share
the tokens."""
from collections.abc import Callable
from dataclasses import dataclass

from swift.common.memcached import MemcacheRing, load_memcache

from ..conf.names import ObjectName
from .memcache_client import Announced
from .tokens import UNKNOWN, PendingToken, Token, TokenReading, TokenRing, TokensUnreachable

OPTION = 'memcache_servers'
CONSEQUENCE = 'every hit is validated by a HEAD, as with freshness = validate'
OTHERS = (f'{CONSEQUENCE}: {OPTION} in [filter:prefetch] are %s, but Swift\'s cache filter has %s; take {OPTION} '
          'out of [filter:prefetch], or name there those of the cache filter, on every proxy')
NONE = (f'{CONSEQUENCE}: the request came without the ring of Swift\'s cache filter, so nobody says where the '
        'freshness tokens are; where no cache filter stands left of the prefetch filter, add "cache" to '
        f'[pipeline:main], or name the servers that all proxies share as {OPTION} in [filter:prefetch]')


@dataclass(frozen=True)
class Servers:
    """
    :param ring: knows the servers that learn of writes; None where none are known
    :param doubt: reason why no hit may rely on them, and its remedy; '' where all is well
    """
    ring: MemcacheRing | None
    doubt: str = ''


def has_servers(swifts) -> bool:
    """Tell whether that is the ring of Swift's cache filter."""
    return isinstance(swifts, MemcacheRing) and bool(swifts.memcache_servers)


def find_servers(named: str | None, conf: dict, swifts, logger) -> Servers:
    """Find the servers, once a request has come.

    Where the operator names others than Swift has, nobody knows which of them the other proxies ask. Then Swift's
    servers learn of writes, since they are right as soon as the conf is, and hits rely on neither.

    :param named: `memcache_servers` of the filter's own section
    :param conf: that section merged over [DEFAULT], for `load_memcache`
    :param swifts: object that the request has as Swift's cache
    """
    if has_servers(swifts):
        # the number keeps `load_memcache` from looking into memcache.conf, which has no say in what is named
        own = named and load_memcache({OPTION: named, 'memcache_max_connections': '1'}, logger).memcache_servers
        if own and sorted(own) != sorted(swifts.memcache_servers):
            return Servers(swifts, OTHERS % (', '.join(own), ', '.join(swifts.memcache_servers)))
        return Servers(swifts)
    ring = load_memcache(conf, logger) if conf.get(OPTION) else None
    return Servers(ring) if ring and ring.memcache_servers else Servers(None, NONE)


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
        """Set the token that follows the announced one; tell whether a token is set.

        Where another write came between, nobody knows which of them came last. The token then knows of no write's
        time, and entries stamped with it are validated before they are trusted.
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
        """Set the token; tell whether it is set, True where tokens are not used."""
        return self.told is None or self._try(self.told.set, name, token)

    def end(self, name: ObjectName) -> bool:
        """Have all nodes validate the object's entries before they trust them again; tell whether they will."""
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
