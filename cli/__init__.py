"""The operator's command ``swiftahead``."""
from .main import main

__all__ = ['main']
