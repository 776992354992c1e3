"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .learner import Learner, ObjectKey, Prediction, Read
from .manifest_order import ManifestOrder
from .schedule import Due, Schedule
from .sequence import SequenceLearner
from .snapshot import DamagedSnapshot
from .usefulness import Usefulness, UsefulnessInBytes

__all__ = ['ManifestOrder', 'DamagedSnapshot', 'Due', 'Learner', 'ObjectKey', 'Prediction', 'Read',
           'Schedule', 'SequenceLearner', 'Usefulness', 'UsefulnessInBytes']
