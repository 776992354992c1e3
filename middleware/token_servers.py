"""Which memcached servers hold the freshness tokens: those of Swift's own cache filter, as Swift has made it.

The cache filter stands further left, and is not seen when this one is loaded; but each request carries its ring,
and nothing has to be made of the conf a second time. All proxies whose Swift shares a cache share the tokens.
"""
from dataclasses import dataclass

from swift.common.memcached import MemcacheRing, load_memcache

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
    :param ring: tells the servers that are told of writes; None where none are known
    :param doubt: why no hit may rely on what they tell, and how to mend that; '' where all is well
    """
    ring: MemcacheRing | None
    doubt: str = ''


def has_servers(swifts) -> bool:
    """Whether that is the ring of Swift's cache filter."""
    return isinstance(swifts, MemcacheRing) and bool(swifts.memcache_servers)


def find_servers(named: str | None, conf: dict, swifts, logger) -> Servers:
    """The servers, once a request has come.

    Where the operator names others than Swift has, nobody knows which of them the other proxies ask: writes are
    told to Swift's, which are right as soon as the conf is, and hits rely on neither.

    :param named: `memcache_servers` of the filter's own section
    :param conf: that section merged over [DEFAULT], for `load_memcache`
    :param swifts: what the request has as Swift's cache
    """
    if has_servers(swifts):
        # the number keeps `load_memcache` from looking into memcache.conf, which has no say in what is named
        own = named and load_memcache({OPTION: named, 'memcache_max_connections': '1'}, logger).memcache_servers
        if own and sorted(own) != sorted(swifts.memcache_servers):
            return Servers(swifts, OTHERS % (', '.join(own), ', '.join(swifts.memcache_servers)))
        return Servers(swifts)
    ring = load_memcache(conf, logger) if conf.get(OPTION) else None
    return Servers(ring) if ring and ring.memcache_servers else Servers(None, NONE)
