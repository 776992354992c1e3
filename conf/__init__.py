"""Option tables, casts, and the names that entries have on disk."""
from .options import ConfError, Option, Settings, Table
from .tables import FILTER, PREFETCHER, SIDECAR

__all__ = ['FILTER', 'PREFETCHER', 'SIDECAR', 'ConfError', 'Option', 'Settings', 'Table']
