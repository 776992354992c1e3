"""Waiting for wake-ups, where they can be had."""
from pathlib import Path

from swift.common.concurrency import sleep

from ..queues import WakeListener
from ..queues.wake import socket_path


class Poller:
    """What there is where no socket can be made: the queue is looked at each second."""

    def wait(self, seconds: float) -> bool:
        sleep(seconds)
        return False

    def close(self) -> None:
        pass


def listen(queue_path: Path, kind: str, logger) -> WakeListener | Poller:
    """:param kind: of the consumer, as `queues.wake` has them"""
    try:
        return WakeListener(queue_path, kind)
    except OSError as error:
        logger.warning('no wake-ups, the queue is only polled: %s (a socket path has 107 bytes at most): %s',
                       socket_path(queue_path, kind), error)
        return Poller()
