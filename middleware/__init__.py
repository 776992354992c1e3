"""The proxy filter: answers object GETs from the disk cache, and records reads."""
from .filter import filter_factory

__all__ = ['filter_factory']
