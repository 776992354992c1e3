"""The parts of the sidecar, and the interface that each of them has."""
from collections.abc import Callable
from typing import Any, Protocol

from .mover import MoverPart
from .prefetcher.part import PrefetcherPart
from .settings import SidecarSettings
from .status.part import StatusPart


class Part(Protocol):
    """One section of the conf, one process. Made after the fork, in that process."""

    def __init__(self, settings: SidecarSettings, logger): ...

    def run(self, is_over: Callable[[], bool]) -> None:
        """Work until it is over, or until the process has to begin anew. Finish the work under way then."""
        ...

    def once(self, is_over: Callable[[], bool]) -> None:
        """Make one whole pass, or what there is time for until it is over. Finish the work under way then.

        :raises QueueError, Unavailable, OSError: where queue or cache folder cannot be read
        """
        ...

    def report(self) -> dict:
        """Give the part's state at this moment for its report; empty where it has none."""
        ...


def _syncer(settings: SidecarSettings, logger) -> Part:
    """Make the syncer. Its HTTP client is large, and loaded where the syncer is on alone."""
    from .syncer.part import SyncerPart
    return SyncerPart(settings, logger)


# by the names of their sections; to add a part, write its sub-package, and add a line here. The order is that of a
# pass: the mover has entries purged, and the prefetcher purges them in the same pass
PARTS: dict[str, Callable[[SidecarSettings, Any], Part]] = {
    'mover': MoverPart, 'prefetcher': PrefetcherPart, 'syncer': _syncer, 'status': StatusPart}
