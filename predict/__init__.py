"""Predict the next reads and the times to fetch them. Pure: the clock is passed in, there is no I/O."""
from .accounts import DamagedSnapshot
from .learners import LEARNERS, Learner
from .manifest_order import ManifestOrder
from .prediction import Due, ObjectKey, Prediction, Read, Schedule
from .sequence import SequenceLearner
from .usefulness import Usefulness, UsefulnessInBytes

__all__ = ['LEARNERS', 'ManifestOrder', 'DamagedSnapshot', 'Due', 'Learner', 'ObjectKey', 'Prediction', 'Read',
           'Schedule', 'SequenceLearner', 'Usefulness', 'UsefulnessInBytes']
