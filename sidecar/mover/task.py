"""What is to be moved, and what became of it."""
from dataclasses import dataclass

from swift.common.utils import Timestamp

from ...conf.names import ObjectName
from ...queues import Misplaced


@dataclass(frozen=True)
class Task:
    """An object that may lie in a policy which is not its container's.

    :param policy_index: where it was seen, or deleted
    :param timestamp: of what was seen there
    :param op: 'PUT' or 'DELETE': what was done there
    :param is_local: of the local queue: nobody else puts a record of what comes there later
    """
    account: str
    container: str
    object: str
    policy_index: int
    timestamp: Timestamp
    op: str = 'PUT'
    is_local: bool = False

    @classmethod
    def of(cls, record: Misplaced) -> 'Task':
        """:raises ValueError: for a record that names no object, or no time"""
        if record.op not in ('PUT', 'DELETE'):
            raise ValueError(f'invalid operation type {record.op!r}')
        names = record.account, record.container, record.object
        # without an object's name it would be the container that is read and deleted
        if not all(name and isinstance(name, str) for name in names):
            raise ValueError(f'not the name of an object: {names!r}')
        try:
            return cls(*names, int(record.policy_index), Timestamp(record.timestamp), record.op, is_local=True)
        except TypeError as error:
            raise ValueError(str(error)) from None

    @property
    def parts(self) -> tuple[str, str, str]:
        return self.account, self.container, self.object

    @property
    def name(self) -> ObjectName:
        return ObjectName(*self.parts)


@dataclass(frozen=True)
class Outcome:
    """
    :param is_done: False where it has to be tried again
    :param what: the last of upstream's metrics that it met, such as 'cleanup_success'
    :param is_lost: given up, since what was seen is nowhere to be found
    """
    is_done: bool
    what: str
    is_lost: bool = False
