"""The pace of fetches: no faster than the backend answers with ease. Pure: the clock is passed in.

The limit on fetches at the same time grows by one after as many good answers as the limit is, and is halved when
the backend gets slow: additive increase, multiplicative decrease, as TCP does it. The backend is slow where the
time to first byte, averaged over the last few, is above `slow_factor` times its own long-term average. An error
counts as slow. Fetches that were under way when the limit was halved are not judged again. Below one, fetching
stops. Then one probe at a time is sent, after a pause that doubles from one second to a minute. Fetching goes on
with one fetch when a probe is answered in good time.
"""
from collections.abc import Callable

# weights of a new answer: in the average of the last few, in the long-term one, and there if it was slow;
# a backend that stays slow counts as usual after some hundreds of answers
RECENT_WEIGHT = 0.3
USUAL_WEIGHT = 0.02
SLOW_WEIGHT = 0.002
# answers that only make the first average, and are not judged
FIRST_ANSWERS = 8
# seconds below which no answer is slow, whatever the average
SLOW_LEAST = 0.02
PAUSE_LEAST, PAUSE_MOST = 1.0, 60.0
# seconds' worth of bytes that may come at once
BURST_SECONDS = 1.0


class Congestion:
    """Limits fetches at the same time, and their bytes per second.

    The caller calls for each fetch: `began`; `answered` when its first byte came; `took` for its bytes; `ended`,
    or `failed` where it ended by the backend's fault.

    :param most: upper bound on the fetches at the same time
    :param bytes_per_second: of all fetches together; 0: no limit
    :param slow_factor: an answer is slow above this multiple of the usual time to first byte
    :param on_stop: is called when fetching stops
    """

    def __init__(self, most: int, bytes_per_second: float = 0, slow_factor: float = 3.0,
                 on_stop: Callable[[], object] = lambda: None):
        self._most = most
        self._rate = bytes_per_second
        self._slow_factor = slow_factor
        self._on_stop = on_stop
        self._limit = float(most)
        self.running = 0
        self._not_judged = 0
        self._answers = 0
        self._usual = self._recent = 0.0
        self._pause = PAUSE_LEAST
        self._paused_at = 0.0
        # whether the fetch under way is a probe
        self._probing = False
        self._credit = bytes_per_second * BURST_SECONDS
        self._credit_at: float | None = None

    @property
    def is_stopped(self) -> bool:
        return self._limit < 1

    def places(self, now: float) -> int:
        """Count the fetches that may begin now."""
        if self._credit_of(now) < 0:
            return 0
        if self.is_stopped:
            return int(self.running == 0 and self._paused_for(now) <= 0)
        return max(int(self._limit) - self.running, 0)

    def wait(self, now: float) -> float:
        """Give the seconds until there may be a place, fetches under way aside; 0 where there may be one now."""
        paused = self._paused_for(now) if self.is_stopped else 0.0
        owed = -self._credit_of(now) / self._rate if self._rate else 0.0
        return max(paused, owed, 0.0)

    def _paused_for(self, now):
        # a clock that was set back does not make the pause any longer
        return min(self._paused_at + self._pause - now, self._pause)

    def began(self) -> None:
        self.running += 1
        self._probing = self.is_stopped

    def answered(self, seconds: float, now: float) -> None:
        """Note that a fetch's first byte came after so many seconds."""
        slow = self._is_slower(seconds)
        if self.is_stopped and not self._probing:
            # a fetch from before the stop tells nothing new
            return
        if slow:
            self._slow(now)
        else:
            self._good()

    def failed(self, now: float) -> None:
        """Note that a fetch ended by the backend's fault."""
        if self._probing or not self.is_stopped:
            self._slow(now)
        self.ended()

    def ended(self) -> None:
        """Note that a fetch ended, well or because the object is not to be had."""
        self.running -= 1
        self._not_judged = max(self._not_judged - 1, 0)
        if self._probing:
            # the probe told nothing of the backend: the next may begin at once
            self._probing = False

    def _is_slower(self, seconds):
        self._answers += 1
        if self._answers <= FIRST_ANSWERS:
            self._usual += (seconds - self._usual) / self._answers
            self._recent = self._usual
            return False
        # a probe counts alone: it is to tell whether the slow answers before it are over
        self._recent = seconds if self._probing else self._recent + RECENT_WEIGHT * (seconds - self._recent)
        slow = self._recent > max(self._slow_factor * self._usual, SLOW_LEAST)
        self._usual += (SLOW_WEIGHT if slow else USUAL_WEIGHT) * (seconds - self._usual)
        return slow

    def _good(self):
        if self.is_stopped:
            self._limit, self._pause, self._probing = 1.0, PAUSE_LEAST, False
        elif not self._not_judged:
            self._limit = min(self._limit + 1 / self._limit, self._most)

    def _slow(self, now):
        if self._probing:
            self._probing = False
            self._pause = min(self._pause * 2, PAUSE_MOST)
            self._paused_at = now
        elif not self._not_judged:
            self._limit /= 2
            self._not_judged = self.running
            if self.is_stopped:
                self._limit, self._paused_at = 0.0, now
                self._on_stop()

    # bytes per second

    def took(self, size: int, now: float) -> float:
        """Note that `size` bytes came; give the seconds to wait before more are read, so that the limit holds."""
        if not self._rate:
            return 0.0
        self._credit = self._credit_of(now) - size
        self._credit_at = now
        return max(-self._credit / self._rate, 0.0)

    def _credit_of(self, now):
        """Give the bytes that may come now; below 0 where too many came."""
        passed = max(now - self._credit_at, 0.0) if self._credit_at is not None else 0.0
        return min(self._credit + passed * self._rate, self._rate * BURST_SECONDS)
