"""The body of a PUT, exactly as long as promised, and the bounds on the time that it takes."""
from collections.abc import Iterable, Iterator

from swift.common.concurrency import Timeout, sleep

from .remedies import RemoteFailed


class Bound:
    """Bounds one stage of a request after the other, however much comes and goes. Under eventlet alone."""

    def __init__(self):
        self._timeout: Timeout | None = None
        self.seconds = 0.0

    def begin(self, seconds: float) -> None:
        self.end()
        self.seconds = seconds
        self._timeout = Timeout(seconds)

    def end(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()

    def is_over(self, error: BaseException) -> bool:
        """Tell this bound from one of the caller's."""
        return error is self._timeout


class Body:
    """The bytes of an object, exactly as many as promised, or the connection breaks before the last of them.

    A chunk goes out once the next has come, so a source that fails at its very end leaves no object behind.

    :param chunks: the source; it is not closed here
    :ivar error: of the source, or of its length
    :ivar is_whole: whether all of it went out
    """

    def __init__(self, chunks: Iterable[bytes], length: int):
        self.length, self.is_whole = length, False
        self.error: BaseException | None = None
        self._left, self._chunks = length, iter(chunks)
        self._held = self._next()

    def _next(self) -> bytes | None:
        try:
            chunk = next((chunk for chunk in self._chunks if chunk), None)
            self._left -= len(chunk or b'')
            if self._left < 0 or (chunk is None and self._left):
                raise RemoteFailed(f'the source gave {"more" if self._left < 0 else "fewer"} bytes than the '
                                  f'{self.length} of its length', None,
                                  'the row is sent again; where that goes on, audit the source')
            return chunk
        except BaseException as error:
            self.error = error
            raise

    def sent(self, bound: Bound, seconds: float) -> Iterator[bytes]:
        """Give the chunks to a connection, which has the seconds for each of them, and for the answer."""
        while self._held is not None:
            bound.end()
            chunk, self._held = self._held, self._next()
            bound.begin(seconds)
            yield chunk
            # a receiver that is always ready would never let other green threads run
            sleep()
        bound.begin(seconds)
        self.is_whole = True
