"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .learner import PREFETCH, SEGMENT, WHOLE, Learner, ObjectKey, Prediction, Read
from .manifest_order import Along
from .schedule import Due, Schedule
from .sequence import SequenceLearner
from .snapshot import Damaged
from .usefulness import Worth, WorthInBytes

__all__ = ['Along', 'Damaged', 'Due', 'Learner', 'ObjectKey', 'PREFETCH', 'Prediction', 'Read', 'SEGMENT',
           'Schedule', 'SequenceLearner', 'WHOLE', 'Worth', 'WorthInBytes']
