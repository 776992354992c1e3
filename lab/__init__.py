"""A real Swift cluster on loopback, in one folder."""
from .cluster import Lab
from .errors import LabError

__all__ = ['Lab', 'LabError']
