"""Option tables, casts, and the names that entries have on disk."""
from .options import ConfError, Option, Settings, Table
from .tables import FILTER, MOVER, PREFETCHER, SIDECAR, STATUS

__all__ = ['FILTER', 'MOVER', 'PREFETCHER', 'SIDECAR', 'STATUS', 'ConfError', 'Option', 'Settings', 'Table']
