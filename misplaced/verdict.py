"""What was deleted must not rise: which copies of an object, found where Swift does not look for them, may be
brought home. Without I/O; whoever looks for misplaced objects asks here before a record is put.

Tombstones go after `reclaim_age`. A copy that is younger than that was not deleted unless a tombstone tells of
it; of an older one nobody knows, but where a row of the container's own policy names it: that one a DELETE would
have ended. Of copies from before the container was made, the one that was deleted knew: a row has to name these,
too.
"""
from collections.abc import Sequence
from dataclasses import dataclass

from swift.common.utils import Timestamp

# the part of reclaim_age within which a sighting comes too late: what is recorded has to be moved, too, before
# the first tombstone that would speak against it may be gone
MARGIN = 1 / 7


@dataclass(frozen=True)
class Copy:
    """What lies in another policy than the container's.

    :param timestamp: X-Backend-Timestamp, which a POST makes newer
    :param written_at: X-Backend-Data-Timestamp: of the PUT. A POST that reached a replica which had missed the
        DELETE makes nothing younger that is dead
    """
    policy_index: int
    timestamp: Timestamp
    written_at: Timestamp


@dataclass(frozen=True)
class ContainerFacts:
    """What a majority of the container's servers say, asked one by one.

    :param policy_index: where its objects belong
    :param created_at: its last creation, or the deletion before that
    """
    policy_index: int
    created_at: Timestamp


@dataclass(frozen=True)
class Replicas:
    """What the object servers of one policy say of one name.

    :param primaries: how many there are
    :param answered: how many of these told whether they have the object
    :param has_any: whether any server has it
    :param deleted_at: of the newest tombstone that any server has, handoffs too; zero where there is none
    """
    primaries: int
    answered: int
    has_any: bool
    deleted_at: Timestamp

    @property
    def has_majority(self) -> bool:
        # a DELETE that was acknowledged left a tombstone with one of these
        return self.answered > self.primaries // 2

    @property
    def is_whole(self) -> bool:
        return self.answered == self.primaries


def is_settled(copy: Copy, container: ContainerFacts) -> bool:
    """Whether it lies where it belongs: what Swift knew of the container was old."""
    return copy.policy_index == container.policy_index


def tombstone_refusal(copy: Copy, replicas: Sequence[Replicas]) -> str | None:
    """Why the copy is to be left alone: 'deleted', or 'unknown'; None where no tombstone speaks against it.

    :param replicas: of all policies: a client may have deleted it in any of them
    """
    if any(one.deleted_at >= copy.written_at for one in replicas):
        return 'deleted'
    return None if all(one.has_majority for one in replicas) else 'unknown'


def rows_to_name(copy: Copy, container: ContainerFacts, reclaim_age: float, now: float) -> tuple[int, ...]:
    """Policies of which a live row of the container has to name the copy, since its age vouches for nothing; none
    where a tombstone would still be there if it had been deleted."""
    # strictly: the same instant proves nothing
    is_young = float(copy.written_at) > now - reclaim_age * (1 - MARGIN)
    if not is_young:
        # a DELETE that went to the container's own policy left the row of the copy's as it was
        return container.policy_index,
    if copy.written_at > container.created_at:
        return ()
    return container.policy_index, copy.policy_index
