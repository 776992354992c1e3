"""Option tables, casts, and the names that entries have on disk."""
from .options import FILTER, MOVER, PREFETCHER, SIDECAR, STATUS, SYNCER, FilterSettings
from .reading import ConfError, Option, Table

__all__ = ['FILTER', 'MOVER', 'PREFETCHER', 'SIDECAR', 'STATUS', 'SYNCER', 'ConfError', 'FilterSettings', 'Option',
           'Table']
