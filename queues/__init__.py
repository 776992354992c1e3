"""The records that filter and sidecar exchange, the queue in which they wait, and the wake-up of its consumers."""
from pathlib import Path
from pkgutil import resolve_name

from ..conf.casts import BACKENDS, queue_url
from .protocol import Leased, Queue, QueueError, StoredRecord
from .records import Access, Admit, Forget, Misplaced, Record, Warm, decode, encode
from .wake import WakeListener, Waker

__all__ = ['Access', 'Admit', 'Forget', 'Leased', 'Misplaced', 'Queue', 'QueueError', 'Record', 'StoredRecord',
           'WakeListener', 'Waker', 'Warm', 'decode', 'encode', 'open_queue']

# loaded now: a process that outlives an upgrade of the package must not load the new version's
_CLASSES = {scheme: resolve_name(f'{__name__}.{place}') for scheme, place in BACKENDS.items()}


def open_queue(url: str, **options) -> Queue:
    """Make the queue that a URL names; its first call opens it.

    :param options: of the back end, such as `logger` and `clock`
    :raises ValueError: for a bad URL, with the rule
    """
    scheme, _, path = queue_url(url).partition(':')
    return _CLASSES[scheme](Path(path), **options)
