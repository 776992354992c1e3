"""A real Swift cluster on loopback, in one folder."""
from .cluster import Lab
from .spec import LabError

__all__ = ['Lab', 'LabError']
