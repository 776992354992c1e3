"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .along import Along
from .chain import Chain
from .learner import Learner, Prediction, Read
from .schedule import Due, Schedule

__all__ = ['Along', 'Chain', 'Due', 'Learner', 'Prediction', 'Read', 'Schedule']
