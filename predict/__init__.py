"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .ahead import Ahead
from .along import Along
from .learner import PREFETCH, SEGMENT, WHOLE, Learner, ObjectKey, Prediction, Read
from .schedule import Due, Schedule
from .snapshot import Damaged
from .worth import Worth, WorthInBytes

__all__ = ['Ahead', 'Along', 'Damaged', 'Due', 'Learner', 'ObjectKey', 'PREFETCH', 'Prediction', 'Read', 'SEGMENT',
           'Schedule', 'WHOLE', 'Worth', 'WorthInBytes']
