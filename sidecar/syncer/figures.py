"""Figures of the containers that are synced from this node: in which state each is, and how they are read.

The syncer's ledgers hold them. The status app and the operator's command read them there, and need neither the
syncer nor Swift for it.
"""
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...metrics.table import SYNC_STATES

FOLDER, FILE = 'swiftahead_sync', 'ledger'
WAIT_SECONDS = 5.0
# seconds that one large object may take, while nothing is written
MOST_SILENT = 3600.0
# states of a container, the worst first; not-synced: nobody can mend it but its owner
STATES = FAILING, NOT_SYNCED, BEHIND, IN_STEP = SYNC_STATES
# figures that only grow
COUNTS = 'puts', 'posts', 'deletes', 'bytes', 'failures'


class LedgerError(Exception):
    """A ledger that cannot be used now: what, where, and how to mend it."""


@dataclass
class SyncFigures:
    """What an operator asks of one container; this node's share.

    :param why: reason why the container is not synced, or the last error; '' where there is none
    :param behind: about as many new rows this node has still to send: its share of those that nobody may have sent
    :param unseen: rows that wait for the second look
    :param lag: seconds since the oldest row was written that is new or failed
    :param rate: rows in a second, in the last turn that had any
    :param is_failure: whether somebody has to mend what keeps it from being synced
    """
    at: float = 0.0
    account: str = ''
    container: str = ''
    sync_to: str = ''
    is_synced: bool = True
    why: str = ''
    remedy: str = ''
    point1: int = -1
    point2: int = -1
    rows: int = 0
    behind: int = 0
    unseen: int = 0
    lag: float = 0.0
    rate: float = 0.0
    puts: int = 0
    posts: int = 0
    deletes: int = 0
    bytes: int = 0
    failures: int = 0
    failed_rows: int = 0
    is_failure: bool = False

    @property
    def state(self) -> str:
        if not self.is_synced:
            return FAILING if self.is_failure else NOT_SYNCED
        if self.failed_rows or self.why:
            return FAILING
        return BEHIND if self.behind else IN_STEP

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTS}

    def lag_at(self, now: float) -> float:
        """Give the lag by now, if nothing was sent since."""
        return self.lag + max(now - self.at, 0.0) if self.lag else 0.0


@dataclass(frozen=True)
class LedgerReading:
    """A ledger as it was read.

    :param device: folder of the device
    :param looked_at: time of the last pass over all containers
    :param counted: sums over all containers, those that are no longer synced too
    """
    device: Path
    looked_at: float
    figures: list[SyncFigures]
    counted: Counter[str]

    @property
    def at(self) -> float:
        """Give the time of the last sign of life of the syncer."""
        return max(self.looked_at, *(one.at for one in self.figures), 0.0)


def find_ledgers(devices: str | os.PathLike) -> list[Path]:
    """Find the ledgers below the folder of the devices. :raises LedgerError: where it cannot be read"""
    try:
        return [path for device in sorted(os.listdir(devices))
                if _may_be_there(path := Path(devices, device, FOLDER, FILE))]
    except OSError as error:
        raise LedgerError(f'{devices}: {error.strerror}') from None


def _may_be_there(path):
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # that is told by the reader
        pass
    return True


def read_ledger(path: Path) -> LedgerReading:
    """Read a ledger as a bystander, who neither makes it nor keeps the writer waiting.

    :raises LedgerError:
    """
    try:
        with closing(sqlite3.connect(f'{path.as_uri()}?mode=ro', uri=True, timeout=WAIT_SECONDS)) as connection:
            # all of one moment, so that none is counted twice
            connection.execute('BEGIN')
            texts = connection.execute('SELECT figures FROM containers ORDER BY path').fetchall()
            passes = connection.execute('SELECT at FROM passes').fetchone()
            counted = read_gone(connection)
        figures = [figures_of(json.loads(text)) for text, in texts]
    except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
        raise LedgerError(f'{path}: {error}') from None
    for one in figures:
        counted.update(one.counts())
    return LedgerReading(path.parent.parent, passes[0] if passes else 0.0, figures, counted)


def read_figures(devices: str | os.PathLike) -> Iterator[SyncFigures]:
    """Give the figures of all containers on these devices. :raises LedgerError:"""
    for path in find_ledgers(devices):
        yield from read_ledger(path).figures


def read_gone(connection: sqlite3.Connection) -> Counter[str]:
    """Read the counts of containers that are no longer synced."""
    text = connection.execute('SELECT gone FROM passes').fetchone()
    return Counter(json.loads(text[0]) if text else {})


def figures_of(kept: dict) -> SyncFigures:
    """Read figures that another version may have written. :raises ValueError, TypeError: where they are none"""
    found: dict[str, Any] = {}
    for name, default in vars(SyncFigures()).items():
        value = kept.get(name, default)
        # JSON has one kind of number alone
        found[name] = float(value) if isinstance(default, float) else value
        if type(found[name]) is not type(default):
            raise ValueError(f'{name} = {value!a}')
    return SyncFigures(**found)


def states(figures: Iterable[SyncFigures]) -> Counter[str]:
    """Count containers by their states, each once: of several copies on one node the worst."""
    worst: dict[tuple[str, str], str] = {}
    for one in figures:
        name = one.account, one.container
        worst[name] = min(one.state, worst.get(name, IN_STEP), key=STATES.index)
    return Counter(worst.values())


def silence(at: float, interval: float, now: float) -> float:
    """Give the seconds for which the syncer has done nothing, where these are too many; else 0.

    :param at: time of its last sign of life; 0 where there has been none, as on a node that syncs nothing yet
    :param interval: seconds between passes
    """
    return now - at if at and now - at > interval + MOST_SILENT else 0.0


def without_login(sync_to: str) -> str:
    """Give an X-Container-Sync-To without the name and password that a full URL may have."""
    return re.sub('//[^/]*@', '//', sync_to)
