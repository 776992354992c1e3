"""Bodies of hits, in the form that swob's range engine asks for."""
import time
from collections.abc import Callable, Iterable, Iterator

from swift.common.concurrency import sleep
from swift.common.swob import multi_range_iterator
from swift.common.utils import close_if_possible

from ..cache import Damaged, Entry

# how long a quick client may keep the others of its worker waiting; to ask the hub after each piece costs
# a large hit a quarter of its time
HOLD_SECONDS = 0.001
Rest = Callable[[int, int], Iterator[bytes]]


class EntryBody:
    """The body of an open entry. Every block is checked before it is sent.

    :param rest: gives a range of bytes from the backend where the cache cannot
    :param on_damage: called once with the error
    """

    def __init__(self, entry: Entry, rest: Rest, on_damage: Callable[[Exception], None]):
        self._entry = entry
        self._rest = rest
        self._on_damage = on_damage

    def __iter__(self):
        return self.app_iter_range(0, self._entry.meta.body_length)

    def app_iter_range(self, start: int, stop: int) -> Iterator[bytes]:
        try:
            yield from self._range(start, stop)
        finally:
            self.close()

    def app_iter_ranges(self, ranges, content_type, boundary, content_size) -> Iterator[bytes]:
        try:
            yield from multi_range_iterator(ranges, content_type, boundary, content_size, self._range)
        finally:
            self.close()

    def _range(self, start, stop):
        position = start
        try:
            turn_ends_at = time.monotonic() + HOLD_SECONDS
            for piece in self._entry.blocks(start, stop):
                yield piece
                position += len(piece)
                if time.monotonic() >= turn_ends_at:
                    sleep()
                    turn_ends_at = time.monotonic() + HOLD_SECONDS
        except (Damaged, OSError) as error:
            self._on_damage(error)
            yield from self._rest(position, stop)

    def close(self) -> None:
        self._entry.close()


class Pieces:
    """What the server sends. Middleware on the left can take no ranges of it, as it can of none that
    proxy-server gives, and to close it closes the entry, though nothing was read.
    """

    def __init__(self, pieces: Iterable[bytes], entry: Entry):
        self._pieces = pieces
        self._entry = entry

    def __iter__(self):
        return iter(self._pieces)

    def close(self) -> None:
        close_if_possible(self._pieces)
        self._entry.close()
