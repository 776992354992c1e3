"""Capture misses: a tee reads the backend in a green thread of its own, clients read along.

A client's slow socket does not slow the tee, and a client that hangs up harms no one. Where the disk fails, each
client goes on from the backend by itself; where the backend fails, each client fails as it would have without the
filter.
"""
from collections.abc import Callable, Iterator

from swift.common.concurrency import Event, sleep
from swift.common.utils import close_if_possible

from ..cache import EntryWriter, NoRoom, Stamp
from .subrequests import Rest

PIECE = 64 * 1024


class BackendBroke(Exception):
    """The backend's answer ended before its length; the error that its iterator raised is the cause."""


class Tee:
    """One captured miss. The arguments of `start_response` are kept for readers that join.

    :param body: the backend's body
    :param on_done: called with the tee when it has ended, well or not
    """

    def __init__(self, writer: EntryWriter, status: str, headers: list, body, stamp: Stamp | None,
                 on_done: Callable[['Tee'], None]):
        self.writer = writer
        self.status = status
        self.headers = headers
        self.meta = writer.meta
        self.complete = False
        self.disk_error: Exception | None = None
        self.read_error: OSError | None = None
        self._backend_error: BaseException | None = None
        self._body = body
        self._stamp = stamp
        self._on_done = on_done
        self._progress = Event()
        self._users = 1

    def run(self) -> None:
        """Read the backend to its end. Runs in a green thread of its own and raises nothing."""
        try:
            for chunk in self._body:
                self._keep(chunk)
                self._announce()
            self._end()
        except (OSError, NoRoom) as error:
            self._fail_by_errno(error)
        except BaseException as error:  # noqa: BLE001 - timeouts of eventlet and Swift are no Exceptions
            self._backend_error = error
        finally:
            self._finish()

    def _finish(self):
        """End the tee whatever fails: no follower may be left waiting."""
        try:
            if not self.complete:
                self.writer.abort()
            close_if_possible(self._body)
        except BaseException as error:  # noqa: BLE001 - as in run()
            self._backend_error = self._backend_error or error
        finally:
            self._announce()
            try:
                self._on_done(self)
            finally:
                self.release()

    def _keep(self, chunk):
        try:
            self.writer.write(chunk)
        except OSError as error:
            raise _DiskFailed(error) from error

    def _end(self):
        try:
            self.writer.finish(self._stamp)
        except NoRoom as short:
            raise BackendBroke(str(short)) from short
        except OSError as error:
            raise _DiskFailed(error) from error
        self.complete = True

    def _fail_by_errno(self, error):
        # OSErrors of the backend's sockets and of our disk are told apart by where they were raised
        if isinstance(error, _DiskFailed):
            self.disk_error = error
        else:
            self._backend_error = error

    def _announce(self):
        progress, self._progress = self._progress, Event()
        progress.send()

    @property
    def is_broken(self) -> bool:
        """Tell whether the backend broke off."""
        return self._backend_error is not None

    def wait(self) -> None:
        """Wait until there is more to read, or an end. :raises BackendBroke:"""
        if self._backend_error is not None:
            raise BackendBroke(f'the backend broke off after {self.writer.written} bytes') \
                from self._backend_error
        self._progress.wait()

    def follow(self, rest: Rest, first: bool = False) -> 'Follower':
        """Give a client's body, read along from the beginning.

        :param first: the client made this very request: it fails where the backend does, while the others go
            on with a request of their own
        """
        self.hold()
        return Follower(self, rest, first)

    def hold(self) -> None:
        """Keep the spool file readable until `release()`."""
        self._users += 1

    def release(self) -> None:
        self._users -= 1
        if not self._users:
            self.writer.close()


class _DiskFailed(OSError):
    """An error of our own disk, not of a socket to the backend."""


class Follower:
    """One client's body, read along from a tee; an iterator of bytes that must be closed."""

    def __init__(self, tee: Tee, rest: Rest, first: bool):
        self._tee = tee
        self._first = first
        self._pieces = self._read(rest)
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def _read(self, rest):
        tee, length, position = self._tee, self._tee.meta.body_length, 0
        while position < length:
            if tee.writer.written > position:
                piece = self._piece(position)
                if not piece:
                    break
                position += len(piece)
                yield piece
                # a quick client must not keep the others of this worker waiting
                sleep()
            elif tee.disk_error is not None or (tee.is_broken and not self._first):
                break
            else:
                tee.wait()
        if position < length:
            yield from rest(position, length)

    def _piece(self, position):
        """Read bytes of the spool file; none where the disk does not give them."""
        try:
            return self._tee.writer.read(position, position + PIECE)
        except OSError as error:
            self._tee.read_error = error
            return b''

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._pieces.close()
            self._tee.release()
