"""Judge, without I/O, which copies in a wrong policy may be brought home: a deleted object must not rise.

Tombstones go after `reclaim_age`. A younger copy was not deleted unless a tombstone tells of it. An older one may
have been: a row of the container's own policy has to name it, since a DELETE would have ended that row. A copy
from before the container was made may belong to a deleted one of the same name: a row has to name it, too.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field

from swift.common.utils import Timestamp

# the part of reclaim_age within which a sighting comes too late: a recorded copy has to be moved, too, before the
# first tombstone that would speak against it may be gone
MARGIN = 1 / 7


@dataclass(frozen=True)
class Copy:
    """A version of an object in one policy.

    :param timestamp: X-Backend-Timestamp, which a POST makes newer
    :param written_at: X-Backend-Data-Timestamp, of the PUT: a POST that reached a replica which had missed the
        DELETE makes no dead copy younger
    """
    policy_index: int
    timestamp: Timestamp
    written_at: Timestamp


@dataclass(frozen=True)
class ContainerFacts:
    """Facts on which a majority of the container's servers agree.

    :param policy_index: home, where the container's objects belong
    :param created_at: its last creation, or the deletion before that
    :param exists: False for one that was deleted, or that no server knows
    """
    policy_index: int
    created_at: Timestamp
    exists: bool = True


@dataclass(frozen=True)
class Replicas:
    """Answers of one policy's object servers to one name.

    :param primaries: number of primaries
    :param answered: number of primaries that told whether they have the object
    :param has_any: whether any server has it
    :param deleted_at: time of the newest tombstone on any server, handoffs too; zero: there is none
    :param stored_at: time of the newest copy, likewise
    """
    primaries: int
    answered: int
    has_any: bool
    deleted_at: Timestamp
    stored_at: Timestamp = field(default_factory=Timestamp.zero)

    @property
    def newest_at(self) -> Timestamp:
        return max(self.deleted_at, self.stored_at)

    @property
    def has_majority(self) -> bool:
        # a DELETE that was acknowledged left a tombstone with one of these
        return self.answered > self.primaries // 2

    @property
    def is_whole(self) -> bool:
        return self.answered == self.primaries


def is_settled(policy_index: int, container: ContainerFacts) -> bool:
    """Tell whether a copy in that policy lies at home: Swift's knowledge of the container was old."""
    return policy_index == container.policy_index


def tombstone_refusal(copy: Copy, replicas: Sequence[Replicas]) -> str | None:
    """Tell why the copy is to be left alone: 'deleted' or 'unknown'; None: no tombstone speaks against it.

    :param replicas: of all policies: a client may have deleted it in any of them
    """
    if any(one.deleted_at >= copy.written_at for one in replicas):
        return 'deleted'
    return None if all(one.has_majority for one in replicas) else 'unknown'


def rows_to_name(copy: Copy, container: ContainerFacts, reclaim_age: float, now: float,
                 seen_at: Timestamp | None = None) -> tuple[int, ...]:
    """Name the policies in one of which a live row of the container has to name the copy; none for a young copy,
    whose tombstone would still be there if it had been deleted.

    :param seen_at: when the copy was judged before, and found alive
    """
    alive_at = max(copy.written_at, seen_at) if seen_at else copy.written_at
    # strictly: the same instant proves nothing
    is_young = float(alive_at) > now - reclaim_age * (1 - MARGIN)
    if not is_young:
        # a DELETE in the container's own policy left the row in the copy's policy as it was
        return container.policy_index,
    if alive_at > container.created_at:
        return ()
    return container.policy_index, copy.policy_index
