"""Option tables, casts, and the names that entries have on disk."""
from .option_table import ConfError, Option, Table
from .options import FILTER, MOVER, PREFETCHER, SIDECAR, STATUS, FilterSettings

__all__ = ['FILTER', 'MOVER', 'PREFETCHER', 'SIDECAR', 'STATUS', 'ConfError', 'FilterSettings', 'Option', 'Table']
