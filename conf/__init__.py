"""Option tables, casts, and the names that entries have on disk."""
from .options import ConfError, Option, Table
from .tables import FILTER, MOVER, PREFETCHER, SIDECAR, STATUS, FilterSettings

__all__ = ['FILTER', 'MOVER', 'PREFETCHER', 'SIDECAR', 'STATUS', 'ConfError', 'FilterSettings', 'Option', 'Table']
