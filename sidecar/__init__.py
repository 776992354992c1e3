"""The daemon beside the proxy: fetches ahead, admits what was captured, evicts."""
from .main import main

__all__ = ['main']
