"""The mover: misplaced objects are brought to the policy of their container, as upstream's container-reconciler
does it, from the local queue and from Swift's own."""
from .move import Mover
from .task import Outcome, Task
from .worker import MoverPart

__all__ = ['Mover', 'MoverPart', 'Outcome', 'Task']
