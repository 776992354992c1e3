"""The records that filter and sidecar exchange, and the queue in which they wait."""
from .file import QueueError
from .records import Access, Admit, Forget, Misplaced, Record, Warm, decode, encode
from .sqlite import Leased, Letter, SqliteQueue
from .wake import WakeListener, Waker

__all__ = ['Access', 'Admit', 'Forget', 'Leased', 'Letter', 'Misplaced', 'QueueError', 'Record', 'SqliteQueue',
           'WakeListener', 'Waker', 'Warm', 'decode', 'encode']
