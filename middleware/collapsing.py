"""Collapse reads: other readers may read along with a read under way of an object that is not cached.

Each worker has collapsed reads of its own. A collapsed read begins before the app is asked. Readers that come
meanwhile wait for its answer, for a bounded time. They can join a little longer than it lasts, until the sidecar
has admitted the capture.
"""
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from cachetools import TTLCache
from swift.common.concurrency import Event, sleep, spawn_n

from ..cache import EntryMeta
from ..conf.names import ObjectName
from ..freshness import TokenReading
from .subrequests import Rest

# seconds that a reader waits for another's answer, which was asked for earlier than its own would be
JOIN_SECONDS = 5.0
# seconds from one look for a capture's admission to the next, and the most that it lingers until then
LOOK_SECONDS = 1.0
LINGER_SECONDS = 30.0
# seconds that it lingers where no token tells whether the answer missed a write
BRIEF_SECONDS = 3.0
# collapsed reads that linger at the same time, each with a file descriptor or the bytes of a small body
LINGERING = 64
# after an answer that could not be shared, readers of the object do not wait for each other for so long, or until
# the object is written; ALONE is the most objects that are remembered
ALONE_SECONDS = 60.0
ALONE = 10_000


class SharedAnswer(Protocol):
    """An answer that others may read along with."""
    status: str
    headers: list
    meta: EntryMeta

    def follow(self, rest: Rest) -> Iterable[bytes]:
        """Give a client's body.

        :param rest: gives a range of bytes from the backend where this answer cannot
        """
        ...

    def hold(self) -> None:
        """Keep the answer readable for later followers, until `release()`."""

    def release(self) -> None:
        ...


@dataclass
class SmallAnswer:
    """The whole of a small answer."""
    status: str
    headers: list
    meta: EntryMeta
    body: bytes

    def follow(self, rest: Rest) -> Iterable[bytes]:
        return [self.body]

    def hold(self) -> None:
        pass

    release = hold


class CollapsedRead:
    """One request to the app for a whole object.

    :param known: the object's token, read before the app was asked
    :param asked_at: seconds since the epoch
    :param joinable: False where waiting for the answer would be in vain, as it was the last time
    """

    def __init__(self, name: ObjectName, known: TokenReading, policy_index: int, asked_at: float, joinable: bool):
        self.name = name
        self.known = known
        self.policy_index = policy_index
        self.asked_at = asked_at
        self.joinable = joinable
        self.shared: SharedAnswer | None = None
        # has_ended: the request to the app is over; is_over: nobody joins any more
        self.has_ended = self.is_over = False
        self._answered = Event()

    def share(self, answer: SharedAnswer | None) -> None:
        """Announce the answer; None where nobody can read along with it. Only the first call counts."""
        if not self._answered.ready():
            self.shared = answer
            if answer is not None:
                answer.hold()
            self._answered.send()

    def wait(self, seconds: float = JOIN_SECONDS) -> SharedAnswer | None:
        """Wait for an answer to read along with; None where there is none in time."""
        if not self._answered.ready():
            self._answered.wait(seconds)
        return None if self.is_over else self.shared


@dataclass
class _Lingering:
    """A collapsed read that has ended and can still be joined. Times are the clock's."""
    collapsed: CollapsedRead
    waits: Callable[[], bool]
    look_at: float
    until: float


class CollapsedReads:
    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._running: dict[ObjectName, CollapsedRead] = {}
        self._lingering: deque[_Lingering] = deque()
        self._alone: TTLCache = TTLCache(ALONE, ALONE_SECONDS, clock)
        self.running = 0

    def get(self, name: ObjectName) -> CollapsedRead | None:
        return self._running.get(name)

    def begin(self, name: ObjectName, known: TokenReading, policy_index: int, asked_at: float) -> CollapsedRead:
        """Begin a collapsed read that later readers may join, in the place of an older one."""
        collapsed = CollapsedRead(name, known, policy_index, asked_at, joinable=self._alone.get(name) != known)
        self._running[name] = collapsed
        self.running += 1
        return collapsed

    def part(self, name: ObjectName) -> None:
        """Keep later readers from joining: the object is being written here."""
        self._running.pop(name, None)

    def end(self, collapsed: CollapsedRead, waits: Callable[[], bool] | None = None) -> None:
        """End a collapsed read: the request to the app is over.

        :param waits: tells whether the capture, which can still be read, waits to be admitted
        """
        if collapsed.has_ended:
            return
        collapsed.has_ended = True
        self.running -= 1
        if collapsed.shared is None:
            self._alone[collapsed.name] = collapsed.known
        else:
            self._alone.pop(collapsed.name, None)
        collapsed.share(None)
        if waits is None or len(self._lingering) >= LINGERING:
            self._remove(collapsed)
            return
        now = self._clock()
        token = collapsed.known.token
        seconds = LINGER_SECONDS if token is not None and token.timestamp else BRIEF_SECONDS
        self._lingering.append(_Lingering(collapsed, waits, now + LOOK_SECONDS, now + seconds))
        if len(self._lingering) == 1:
            spawn_n(self._sweep)

    def _sweep(self):
        while self._lingering:
            now = self._clock()
            if (wait := self._lingering[0].look_at - now) > 0:
                sleep(wait)
                continue
            first = self._lingering.popleft()
            if now < first.until and first.waits():
                # once more, behind all others: each is looked at after the same time
                first.look_at = now + LOOK_SECONDS
                self._lingering.append(first)
            else:
                self._remove(first.collapsed)

    def _remove(self, collapsed):
        collapsed.is_over = True
        if self._running.get(collapsed.name) is collapsed:
            del self._running[collapsed.name]
        if collapsed.shared is not None:
            collapsed.shared.release()

    def close(self) -> None:
        """Let go of the collapsed reads that linger."""
        while self._lingering:
            self._remove(self._lingering.popleft().collapsed)
