"""The mover: bring misplaced objects to the policy of their container, as upstream's container-reconciler does,
from the local queue and from Swift's own."""
from .move import Mover, Outcome, Task
from .part import MoverPart

__all__ = ['Mover', 'MoverPart', 'Outcome', 'Task']
