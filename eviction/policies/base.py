"""The base of the orders in which entries leave the cache. Plain tables, no I/O."""
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

# whatever a table takes
Name = Any


class EvictionPolicy(ABC):
    """:param room: bytes of all entries together, at most"""

    def __init__(self, room: float):
        self._room = room
        # name -> its size, and what else the order puts into the number
        self._entries: dict[Name, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: Name) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator:
        """Of a copy: it may change meanwhile, and be asked for in another thread."""
        return iter(list(self._entries))

    @abstractmethod
    def size_of(self, name: Name) -> int:
        """:raises KeyError: it is not here"""

    @abstractmethod
    def add(self, name: Name, size: int) -> None:
        """It came, because it was read or will be; it must not be here."""

    @abstractmethod
    def put_back(self, name: Name, size: int, mark: Any = None) -> None:
        """It goes next, or takes the place that it had.

        :param mark: as of `remove`; None: it is older than what is here
        """

    @abstractmethod
    def read(self, name: Name) -> None:
        """:raises KeyError: it is not here"""

    @abstractmethod
    def expect(self, name: Name) -> None:
        """It will be read soon, most likely: it goes no sooner than if it had just been read. Where reads are
        counted, that is none.

        :raises KeyError: it is not here
        """

    @abstractmethod
    def remove(self, name: Name) -> tuple[int, Any]:
        """Its bytes and its mark. :raises KeyError: it is not here"""

    @abstractmethod
    def first(self) -> Name:
        """What goes next. :raises KeyError: there is none"""

    @abstractmethod
    def gone(self, name: Name, size: int, mark: Any) -> None:
        """What `remove` gave was evicted, for good."""
