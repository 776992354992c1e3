"""The base of eviction policies. Plain tables, no I/O."""
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

# anything that a table takes as a key
Name = Any


class EvictionPolicy(ABC):
    """Orders entries for eviction. :param room: upper bound on the bytes of all entries together"""

    def __init__(self, room: float):
        self._room = room
        # name -> its size, and other values that a policy packs into the number
        self._entries: dict[Name, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: Name) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator:
        """Iterate over a copy of the names, which any thread may do."""
        return iter(list(self._entries))

    @abstractmethod
    def size_of(self, name: Name) -> int:
        """Give an entry's size in bytes. :raises KeyError: it is not here"""

    @abstractmethod
    def add(self, name: Name, size: int) -> None:
        """Note a new entry; there must be none of its name."""

    @abstractmethod
    def put_back(self, name: Name, size: int, mark: Any = None) -> None:
        """Make an entry the next to evict, or give it back the place that it had.

        :param mark: as of `remove`; None: it is older than all others
        """

    @abstractmethod
    def read(self, name: Name) -> None:
        """Note a read of an entry. :raises KeyError: it is not here"""

    @abstractmethod
    def expect(self, name: Name) -> None:
        """Keep an entry at least as long as one that was just read, since a read is expected soon.

        A policy that counts reads does not count this as one.

        :raises KeyError: it is not here
        """

    @abstractmethod
    def remove(self, name: Name) -> tuple[int, Any]:
        """Remove an entry, and give its bytes and its mark. :raises KeyError: it is not here"""

    @abstractmethod
    def first(self) -> Name:
        """Give the name of the next entry to evict. :raises KeyError: there is none"""

    @abstractmethod
    def gone(self, name: Name, size: int, mark: Any) -> None:
        """Note that a removed entry is evicted for good."""
