"""Knows which entries this process fetched and nobody has read since."""
from typing import NamedTuple

from ..conf.names import PREFETCH, SEGMENT, WHOLE


class Fetched(NamedTuple):
    """
    :param bytes: that it takes on disk
    """
    origin: str
    bytes: int


class Unread:
    """Keeps their names, in memory alone; not those of warmed entries, which somebody asked for."""

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
