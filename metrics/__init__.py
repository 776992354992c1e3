"""What filter and sidecar count: the table of all metrics, the counters of each process, and their totals."""
from .counters import Counters, Metrics, counters_folder

__all__ = ['Counters', 'Metrics', 'counters_folder']
