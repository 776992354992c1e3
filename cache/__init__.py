"""The disk cache: entry files, the folder they lie in, their accounting, and freshness tokens."""
from .entry import EntryMeta, Stamp
from .errors import CacheError, Damaged, NoRoom, Unavailable
from .index import Index
from .reader import Entry
from .store import Store, read_report
from .tokens import UNKNOWN, Announced, Asked, Known, Token, TokenRing, TokensUnreachable
from .writer import EntryWriter

__all__ = ['UNKNOWN', 'Announced', 'Asked', 'CacheError', 'Damaged', 'Entry', 'EntryMeta', 'EntryWriter', 'Index',
           'Known', 'NoRoom', 'Stamp', 'Store', 'Token', 'TokenRing', 'TokensUnreachable', 'Unavailable',
           'read_report']
