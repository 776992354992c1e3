"""The index: the entries of the cache, the bytes that they take, and the order in which they are evicted.

The sidecar's inventory writes and reads it, in its event loop, and so does the replay of `swiftahead plan`. A key
is anything that a policy's tables take: the packed name of an entry, or the name of an object. Nothing of the
index is on disk.

Memory for each of a million entries, name and all, by how full the hash tables are: lru 170 to 250 bytes, lfu and
gdsf 250 to 370, s3fifo 240 to 280 and, where it remembers as many names as it holds, up to 430
(`tests/bench/eviction.py`).
"""
from collections.abc import Hashable, Iterator
from typing import Any

from .policies.base import EvictionPolicy


class Index:
    """Keeps account of entries and their bytes.

    :param policy: chooses the next entry to evict
    """

    def __init__(self, policy: EvictionPolicy):
        self._policy = policy
        self.bytes = 0
        # key -> bytes and mark of an entry that was taken, and not yet let go or put back
        self._taken: dict[Hashable, tuple[int, Any]] = {}

    def __len__(self):
        return len(self._policy)

    def __contains__(self, key):
        return key in self._policy

    def __iter__(self) -> Iterator:
        """Iterate over a copy of the keys, which any thread may do."""
        return iter(self._policy)

    def size_of(self, key: Hashable) -> int:
        """Give the bytes of an entry; 0 where it is not here."""
        return self._policy.size_of(key) if key in self._policy else 0

    def read(self, key: Hashable) -> bool:
        """Note that an entry was read; give False where it is not here."""
        is_here = key in self._policy
        if is_here:
            self._policy.read(key)
        return is_here

    def expect(self, key: Hashable) -> None:
        """Keep an entry, if it is here, as if it had just been read: a read is expected soon."""
        if key in self._policy:
            self._policy.expect(key)

    def add(self, key: Hashable, size: int) -> None:
        """Account for a new entry, in place of the entry that had its key."""
        self.remove(key)
        self._policy.add(key, size)
        self.bytes += size

    def remove(self, key: Hashable) -> None:
        """Take an entry, if it is here, out of the account, and remember nothing of it."""
        if key in self._policy:
            self.bytes -= self._policy.remove(key)[0]

    def take(self) -> tuple[Any, int] | None:
        """Take the next entry to evict out of the account.

        The caller then calls `let_go` or `put_back`.

        :returns: the entry's key and bytes; None where there is no entry
        """
        if not self._policy:
            return None
        key = self._policy.first()
        size, _ = self._taken[key] = self._policy.remove(key)
        self.bytes -= size
        return key, size

    def let_go(self, key: Hashable) -> None:
        """Note that an entry that was taken is gone for good."""
        found = self._taken.pop(key, None)
        if found is not None:
            self._policy.gone(key, *found)

    def put_back(self, key: Hashable, size: int) -> None:
        """Account for a taken entry again in its former place; for any other entry as the next to evict."""
        _, mark = self._taken.pop(key, (0, None))
        self.remove(key)
        self._policy.put_back(key, size, mark)
        self.bytes += size
