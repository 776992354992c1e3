"""Reads of entries: when they were last read, and which were fetched and not read yet. In memory alone.

Who writes: the sidecar's event loop. An entry's file has the time of its last read too, but up to a minute late.
"""
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from ..conf.names import PREFETCH, SEGMENT, WHOLE

# entries whose last read is remembered; a table of some megabytes, however many entries there are
MOST = 50_000


class LastReads:
    """When the entries that were read last were; any thread may ask."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self):
        return len(self._at)

    def names(self) -> Iterator[str]:
        """The entries' names, the one read last at the end."""
        return (name.hex() for name in list(self._at))

    def note(self, entry_name: str, at: float) -> None:
        """Note that an entry was read at that time."""
        name = bytes.fromhex(entry_name)
        self._at[name] = at
        self._at.move_to_end(name)
        if len(self._at) > self._most:
            self._at.popitem(last=False)

    def forget(self, entry_name: str) -> None:
        """Note that another entry came in its place; its file says when."""
        self._at.pop(bytes.fromhex(entry_name), None)

    def last(self, entry_name: str) -> float | None:
        """When an entry was last read; None where that was not lately, or before this process began."""
        return self._at.get(bytes.fromhex(entry_name))


class Fetched(NamedTuple):
    """How an entry was fetched. :param bytes: that it takes on disk"""
    origin: str
    bytes: int


class Unread:
    """Entries that were fetched and not read yet; not warmed ones, which somebody asked for."""

    def __init__(self):
        # a table for each origin, since a record for each entry would take as much again
        self._bytes: dict[str, dict[bytes, int]] = {origin: {} for origin in (PREFETCH, SEGMENT, WHOLE)}

    def add(self, entry_name: str, origin: str, taken: int) -> None:
        """Note that an entry was linked, in the place of the one that had its name."""
        self.pop(entry_name)
        if origin in self._bytes:
            self._bytes[origin][bytes.fromhex(entry_name)] = taken

    def pop(self, entry_name: str) -> Fetched | None:
        """Note that an entry is read, or gone. None where it had been read before, or was not fetched."""
        name = bytes.fromhex(entry_name)
        for origin, table in self._bytes.items():
            if name in table:
                return Fetched(origin, table.pop(name))
        return None
