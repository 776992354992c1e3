"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .ahead import Ahead
from .along import Along
from .learner import Learner, ObjectKey, Prediction, Read
from .schedule import Due, Schedule
from .snapshot import Damaged
from .worth import Worth

__all__ = ['Ahead', 'Along', 'Damaged', 'Due', 'Learner', 'ObjectKey', 'Prediction', 'Read', 'Schedule', 'Worth']
