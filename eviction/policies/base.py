"""The base of eviction policies. Plain tables, no I/O."""
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

# anything that a table takes as a key
Name = Any


class EvictionPolicy(ABC):
    """:param room: bytes of all entries together, at most"""

    def __init__(self, room: float):
        self._room = room
        # name -> its size, and other things that a policy puts into the number
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
        """:raises KeyError: it is not here"""

    @abstractmethod
    def add(self, name: Name, size: int) -> None:
        """Note an entry that came; there must be none of its name."""

    @abstractmethod
    def put_back(self, name: Name, size: int, mark: Any = None) -> None:
        """Have an entry go next, or give it back the place that it had.

        :param mark: as of `remove`; None: it is older than all others
        """

    @abstractmethod
    def read(self, name: Name) -> None:
        """Note a read of an entry. :raises KeyError: it is not here"""

    @abstractmethod
    def expect(self, name: Name) -> None:
        """Have an entry go no sooner than if it had just been read: it most likely will be soon. Where reads are
        counted, this is none.

        :raises KeyError: it is not here
        """

    @abstractmethod
    def remove(self, name: Name) -> tuple[int, Any]:
        """Forget an entry; its bytes and its mark. :raises KeyError: it is not here"""

    @abstractmethod
    def first(self) -> Name:
        """The name of the entry that goes next. :raises KeyError: there is none"""

    @abstractmethod
    def gone(self, name: Name, size: int, mark: Any) -> None:
        """Note that an entry that was removed is evicted, for good."""
