"""The servers that hold an object and its container, asked one by one; nothing here changes anything.

They are asked directly since proxy-server tells of a missing object what the first replica says, not the newest
tombstone; and of a container what memcached or the first replica knows.
"""
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Protocol

from swift.common.concurrency import GreenPile, Timeout, green_http_client
from swift.common.direct_client import (
    ClientException,
    direct_get_container,
    direct_head_container,
    direct_head_object,
)
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp, majority_size
from swift.container.reconciler import best_policy_index

from ..conf.names import ObjectName
from . import verdict
from .verdict import ContainerFacts, Copy, Replicas

POLICY = 'X-Backend-Storage-Policy-Index'
# as long as proxy-server itself waits by default, at least
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 10.0
ABSENT = 404


class Unknown(Exception):
    """Too few servers told. `args[0]` says which."""


class Named(Protocol):
    """An object's name, and proxy-server's app, which has the rings."""
    @property
    def app(self) -> Any: ...

    @property
    def name(self) -> ObjectName: ...


@dataclass(frozen=True)
class Judgement:
    """
    :param good: copies that may be brought home, in the order given
    :param reasons: of each copy why not; None for the good ones
    :param replicas: by policy
    """
    good: tuple[Copy, ...]
    reasons: tuple[str | None, ...]
    replicas: dict[int, Replicas]


def judge(named: Named, copies: Sequence[Copy], container: ContainerFacts, reclaim_age: float,
          now: float) -> Judgement:
    """Which of the copies that were found may be brought home. Asks all servers of the name."""
    told = {int(policy): replicas(named, int(policy)) for policy in POLICIES}
    reasons = tuple(_refusal(named, copy, container, told, reclaim_age, now) for copy in copies)
    good = tuple(copy for copy, reason in zip(copies, reasons, strict=True) if reason is None)
    return Judgement(good, reasons, told)


def _refusal(named, copy, container, told, reclaim_age, now) -> str | None:
    if verdict.is_settled(copy, container):
        return 'settled'
    reason = verdict.tombstone_refusal(copy, list(told.values()))
    policies = verdict.rows_to_name(copy, container, reclaim_age, now)
    if reason or not policies:
        return reason
    return None if any(is_named(named, copy, index) for index in policies) else 'old'


def copy_of(policy_index: int, headers) -> Copy:
    """:raises ValueError: for an answer that is not an object server's"""
    timestamp = headers.get('X-Backend-Timestamp') or headers.get('X-Timestamp') or ''
    return Copy(policy_index, Timestamp(timestamp),
                Timestamp(headers.get('X-Backend-Data-Timestamp') or timestamp))


def newest_first(copies: Iterable[Copy]) -> list[Copy]:
    return sorted(copies, key=lambda copy: copy.timestamp, reverse=True)


def replicas(named: Named, policy_index: int) -> Replicas:
    """What the policy's primaries say, and as many handoffs."""
    ring = named.app.get_object_ring(policy_index)
    parts = _parts(named.name)
    part, primaries = ring.get_nodes(*parts)
    handoffs = list(islice(ring.get_more_nodes(part), len(primaries)))
    ask = partial(direct_head_object, headers={POLICY: str(policy_index)})
    answers = ask_all(ask, part, [*primaries, *handoffs], parts)
    told = [headers for status, headers in answers if status == ABSENT and headers]
    tombstones = [Timestamp(headers.get('X-Backend-Timestamp') or 0) for headers in told]
    answered = [status for status, _ in answers[:len(primaries)] if status in (200, ABSENT)]
    return Replicas(len(primaries), len(answered), any(status == 200 for status, _ in answers),
                    max(tombstones, default=Timestamp.zero()))


def container_facts(app, account: str, container: str) -> ContainerFacts | None:
    """None where there is no such container any more. :raises Unknown: without a majority of its primaries"""
    answers, primaries = ask_container(app, account, container, direct_head_container)
    told = [(status, headers) for status, headers in answers if status in (200, ABSENT)]
    if len(told) < majority_size(primaries):
        raise Unknown(f'{len(told)} of {primaries} container servers told of /{account}/{container}')
    alive = [headers for status, headers in told if status == 200]
    # one without a database of it answers as if it were of policy 0 and older than all others
    every = [headers for _, headers in told if Timestamp(headers.get('X-Backend-Timestamp') or 0)]
    return ContainerFacts(best_policy_index(every), _created_at(alive, every)) if alive else None


def _created_at(alive: Iterable, every: Iterable) -> Timestamp:
    """Not X-Backend-Status-Changed-At: replicators set that to the time at which they settled a policy or learned
    of a creation, and all that is misplaced was put before. Nor X-Backend-PUT-Timestamp, which any later PUT or
    POST makes newer. A container that was deleted was made again after that, and held nothing between."""
    made = [Timestamp(headers['X-Backend-Timestamp']) for headers in alive]
    return max(made + [Timestamp(headers.get('X-Backend-DELETE-Timestamp') or 0) for headers in every])


def is_named(named: Named, copy: Copy, policy_index: int) -> bool:
    """Whether live rows of the container name this very version in that policy: a majority of its primaries told,
    and all who did have the row. A container that is sharded has none."""
    name = named.name
    ask = partial(direct_get_container, prefix=name.object, limit=1, headers={POLICY: str(policy_index)})
    answers, primaries = ask_container(named.app, name.account, name.container, ask)
    told = [answer[1] for status, answer in answers if status == 200]
    return len(told) >= majority_size(primaries) and all(_has_row(listing, name, copy) for listing in told)


def _has_row(listing: Sequence[dict], name: ObjectName, copy: Copy) -> bool:
    return any(row.get('name') == name.object and row.get('last_modified') == copy.timestamp.isoformat
               for row in listing)


def ask_container(app, account: str, container: str, ask: Callable) -> tuple[list[tuple], int]:
    """What `ask_all` found, and how many there are to ask."""
    part, nodes = app.container_ring.get_nodes(account, container)
    return ask_all(ask, part, nodes, (account, container)), len(nodes)


def ask_all(ask: Callable, part: int, nodes: Sequence[dict], parts: Sequence[str]) -> list[tuple]:
    """(status, what was told) of each node, in their order: 200 for any success, 0 for no answer."""
    pile = GreenPile(len(nodes) or 1)
    for node in nodes:
        pile.spawn(ask_one, ask, node, part, parts)
    return list(pile)


def ask_one(ask: Callable, node: dict, part: int, parts: Sequence[str]) -> tuple:
    try:
        return 200, ask(node, part, *parts, conn_timeout=CONNECT_SECONDS, response_timeout=ANSWER_SECONDS)
    except ClientException as error:
        return error.http_status, error.http_headers
    except (OSError, green_http_client.HTTPException, Timeout):
        return 0, None


def _parts(name: ObjectName) -> tuple[str, str, str]:
    return name.account, name.container, name.object
