"""The records that filter and sidecar exchange, the queue in which they wait, and the wake-up of its consumers."""
from .queue import Leased, Queue, QueueError, StoredRecord, open_queue
from .records import Access, Admit, Forget, Misplaced, Record, Warm, decode, encode
from .wake import WakeListener, Waker

__all__ = ['Access', 'Admit', 'Forget', 'Leased', 'Misplaced', 'Queue', 'QueueError', 'Record', 'StoredRecord',
           'WakeListener', 'Waker', 'Warm', 'decode', 'encode', 'open_queue']
