"""A container's turn: its own share of what is new, and the second look at all that came before.

Two sync points are in the container's database, as upstream has them. Up to the second one, each row was sent.
From there up to the first one, each replica's node sent its share, and each of them looks at all once more. Above
the first one all is new. A crash at any step leaves points that are too low, so that rows are sent again: that
changes nothing in the other cluster.

A row that fails keeps the second point below itself, and is tried again later and later. The ledger keeps which
these are, and how far the second look came beyond them.
"""
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from swift.common.concurrency import Event, GreenPool, Timeout

from .ledger import MOST_FAILURES, Failure, SyncProgress
from .remote import RemoteFailed
from .row import Sender, Sent
from .source import SourceFailed, SyncedContainer

# a failed row is tried again after the pass's interval, then after twice that, and so on up to this
LONGEST_SECONDS = 3600.0
# rows that may fail one after the other before the turn ends: the other cluster does not take any, it seems
FAILURES_IN_A_ROW = 20
# a share of the turn that is kept for the second look, so that neither holds up the other
HALF = 0.5
# for the rows under way, when the process is to stop; between two looks whether it is
STOP_SECONDS, LOOK_SECONDS = 10.0, 1.0


@dataclass
class Tally:
    """What a turn came to.

    :param sent: outcome -> rows
    :param has_more: whether there were rows left when its time was over
    """
    sent: dict[Sent, int] = field(default_factory=dict)
    bytes: int = 0
    failed: int = 0
    why: str = ''
    remedy: str = ''
    has_more: bool = False
    seconds: float = 0.0

    def count(self, what: Sent) -> int:
        return self.sent.get(what, 0)

    @property
    def rows(self) -> int:
        return sum(self.sent.values())


@dataclass(frozen=True)
class TurnTerms:
    """
    :param interval: seconds between passes: as long a failed row waits at first
    :param dry_run: whether nothing is sent, and neither sync points nor ledger change
    """
    concurrency: int
    interval: float
    dry_run: bool = False


class Turn:
    """
    :param keep: is called with the progress after a batch, when the sync points are in the database
    :param met: is called with the outcome of each row, and the time at which it was begun
    """

    def __init__(self, container: SyncedContainer, progress: SyncProgress, sender: Sender, terms: TurnTerms,
                 keep: Callable[[SyncProgress], object], met: Callable[[Sent | None, float], object], logger,
                 clock: Callable[[], float] = time.time):
        self._container = container
        self._progress = progress
        self._sender = sender
        self._terms = terms
        self._keep = keep
        self._met = met
        self._logger = logger
        self._clock = clock
        self._pool = GreenPool(terms.concurrency)
        self._under_way: dict[str, Event] = {}
        self._failing = 0
        self.tally = Tally()

    def run(self, seconds: float, is_over: Callable[[], bool], second_look_to: int | None = None) -> Tally:
        """Send rows until the time is over, or all are sent. Wait for those under way then.

        :param second_look_to: the first sync point of some moment; the second look goes no further, since rows
            above it were left to the nodes of their shares just now. None: the first sync point of this moment
        :raises DatabaseConnectionError, LockTimeout, sqlite3.Error: where the database cannot be read any more
        """
        begin = self._clock()
        self._is_over = is_over
        up_to = self._container.point1 if second_look_to is None else second_look_to
        has_second_look = self._progress.seen < up_to
        try:
            is_new_left = self._send_new(begin + (seconds * HALF if has_second_look else seconds))
            is_old_left = self._try_again(begin + seconds) | self._look_again(up_to, begin + seconds)
            if has_second_look:
                is_new_left = self._send_new(begin + seconds)
            self.tally.has_more = is_new_left or is_old_left
        finally:
            self._wait()
        self.tally.seconds = self._clock() - begin
        return self.tally

    def _may_go_on(self, until):
        return self._clock() < until and not self._is_over() and self._failing < FAILURES_IN_A_ROW

    # what is new

    def _send_new(self, until) -> bool:
        """Send this node's share, and tell whether there are rows left."""
        container, is_left = self._container, False
        while not is_left and (rows := container.rows_after(container.point1)):
            for row in rows:
                if is_left := not self._may_go_on(until):
                    break
                # a row that fails is tried again in the second look, by the node of each replica
                if container.is_ours(row):
                    self._begin(row, None)
                container.point1 = row['ROWID']
            if not self._terms.dry_run:
                container.set_points(container.point1, None)
        return is_left

    # the second look

    def _look_again(self, up_to, until) -> bool:
        """Look at all rows once more, and tell whether there are some left."""
        is_left = False
        progress, under_way = self._progress, _UnderWay(self._progress.seen)
        while progress.seen < up_to and len(progress.failed) < MOST_FAILURES:
            rows = [row for row in self._container.rows_after(under_way.last) if row['ROWID'] <= up_to]
            for row in rows:
                if is_left := not self._may_go_on(until):
                    break
                under_way.begin(row['ROWID'])
                self._begin(row, under_way)
            is_last = not rows or is_left
            if is_last:
                self._wait()
                if not rows:
                    under_way.last = max(under_way.last, up_to)
            progress.seen = under_way.done
            self._save()
            if is_last:
                break
        return is_left

    def _try_again(self, until) -> bool:
        """Try the failed rows again that are due, and tell whether there are some left."""
        is_left = False
        now = self._clock()
        due = sorted(row for row, failure in self._progress.failed.items() if failure.due <= now)
        for number in due:
            if is_left := not self._may_go_on(until):
                break
            rows = self._container.rows_after(number - 1, 1)
            if rows and rows[0]['ROWID'] == number:
                self._begin(rows[0], _UnderWay(number))
            else:
                # the object has a newer row
                del self._progress.failed[number]
        self._wait()
        if due:
            self._save()
        return is_left

    def _save(self):
        if self._terms.dry_run:
            return
        point2 = self._progress.point2
        if point2 != self._container.point2:
            self._container.set_points(None, point2)
            self._container.point2 = point2
        self._keep(self._progress)

    def _wait(self):
        """Wait for the rows under way; where the process is to stop, not for long: such rows come again."""
        while self._pool.running():
            is_over = self._is_over()
            with Timeout(STOP_SECONDS if is_over else LOOK_SECONDS, False):
                self._pool.waitall()
            if is_over:
                for row in list(self._pool.coroutines_running):
                    row.kill()

    # rows

    def _begin(self, row, second_look):
        """Begin a row, once there is a place for it, and no other row of the same object is under way."""
        while event := self._under_way.get(row['name']):
            event.wait()
        self._under_way[row['name']] = Event()
        self._pool.spawn_n(self._one, row, second_look)

    def _one(self, row, second_look):
        begin = self._clock()
        try:
            what, size = self._sender.send(self._container, row)
        except (RemoteFailed, SourceFailed) as error:
            self._failed(row, second_look, error.why, error.remedy)
            self._met(None, begin)
        except (Exception, Timeout) as error:  # noqa: BLE001 - one row must not end the turn of the others
            self._logger.exception('row %s of %s', row['ROWID'], self._container.path)
            self._failed(row, second_look, repr(error), 'see the log')
            self._met(None, begin)
        else:
            self._failing = 0
            self.tally.sent[what] = self.tally.count(what) + 1
            self.tally.bytes += size
            self._progress.failed.pop(row['ROWID'], None)
            self._met(what, begin)
        finally:
            self._under_way.pop(row['name']).send()
        # not where it was broken off
        if second_look is not None:
            second_look.end(row['ROWID'])

    def _failed(self, row, second_look, why, remedy):
        self._failing += 1
        tally = self.tally
        tally.failed += 1
        tally.why, tally.remedy = why, remedy
        if second_look is None:
            return
        before = self._progress.failed.get(row['ROWID'])
        tries = before.tries + 1 if before else 1
        longest = max(self._terms.interval, LONGEST_SECONDS)
        wait = min(self._terms.interval * 2.0 ** min(tries - 1, 30), longest)
        self._progress.failed[row['ROWID']] = Failure(tries, self._clock() + wait, why, remedy)


class _UnderWay:
    """The rows of the second look that were begun and have not ended.

    :param last: the last row that was begun
    """

    def __init__(self, last: int):
        self.last = last
        self._rows: set[int] = set()

    def begin(self, row: int) -> None:
        self._rows.add(row)
        self.last = row

    def end(self, row: int) -> None:
        self._rows.discard(row)

    @property
    def done(self) -> int:
        """Give the row up to which all have ended."""
        return min(self._rows, default=self.last + 1) - 1
