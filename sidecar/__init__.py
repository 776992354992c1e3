"""The daemon beside the proxy: it fetches ahead, admits captures and fetches, and evicts entries."""
from .main import main

__all__ = ['main']
