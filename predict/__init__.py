"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .learner import Learner, ObjectKey, Prediction, Read
from .manifest_order import Along
from .schedule import Due, Schedule
from .sequence import SequenceLearner
from .snapshot import Damaged
from .usefulness import Worth, WorthInBytes

__all__ = ['Along', 'Damaged', 'Due', 'Learner', 'ObjectKey', 'Prediction', 'Read',
           'Schedule', 'SequenceLearner', 'Worth', 'WorthInBytes']
