"""What tests of the manager share: entries of known size, a cache folder's bytes."""
import math

from helpers.common.builders import ListLogger, spool

from swiftahead.conf.names import ObjectName
from swiftahead.eviction.evictor import CacheLimits, Tools
from swiftahead.eviction.manager import CacheManager

# one entry of BODY takes this much of the disk: a page for the header, one for body and table
UNIT = 8192
BODY = b'x' * 4000


def name_of(number, container='c'):
    return ObjectName('AUTH_test', container, f'o{number}')


def entry_of(store, number, container='c'):
    return store.naming.entry(name_of(number, container))


def path_of(store, number, container='c'):
    return store.layout.entry(entry_of(store, number, container))


def admit(manager, number, body=BODY, container='c', **more):
    return manager.admit(spool(manager.store, body, name=name_of(number, container), **more))


def cached(store, count=20, container='c'):
    return [number for number in range(count) if store.has(name_of(number, container))]


def disk_bytes(store):
    return sum(item.disk_bytes for item in store.linked())


def make_manager(store, size=10 * UNIT, high=90, low=50, floor=0, *, rules=('lru', 'all'), whole=True, **tools):
    """
    :param rules: eviction, and which captured misses are kept
    :param whole: False: what lies in the folder is not known yet
    """
    manager = CacheManager(store, CacheLimits(size, high, low, floor, *rules), ListLogger(), Tools(**tools))
    if whole:
        manager.load()
    return manager


def evict_next(manager):
    """Evict the entry that leaves next."""
    manager._evictor.evict(1)


def in_order(manager):
    """Names of all entries, the one that leaves next first."""
    batch = manager.inventory.take(math.inf, 1000)
    manager.inventory.keep(batch)
    return [name for name, _ in batch]
