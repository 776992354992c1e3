"""The disk cache: entry files, the folder they lie in, their accounting, and freshness tokens."""
from .entry import EntryMeta, Stamp
from .errors import CacheError, Damaged, NoRoom, Unavailable
from .lru import Index
from .reader import Entry
from .store import Store
from .tokens import Announced, Asked, Token, TokenRing, TokensUnreachable
from .writer import EntryWriter

__all__ = ['Announced', 'Asked', 'CacheError', 'Damaged', 'Entry', 'EntryMeta', 'EntryWriter', 'Index', 'NoRoom',
           'Stamp', 'Store', 'Token', 'TokenRing', 'TokensUnreachable', 'Unavailable']
