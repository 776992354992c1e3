"""Where an object belongs, and whether it is there already: asked of the servers that have container and object.

Nothing here changes anything. Neither the queue nor memcached is believed (R8).
"""
from http.client import HTTPException
from weakref import WeakValueDictionary

from swift.common.concurrency import GreenPile, Semaphore, Timeout
from swift.common.direct_client import ClientException, direct_head_container, direct_head_object
from swift.common.request_helpers import USE_REPLICATION_NETWORK_HEADER
from swift.common.ring import Ring
from swift.common.storage_policy import POLICIES
from swift.common.utils import LRUCache, majority_size
from swift.common.utils import Timestamp as Time
from swift.container.reconciler import CONTAINER_POLICY_TTL, best_policy_index

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
        self._turns: WeakValueDictionary[tuple[str, str], Semaphore] = WeakValueDictionary()

    def home(self, task: Task) -> int | None:
        """The container's policy, as a majority of its primaries has it (R9); None where there is none."""
        # those who come while it is asked for wait, and do not ask as well
        with self._turns.setdefault((task.account, task.container), Semaphore()):
            return container_policy(self._container_ring, task.account, task.container)

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


@LRUCache(maxtime=CONTAINER_POLICY_TTL)
def container_policy(ring: Ring, account: str, container: str) -> int | None:
    """Upstream's `direct_get_container_policy_index`, remembered for as long, so that each container is asked for
    once. But a server that has never heard of it, one with a new disk, say, answers 404 as if it were of policy 0
    and older than all others; upstream would bring all there.
    """
    part, nodes = ring.get_nodes(account, container)
    pile = GreenPile(len(nodes))
    for node in nodes:
        pile.spawn(_asked, direct_head_container, node, part, account, container, headers={
            USE_REPLICATION_NETWORK_HEADER: 'true'})
    told = [headers for headers in pile if headers is not None]
    if len(told) < majority_size(len(nodes)):
        return None
    knowing = [headers for headers in told if Time(headers.get('X-Backend-Timestamp') or 0)]
    return best_policy_index(knowing or told)


def _head(node, part, task, policy_index):
    headers = _asked(direct_head_object, node, part, *task.parts, headers={
        POLICY: str(policy_index), USE_REPLICATION_NETWORK_HEADER: 'true'})
    return None if headers is None else Time(headers.get('X-Backend-Timestamp') or 0)


def _asked(ask, *what, headers) -> dict | None:
    """The headers of an answer, of 404 too; None where a server did not tell."""
    try:
        return ask(*what, conn_timeout=CONNECT_SECONDS, response_timeout=ANSWER_SECONDS, headers=headers)
    except ClientException as error:
        return error.http_headers if error.http_status == 404 else None
    except (OSError, HTTPException, Timeout):
        return None
