"""What the pieces of the prefetcher work with."""
from collections.abc import Callable
from dataclasses import dataclass, field

from swift.common.concurrency import tpool

from ...eviction.evictor import uncounted
from ...eviction.manager import CacheManager
from ...predict import Learner, Schedule
from ...queues import Queue
from .backend_client import BackendClient
from .congestion import Congestion


@dataclass(frozen=True)
class Context:
    """
    :param count: counts a metric: name, by, reason
    :param execute: runs a blocking call
    :param look_ahead: segments that are fetched ahead of who reads a manifest, at most
    """
    queue: Queue
    manager: CacheManager
    fetcher: BackendClient
    learner: Learner | None = None
    schedule: Schedule = field(default_factory=Schedule)
    pace: Congestion = field(default_factory=lambda: Congestion(16))
    count: Callable = uncounted
    execute: Callable = tpool.execute
    look_ahead: int = 8
