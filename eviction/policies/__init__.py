"""Eviction policies: choose the next entry to evict, by its size and its reads. Plain tables, no I/O.

The index writes and reads them. Nothing of them is on disk: after a start the entries come back by `put_back`, the
newest first. So they are evicted in the order of their files' times until they are read again.

A policy may know how often an entry was read. It gives this number as the entry's mark when the entry is removed,
and gets the mark back when the entry is put back.

To add a policy, write its module, and add a line here.
"""
from .base import EvictionPolicy
from .gdsf import Gdsf
from .lfu import Lfu
from .lru import Lru
from .s3fifo import S3Fifo

POLICIES: dict[str, type[EvictionPolicy]] = {'lru': Lru, 'lfu': Lfu, 'gdsf': Gdsf, 's3fifo': S3Fifo}

__all__ = ['POLICIES', 'EvictionPolicy']
