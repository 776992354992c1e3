"""All numbers of this node at one moment: counters, gauges, and whether all is well.

The numbers are written nowhere. The status app and the operator's command read them. Calls block for as long as
the disk does. No name of an account, a container or an object is among the numbers.
"""
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ...cache import Store, Unavailable, read_report
from ...metrics import counters_folder
from ...metrics.totals import read_all
from ...queues import QueueError, open_queue
from ..settings import SidecarSettings
from ..syncer.figures import (
    COUNTS,
    FAILING,
    NOT_SYNCED,
    STATES,
    LedgerError,
    LedgerReading,
    find_ledgers,
    read_ledger,
    silence,
    states,
)
from .report import mover_report

# a part writes its report every few seconds
REPORT_SECONDS = 30
# other processes may hold the queue so long before it counts as one that cannot be read
QUEUE_SECONDS = 2.0
# keys of the prefetcher's report, and their names in the table of metrics
REPORTED = {'entries': 'entries', 'bytes': 'cache_bytes', 'cache_size': 'cache_size', 'spool_size': 'spool_size',
            'stuck_entries': 'stuck_entries', 'rebuilding': 'rebuilding', 'backing_off': 'backing_off'}

MOVER_REPORTED = {'under_way': 'moves_under_way', 'rows': 'swift_queue_rows', 'rows_age': 'swift_queue_age'}


@dataclass
class Figures:
    """
    :param counters: by slot, as in `metrics.table`
    :param gauges: by slot; an unknown one is left out
    :param problems: each trouble in words; empty where all is well
    :param notes: what else there is to know
    """
    at: float
    counters: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        return not self.problems

    def as_json(self) -> dict:
        return {'healthy': self.is_healthy, 'problems': self.problems, 'notes': self.notes, 'at': self.at,
                'gauges': self.gauges, 'counters': self.counters}


def queue_path(settings: SidecarSettings) -> Path:
    return open_queue(settings.sidecar.queue).path


def gather(settings: SidecarSettings, clock: Callable[[], float] = time.time) -> Figures:
    """Gather the figures. A source that fails is told as a problem, and keeps no other from being told."""
    figures = Figures(clock())
    if settings.prefetcher.enabled:
        with _told(figures, 'cache folder'):
            _look_at_cache(figures, Store.open(settings.sidecar.cache_dir))
    if settings.has_cache:
        with _told(figures, 'queue'):
            _look_at_queue(figures, settings)
        with _told(figures, 'counters'):
            figures.counters.update(read_all(counters_folder(queue_path(settings))))
    if settings.syncer.enabled:
        with _told(figures, 'syncer'):
            _look_at_syncer(figures, settings.syncer)
    figures.gauges['healthy'] = int(figures.is_healthy)
    return figures


@contextmanager
def _told(figures, what) -> Iterator[None]:
    try:
        yield
    except (Unavailable, QueueError, LedgerError, OSError) as error:
        figures.problems.append(f'{what}: {error}')


def _look_at_cache(figures, store):
    report = store.report()
    _look_at_report(figures, 'prefetcher', report, REPORTED)
    if failing := report.get('failing_folders'):
        figures.problems.append(f'{failing} of the folders of entries cannot be read')
    figures.gauges['free_bytes'] = store.free_bytes(0)
    figures.gauges['spool_bytes'] = store.spool_bytes()


def _look_at_report(figures, part, report, names):
    for key, name in names.items():
        if isinstance(report.get(key), int | float):
            figures.gauges[name] = report[key] + 0
    at = report.get('at')
    if not isinstance(at, int | float):
        figures.problems.append(f'the {part} has not reported yet')
        return
    age = figures.gauges[f'report_age.{part}'] = max(figures.at - at, 0.0)
    if age > REPORT_SECONDS:
        figures.problems.append(f'the {part} last reported {age:.0f} s ago')


def _look_at_queue(figures, settings):
    if not queue_path(settings).parent.is_dir():
        raise QueueError(f'{queue_path(settings).parent} is not there')
    if settings.mover.enabled:
        _look_at_report(figures, 'mover', read_report(mover_report(queue_path(settings))), MOVER_REPORTED)
    with closing(open_queue(settings.sidecar.queue, wait=QUEUE_SECONDS)) as queue:
        depth, ages = queue.depth(), queue.oldest()
    figures.counters['queue_dropped'] = depth.pop('dropped')
    figures.gauges['queue_dead'] = depth.pop('dead')
    for kind, count in depth.items():
        figures.gauges[f'queue_depth.{kind.lower()}'] = count
    for kind, age in ages.items():
        figures.gauges[f'queue_age.{kind.lower()}'] = age


def _look_at_syncer(figures, syncer):
    readings: list[LedgerReading] = []
    for path in find_ledgers(syncer.devices):
        with _told(figures, 'syncer'):
            readings.append(read_ledger(path))
    containers = [one for reading in readings for one in reading.figures]
    figures.gauges['sync_lag_seconds'] = max((one.lag_at(figures.at) for one in containers), default=0.0)
    figures.gauges['sync_rows_behind'] = sum(one.behind for one in containers)
    figures.gauges['sync_failed_rows'] = sum(one.failed_rows for one in containers)
    for name in COUNTS:
        figures.counters[f'sync_{name}'] = sum(reading.counted[name] for reading in readings)
    _tell_states(figures, states(containers))
    if reported := max((reading.at for reading in readings), default=0.0):
        figures.gauges['report_age.syncer'] = max(figures.at - reported, 0.0)
        if seconds := silence(reported, syncer.interval, figures.at):
            figures.problems.append(f'the syncer has done nothing for {seconds:.0f} s')


def _tell_states(figures, counts):
    for state in STATES:
        figures.gauges[f'sync_containers.{state}'] = counts[state]
    for told, state in ((figures.problems, FAILING), (figures.notes, NOT_SYNCED)):
        if number := counts[state]:
            containers = 'container is' if number == 1 else 'containers are'
            told.append(f'{number} {containers} {state.replace("-", " ")}: see swiftahead sync status')
