"""The proxy filter: answers object GETs from the disk cache, and records what is read."""
from .filter import filter_factory

__all__ = ['filter_factory']
