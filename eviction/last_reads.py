"""Reads of entries: the times of their last reads, and the fetched entries not read yet. In memory alone.

The sidecar's event loop writes them. An entry's file has the time of its last read too, but up to a minute late.
"""
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from ..conf.names import PREFETCH, SEGMENT, WHOLE

# number of entries whose last read is remembered: a table of some megabytes, however many entries there are
MOST = 50_000


class LastReads:
    """Remembers when the entries read most recently were read; any thread may ask."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self):
        return len(self._at)

    def names(self) -> Iterator[str]:
        """Give the entries' names, the last one read at the end."""
        return (name.hex() for name in list(self._at))

    def note(self, entry_name: str, at: float) -> None:
        """Note that an entry was read at the time `at`."""
        name = bytes.fromhex(entry_name)
        self._at[name] = at
        self._at.move_to_end(name)
        if len(self._at) > self._most:
            self._at.popitem(last=False)

    def forget(self, entry_name: str) -> None:
        """Forget an entry's last read, since a new entry took its place; the new file's time tells when."""
        self._at.pop(bytes.fromhex(entry_name), None)

    def last(self, entry_name: str) -> float | None:
        """Tell when an entry was last read; None where that was not lately, or before this process began."""
        return self._at.get(bytes.fromhex(entry_name))


class Fetched(NamedTuple):
    """Origin and size of a fetched entry. :param bytes: bytes on disk"""
    origin: str
    bytes: int


class Unread:
    """Entries that were fetched and not read yet, without warmed entries, which somebody asked for."""

    def __init__(self):
        # a table for each origin, since an object for each entry would take as much again
        self._bytes: dict[str, dict[bytes, int]] = {origin: {} for origin in (PREFETCH, SEGMENT, WHOLE)}

    def add(self, entry_name: str, origin: str, taken: int) -> None:
        """Note that an entry was linked, in place of the entry that had its name."""
        self.pop(entry_name)
        if origin in self._bytes:
            self._bytes[origin][bytes.fromhex(entry_name)] = taken

    def pop(self, entry_name: str) -> Fetched | None:
        """Note that an entry was read or is gone.

        :returns: how it was fetched; None where it had been read before, or was not fetched
        """
        name = bytes.fromhex(entry_name)
        for origin, table in self._bytes.items():
            if name in table:
                return Fetched(origin, table.pop(name))
        return None
