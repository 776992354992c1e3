"""The records that filter and sidecar exchange, the queue in which they wait, and the wake-up of its consumers."""
from pathlib import Path
from pkgutil import resolve_name

from ..conf.casts import BACKENDS, queue_url
from .queue import Leased, Queue, QueueError, StoredRecord
from .records import Access, Admit, Forget, Misplaced, Record, Warm, decode, encode
from .wake import WakeListener, Waker

__all__ = ['Access', 'Admit', 'Forget', 'Leased', 'Misplaced', 'Queue', 'QueueError', 'Record', 'StoredRecord',
           'WakeListener', 'Waker', 'Warm', 'decode', 'encode', 'open_queue']

# now, not at the first call: a process that outlives an upgrade of the package must not load the new one's
_CLASSES = {scheme: resolve_name(f'{__name__}.{place}') for scheme, place in BACKENDS.items()}


def open_queue(url: str, **options) -> Queue:
    """Make the queue that a URL names; nothing is opened before its first call.

    :param options: of the back end, such as `logger` and `clock`
    :raises ValueError: for a URL that names none, with the rule
    """
    scheme, _, path = queue_url(url).partition(':')
    return _CLASSES[scheme](Path(path), **options)
