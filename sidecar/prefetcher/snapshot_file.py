"""What was learned, on disk: read when the sidecar starts, written from time to time and when it stops.

Who writes: the prefetcher's process alone. It is written under another name and renamed, so that after a crash the
one before is there. One that is damaged is set aside, and learning begins with what was read of it.
"""
import os
import time
from collections.abc import Callable
from pathlib import Path

from swift.common.concurrency import sleep

from ...conf.files import read_own, write_whole
from ...predict import DamagedSnapshot, Learner

FILE = 'learned'
ASIDE = 'learned.damaged'
EVERY_SECONDS = 600.0


class SnapshotFile:
    """
    :param folder: of the cache
    """

    def __init__(self, folder: Path, learner: Learner, logger,
                 clock: Callable[[], float] = time.monotonic):
        self._path = Path(folder) / FILE
        self._learner = learner
        self._logger = logger
        self._clock = clock
        self._written_at = clock()

    def read(self) -> None:
        try:
            contexts = self._learner.restore(read_own(self._path, os.lstat(self._path).st_size))
        except FileNotFoundError:
            return
        except DamagedSnapshot as error:
            self._logger.error('%s set aside as %s: %s', self._path, ASIDE, error)
            self._set_aside()
        except OSError as error:
            self._logger.error('%s cannot be read: %s', self._path, error)
        else:
            self._logger.info('what followed %d objects is known from before', contexts)

    def _set_aside(self):
        try:
            self._path.replace(self._path.with_name(ASIDE))
        except OSError as error:
            self._logger.error('%s cannot be renamed: %s', self._path, error)

    def write_if_due(self) -> None:
        """As `write`, not more often than each ten minutes."""
        if self._clock() - self._written_at >= EVERY_SECONDS:
            self.write()

    def write(self) -> bool:
        """Other green threads run between two parts. Tells whether it was written."""
        self._written_at = self._clock()
        try:
            # one process writes it, and what a crash leaves may be large
            write_whole(self._path, self._parts(), '.tmp', durable=True)
        except OSError as error:
            self._logger.error('%s cannot be written: %s', self._path, error)
            return False
        return True

    def _parts(self):
        for part in self._learner.snapshot():
            yield part
            sleep(0)
