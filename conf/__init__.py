"""Option tables, casts, and the names that entries have on disk."""
from .options import FILTER, MOVER, PREFETCHER, SIDECAR, STATUS, FilterSettings
from .reading import ConfError, Option, Table

__all__ = ['FILTER', 'MOVER', 'PREFETCHER', 'SIDECAR', 'STATUS', 'ConfError', 'FilterSettings', 'Option', 'Table']
