"""Ask the servers that hold an object and its container, one by one. Nothing here changes anything.

A proxy is not asked: of a missing object it hands on the first replica's answer, not the newest tombstone; of a
container, the knowledge of memcached or the first replica.
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from swift.common.concurrency import GreenPile, Timeout, green_http_client
from swift.common.direct_client import (
    ClientException,
    direct_get_container,
    direct_head_container,
    direct_head_object,
)
from swift.common.ring import Ring
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp, majority_size
from swift.container.reconciler import best_policy_index

from ..conf.names import ObjectName
from .verdict import ContainerFacts, Copy, Replicas, is_settled, rows_to_name, tombstone_refusal

POLICY = 'X-Backend-Storage-Policy-Index'
ABSENT = 404
# where proxy-server looks for the objects of a container that no server knows
UNKNOWN_POLICY = 0


class Unknown(Exception):
    """Too few servers answered; `args[0]` tells which."""


@dataclass(frozen=True)
class StorageServers:
    """
    :param object_ring: the ring of a policy index
    :param headers: headers of all requests
    :param connect_seconds: time for a connection, at least proxy-server's default; so is `answer_seconds`
    """
    container_ring: Ring
    object_ring: Callable[[int], Ring]
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_seconds: float = 1.0
    answer_seconds: float = 10.0

    @classmethod
    def of_proxy(cls, app) -> 'StorageServers':
        """Take the rings of proxy-server. :param app: proxy-server"""
        return cls(app.container_ring, app.get_object_ring)

    def container_facts(self, account: str, container: str) -> ContainerFacts:
        """Tell which policy is home, by upstream's rule `cmp_policy_info`, and whether the container exists (R9).

        A server without a database of the container, one with a new disk, say, answers 404 as if the container
        were of policy 0 and older than all others. It has no say where another server has a database. Where no
        answer comes from a database, a silent server may have one. Where all primaries answered so, policy 0 is
        home for Swift: upstream's reconciler moves objects there, and proxy-server reads them there (R8).

        :raises Unknown: without a majority of the primaries, or where a silent one alone may know
        """
        answers, primaries = self._ask_container(account, container, direct_head_container)
        # a 404 without the header is no container server's
        told = [(status, headers) for status, headers in answers if status in (200, ABSENT) and POLICY in headers]
        known = [headers for _, headers in told if _time_of(headers, 'X-Backend-Timestamp')]
        if len(told) < (majority_size(primaries) if known else primaries):
            raise Unknown(f'{len(told)} of {primaries} container servers told of /{account}/{container}')
        alive = [headers for status, headers in told if status == 200]
        return ContainerFacts(best_policy_index(known) if known else UNKNOWN_POLICY, _created_at(alive, known),
                              bool(alive))

    def replicas(self, name: ObjectName, policy_index: int, with_handoffs: bool = True) -> Replicas:
        """Ask the policy's primaries, and as many handoffs, for the object and its tombstones."""
        ring = self.object_ring(policy_index)
        part, primaries = ring.get_nodes(*name.parts)
        handoffs = islice(ring.get_more_nodes(part), len(primaries) if with_handoffs else 0)
        answers = self._ask_all(direct_head_object, part, [*primaries, *handoffs], name.parts,
                                {POLICY: str(policy_index)})
        stored = [_time_of(headers, 'X-Backend-Timestamp') for status, headers in answers if status == 200]
        deleted = [_time_of(headers, 'X-Backend-Timestamp') for status, headers in answers if status == ABSENT]
        answered = [status for status, _ in answers[:len(primaries)] if status in (200, ABSENT)]
        return Replicas(len(primaries), len(answered), bool(stored), max(deleted, default=Timestamp.zero()),
                        max(stored, default=Timestamp.zero()))

    def all_replicas(self, name: ObjectName) -> dict[int, Replicas]:
        return {int(policy): self.replicas(name, int(policy)) for policy in POLICIES}

    def is_named(self, name: ObjectName, copy: Copy, policy_index: int) -> bool:
        """Tell whether live rows of the container name this very version in that policy: a majority of the
        primaries told, and all of these have the row. A sharded container has none."""
        ask = partial(direct_get_container, prefix=name.object, limit=1)
        answers, primaries = self._ask_container(name.account, name.container, ask, {POLICY: str(policy_index)})
        told = [answer[1] for status, answer in answers if status == 200]
        return len(told) >= majority_size(primaries) and all(_has_row(listing, name, copy) for listing in told)

    def ask_one(self, ask: Callable, node: dict, part: int, parts: Sequence[str],
                headers: Mapping[str, str] | None = None) -> tuple:
        """Ask one server; give (status, its answer), 200 for any success, 0 for no answer."""
        try:
            return 200, ask(node, part, *parts, headers={**self.headers, **(headers or {})},
                            conn_timeout=self.connect_seconds, response_timeout=self.answer_seconds)
        except ClientException as error:
            return error.http_status, error.http_headers or {}
        except (OSError, green_http_client.HTTPException, Timeout):
            return 0, {}

    def _ask_all(self, ask, part, nodes, parts, headers=None) -> list[tuple]:
        """Ask servers at the same time; give the answers in the order of `nodes`."""
        pile = GreenPile(len(nodes) or 1)
        for node in nodes:
            pile.spawn(self.ask_one, ask, node, part, parts, headers)
        return list(pile)

    def _ask_container(self, account, container, ask, headers=None) -> tuple[list[tuple], int]:
        """Ask the primaries; give their answers, and the number of primaries."""
        part, nodes = self.container_ring.get_nodes(account, container)
        return self._ask_all(ask, part, nodes, (account, container), headers), len(nodes)


@dataclass(frozen=True)
class Judge:
    """Tell whether a copy may be moved: filter and scan ask before they record it, the mover before it moves it.

    :param reclaim_age: seconds, as the object servers have it
    """
    servers: StorageServers
    reclaim_age: float
    clock: Callable[[], float]

    def refusal(self, name: ObjectName, copy: Copy, container: ContainerFacts,
                told: dict[int, Replicas] | None = None, seen_at: Timestamp | None = None) -> str | None:
        """Tell why the copy may not be moved: 'settled', 'deleted', 'unknown' or 'old'; None where it may.

        :param told: the answers of all policies. Without them a copy that was seen alive, and that its age vouches
            for, may be moved: a tombstone since then lies at the destination, where the mover looks
        :param seen_at: when the copy was recorded
        """
        if is_settled(copy.policy_index, container):
            return 'settled'
        policies = rows_to_name(copy, container, self.reclaim_age, self.clock(), seen_at)
        if told is None and not policies:
            return None
        reason = tombstone_refusal(copy, list((told or self.servers.all_replicas(name)).values()))
        if reason or not policies:
            return reason
        return None if any(self.servers.is_named(name, copy, index) for index in policies) else 'old'


def is_movable(policy_index: int, swift_dir: str, ring_check_interval: float) -> bool:
    """Tell whether objects of the policy may be moved: it is known, and its part power does not grow (R10).

    :param ring_check_interval: seconds after which a ring looks whether its file has changed
    """
    policy = POLICIES.get_by_index(policy_index)
    if policy is None:
        return False
    policy.load_ring(swift_dir, reload_time=ring_check_interval)
    return policy.object_ring.next_part_power is None


def copy_of(policy_index: int, headers: Mapping[str, str]) -> Copy:
    """Read a copy from an answer's headers. :raises ValueError: for an answer that is not an object server's"""
    timestamp = headers.get('X-Backend-Timestamp') or headers.get('X-Timestamp') or ''
    return Copy(policy_index, Timestamp(timestamp),
                Timestamp(headers.get('X-Backend-Data-Timestamp') or timestamp))


def _time_of(headers, key) -> Timestamp:
    return Timestamp(headers.get(key) or 0)


def _created_at(alive: Sequence, known: Sequence) -> Timestamp:
    """Date a container's last creation, or the deletion before that.

    X-Backend-Status-Changed-At does not do: replicators set it when they settle a policy or learn of a creation,
    and all misplaced objects were put before. Nor does X-Backend-PUT-Timestamp, which any later PUT or POST makes
    newer. A container that was deleted was made again after that, and held nothing between.
    """
    made = [_time_of(headers, 'X-Backend-Timestamp') for headers in alive]
    deleted = [_time_of(headers, 'X-Backend-DELETE-Timestamp') for headers in known]
    return max(made + deleted, default=Timestamp.zero())


def _has_row(listing: Sequence[dict], name: ObjectName, copy: Copy) -> bool:
    return any(row.get('name') == name.object and row.get('last_modified') == copy.timestamp.isoformat
               for row in listing)
