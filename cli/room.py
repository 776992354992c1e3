"""How much room objects take in a cache: bytes on disk, as the sidecar counts them."""
from functools import cache

from ..cache.entry import expected_disk_bytes
from ..conf import SIDECAR

# objects of one size are met again and again
disk_bytes = cache(expected_disk_bytes)
# percent of cache_size, where they are not changed
HIGH, LOW = (float(option.default) for name in ('high_water', 'low_water')
             for option in SIDECAR.options if option.name == name)


def high_bytes(cache_bytes: int) -> float:
    """What all entries of a cache take at most: eviction begins there."""
    return cache_bytes * HIGH / 100
