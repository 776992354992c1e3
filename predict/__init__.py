"""Prediction: what is read next, and when to fetch it. Pure: the clock is passed in, there is no I/O."""
from .chain import Chain
from .learner import Learner, Prediction, Read
from .schedule import Due, Schedule

__all__ = ['Chain', 'Due', 'Learner', 'Prediction', 'Read', 'Schedule']
