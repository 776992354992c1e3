"""The syncer's books: what it counts and tells, and the ledgers of its devices.

Counts go to statsd under the names of upstream's daemon, so that dashboards go on working. A trouble is told once,
until it is another one, or over.
"""
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import ctime
from typing import TypeVar

from swift.common.utils import decode_timestamps

from .ledger import FILE, FOLDER, Ledger, LedgerError, SyncFigures, SyncProgress
from .row import Sent
from .source import NotSynced, SyncedContainer, path_of
from .turn import Tally

REPORT_SECONDS = 3600.0
# outcome of a row -> upstream's name for it; posts are not upstream's
STATSD = {Sent.PUT: 'puts', Sent.DELETE: 'deletes', Sent.POST: 'posts'}
Given = TypeVar('Given')


class Books:
    """
    :param devices: folder of the devices
    :param logger: one of Swift's, with its statsd client
    :param is_dry: whether there are no ledgers, and none is made
    """

    def __init__(self, devices: str, logger, is_dry: bool = False):
        self._devices = Path(devices).resolve()
        self._logger = logger
        self._is_dry = is_dry
        self._ledgers: dict[Path, Ledger] = {}
        # the containers of each device that this pass has met
        self._met: dict[Path, set[str]] = {}
        self._said: dict[str, str] = {}
        self._stats: Counter[str] = Counter()
        self._since = time.time()
        self.totals: Counter[str] = Counter()

    # counts

    def add(self, name: str) -> None:
        self._stats[name] += 1
        self.totals[name] += 1
        self._logger.increment(name)

    def count_row(self, what: Sent | None, begin: float) -> None:
        """Count a row. :param what: its outcome; None: it failed :param begin: time at which it was begun"""
        if self._is_dry:
            return
        name = 'failures' if what is None else STATSD.get(what)
        if name:
            self.add(name)
            if what in (Sent.PUT, Sent.DELETE):
                self._logger.timing_since(f'{name}.timing', begin)

    def tell_stats(self) -> None:
        """Log the sums in upstream's words."""
        stats = self._stats
        self._logger.info('Since %s: %s synced [%s deletes, %s puts, %s posts], %s skipped, %s failed',
                          ctime(self._since), stats['syncs'], stats['deletes'], stats['puts'], stats['posts'],
                          stats['skips'], stats['failures'])
        stats.clear()
        self._since = time.time()

    def tell_stats_if_due(self) -> None:
        """Do as `tell_stats`, once an hour."""
        if time.time() - self._since >= REPORT_SECONDS:
            self.tell_stats()

    def say(self, of: str, text: str) -> None:
        """Tell a trouble. :param text: '' where it is over"""
        if text and text != self._said.get(of):
            self._logger.error('%s', text)
        self._said.pop(of, None)
        if text:
            self._said[of] = text

    # containers

    def begin_pass(self) -> None:
        known = self._devices.glob(f'*/{FOLDER}/{FILE}')
        self._met = {path.parent.parent: set() for path in known}

    def all_met(self) -> None:
        """Forget the containers that this pass has not met, now that it has seen all."""
        for device, paths in self._met.items():
            self._of_ledger(device, lambda ledger, paths=paths: ledger.keep_only(paths, time.time()))

    def meet(self, device: Path, path: str) -> None:
        self._met.setdefault(device, set()).add(path)

    def not_synced(self, database: str, device: Path, error: NotSynced) -> None:
        """Tell of a container that is not synced. :param database: path of its database"""
        self.add('failures' if error.is_failure else 'skips')
        called = database
        if error.named:
            account, name, sync_to = error.named
            called = path_of(account, name)
            figures = SyncFigures(time.time(), account, name, sync_to, False, error.why, error.remedy,
                              is_failure=error.is_failure)
            self.meet(device, called)
            self._of_ledger(device, lambda ledger: ledger.tell(called, figures))
        self.say(database, f'{called} is not synced: {error.why}' + (f'; {error.remedy}' if error.remedy else ''))

    def progress(self, container: SyncedContainer) -> SyncProgress | None:
        """Give the progress of a container; None where the ledger of its device cannot be used."""
        if self._is_dry:
            return SyncProgress(container.point2)
        return self._of_ledger(container.device, lambda ledger: ledger.progress(
            container.path, container.db_id, container.sync_to, container.point1, container.point2))

    def keep(self, container: SyncedContainer, progress: SyncProgress) -> None:
        self._of_ledger(container.device, lambda ledger: ledger.write(
            container.path, container.db_id, container.sync_to, progress))

    def enter(self, container: SyncedContainer, progress: SyncProgress, tally: Tally, begin: float) -> None:
        """Enter a turn. :param begin: time at which it was begun"""
        if not self._is_dry:
            _bring_up_to_date(progress.figures, container, progress, tally)
            self.keep(container, progress)
        self.say(container.broker.db_file,
                 f'{container.path}: {tally.why}; {tally.remedy}' if tally.failed else '')
        self._logger.info(
            'Container sync report: %s, time window start: %s, time window end: %s, puts: %s, posts: %s, '
            'deletes: %s, bytes: %s, sync_point1: %s, sync_point2: %s, total_rows: %s',
            f'{container.account}/{container.name}', begin, time.time(), tally.count(Sent.PUT),
            tally.count(Sent.POST), tally.count(Sent.DELETE), tally.bytes, container.point1, container.point2,
            container.max_row())

    def close(self) -> None:
        for ledger in self._ledgers.values():
            ledger.close()
        self._ledgers.clear()

    def _of_ledger(self, device: Path, call: Callable[[Ledger], Given]) -> Given | None:
        """Call with the ledger of a device; None where it cannot be used, which is told."""
        if self._is_dry:
            return None
        try:
            if device not in self._ledgers:
                self._ledgers[device] = Ledger(device)
            given = call(self._ledgers[device])
        except LedgerError as error:
            self.say(str(device), str(error))
            if ledger := self._ledgers.pop(device, None):
                ledger.close()
            return None
        self.say(str(device), '')
        return given


def oldest(container: SyncedContainer, progress: SyncProgress) -> float | None:
    """Give the time of the oldest row that this node has not sent; None where there is none."""
    rows = container.rows_after(container.point1, 1)
    if progress.failed:
        rows += container.rows_after(min(progress.failed) - 1, 1)
    return min((float(decode_timestamps(row['created_at'])[2]) for row in rows), default=None)


def _bring_up_to_date(figures: SyncFigures, container: SyncedContainer, progress: SyncProgress, tally: Tally):
    figures.at = time.time()
    figures.account, figures.container, figures.sync_to = container.account, container.name, container.sync_to
    figures.is_synced, figures.is_failure = True, False
    figures.point1, figures.point2 = container.point1, progress.point2
    figures.rows = container.max_row()
    figures.behind = -((container.point1 - figures.rows) // container.replicas)
    figures.unseen = max(container.point1 - progress.seen, 0)
    figures.failed_rows = len(progress.failed)
    figures.lag = max(figures.at - (oldest(container, progress) or figures.at), 0.0)
    if tally.rows:
        figures.rate = tally.rows / max(tally.seconds, 0.001)
    figures.puts += tally.count(Sent.PUT)
    figures.posts += tally.count(Sent.POST)
    figures.deletes += tally.count(Sent.DELETE)
    figures.bytes += tally.bytes
    figures.failures += tally.failed
    failure = next(iter(progress.failed.values()), None)
    figures.why = tally.why or (failure.why if failure else '')
    figures.remedy = tally.remedy or (failure.remedy if failure else '')
