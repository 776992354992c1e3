"""The disk cache: entry files, the folder they lie in, and their accounting."""
from .entry import CacheError, Damaged, EntryMeta, InUse, NoRoom, Stamp, Unavailable
from .reader import Entry
from .store import Store, read_report
from .writer import EntryWriter

__all__ = ['CacheError', 'Damaged', 'Entry', 'EntryMeta', 'EntryWriter', 'NoRoom', 'Stamp', 'Store',
           'InUse', 'Unavailable', 'read_report']
