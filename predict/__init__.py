"""Predict the next reads and the times to fetch them. Pure: the clock is passed in, there is no I/O."""
from collections.abc import Callable

from .accounts import DamagedSnapshot
from .manifest_order import ManifestOrder
from .prediction import Due, Learner, ObjectKey, Prediction, Read, Schedule
from .sequence import SequenceLearner
from .usefulness import Usefulness, UsefulnessInBytes

# name in the conf -> learner; to add one, write its module and add a line here
LEARNERS: dict[str, Callable[..., Learner]] = {'sequence': SequenceLearner}

__all__ = ['LEARNERS', 'ManifestOrder', 'DamagedSnapshot', 'Due', 'Learner', 'ObjectKey', 'Prediction', 'Read',
           'Schedule', 'SequenceLearner', 'Usefulness', 'UsefulnessInBytes']
