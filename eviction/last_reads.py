"""When entries were last read: their files' times, which a hit sets once a minute at most, are behind."""
from collections import OrderedDict
from typing import NamedTuple

from ..conf.names import PREFETCH, SEGMENT, WHOLE

# of so many entries, those read last; a table of some megabytes, however many entries there are
MOST = 50_000


class LastReads:
    """Noted in the event loop; may be asked from any thread."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self):
        return len(self._at)

    def note(self, entry_name: str, at: float) -> None:
        """It was read at that time."""
        name = bytes.fromhex(entry_name)
        self._at[name] = at
        self._at.move_to_end(name)
        if len(self._at) > self._most:
            self._at.popitem(last=False)

    def forget(self, entry_name: str) -> None:
        """Another came in its place, whose file says when."""
        self._at.pop(bytes.fromhex(entry_name), None)

    def last(self, entry_name: str) -> float | None:
        """None where it was not read lately, or before this process began."""
        return self._at.get(bytes.fromhex(entry_name))


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
