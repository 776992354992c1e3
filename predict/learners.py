"""The learners that a conf can name, and the interface that each of them has."""
from collections.abc import Callable, Iterator
from typing import Protocol

from .prediction import Predictor
from .sequence import SequenceLearner


class Learner(Predictor, Protocol):
    """A learner, made of threshold, window, look_ahead and max_contexts of the conf, and of neighbours' names or
    None."""

    def snapshot(self) -> Iterator[bytes]:
        """Yield the learned state in parts, each as of the moment it is asked for."""
        ...

    def restore(self, snapshot: bytes) -> int:
        """Load a snapshot; return the number of contexts. :raises DamagedSnapshot:"""
        ...


# name in the conf -> learner; to add one, write its module and add a line here
LEARNERS: dict[str, Callable[..., Learner]] = {'sequence': SequenceLearner}
