"""The parts of the sidecar, each a process of its own. To add one: write its sub-package, and add a line here."""
from collections.abc import Callable
from typing import Protocol

from .mover import MoverPart
from .prefetcher.part import PrefetcherPart
from .settings import SidecarSettings
from .status.app import StatusPart


class Part(Protocol):
    """One section of the conf, one process. Made after the fork, in that process."""

    def __init__(self, settings: SidecarSettings, logger): ...

    def run(self, is_over: Callable[[], bool]) -> None:
        """Work until it is over, or until the process has to begin anew; finish what is under way then."""
        ...

    def once(self) -> None:
        """Make one whole pass.

        :raises QueueError, Unavailable, OSError: where queue or cache folder cannot be read
        """
        ...

    def report(self) -> dict:
        """What the part tells of itself at this moment; empty where that is nothing."""
        ...


# by the names of their sections, in the order of a pass: what was moved is dropped from the cache in the same one
PARTS: dict[str, type[Part]] = {'mover': MoverPart, 'prefetcher': PrefetcherPart, 'status': StatusPart}
