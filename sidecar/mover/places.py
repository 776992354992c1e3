"""Where an object belongs, and whether it is there already: asked of the servers that have container and object.

Nothing here changes anything. Neither the queue nor memcached is believed (R8).
"""
from http.client import HTTPException

from swift.common.concurrency import GreenPile, Timeout
from swift.common.direct_client import ClientException, direct_head_object
from swift.common.request_helpers import USE_REPLICATION_NETWORK_HEADER
from swift.common.ring import Ring
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp as Time
from swift.common.utils import majority_size
from swift.container.reconciler import direct_get_container_policy_index

from .task import Task

POLICY = 'X-Backend-Storage-Policy-Index'
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 15.0


class Places:
    """
    :param container_ring: of the mover's client
    :param ring_check_interval: seconds for which a ring is believed to be what its file is
    """

    def __init__(self, container_ring: Ring, swift_dir: str, ring_check_interval: float):
        self._container_ring = container_ring
        self._swift_dir = swift_dir
        self._interval = ring_check_interval

    def home(self, task: Task) -> int | None:
        """The container's policy, as a majority of its primaries has it (R9); None where there is none.

        Upstream's function remembers it for half a minute, so that each container is asked for once.
        """
        return direct_get_container_policy_index(self._container_ring, task.account, task.container)

    def is_movable(self, policy_index: int) -> bool:
        """Not so for a policy that is not known, or whose part power is just being increased (R10)."""
        policy = POLICIES.get_by_index(policy_index)
        if policy is None:
            return False
        policy.load_ring(self._swift_dir, reload_time=self._interval)
        return policy.object_ring.next_part_power is None

    def time_at(self, task: Task, policy_index: int) -> Time | None:
        """The newest that the policy's primaries have of the object, tombstones too; zero for nothing, None where
        no majority of them told (R12).

        A HEAD through the proxy would walk all handoffs for what is not there, and tell of the first replica.
        What lies on a handoff alone is moved once more, which Swift takes for superseded.
        """
        ring = POLICIES.get_object_ring(policy_index, self._swift_dir)
        part, nodes = ring.get_nodes(*task.parts)
        pile = GreenPile(len(nodes))
        for node in nodes:
            pile.spawn(_head, node, part, task, policy_index)
        told = [time for time in pile if time is not None]
        return max(told) if len(told) >= majority_size(len(nodes)) else None


def _head(node, part, task, policy_index):
    try:
        headers = direct_head_object(
            node, part, *task.parts, conn_timeout=CONNECT_SECONDS, response_timeout=ANSWER_SECONDS,
            headers={POLICY: str(policy_index), USE_REPLICATION_NETWORK_HEADER: 'true'})
    except ClientException as error:
        if error.http_status != 404:
            return None
        headers = error.http_headers
    except (OSError, HTTPException, Timeout):
        return None
    return Time(headers.get('X-Backend-Timestamp') or 0)
