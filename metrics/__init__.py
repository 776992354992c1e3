"""Counts of filter and sidecar: the table of all metrics, the counters of each process, and their totals."""
from .counters import Counters, counters_folder

__all__ = ['Counters', 'counters_folder']
