"""Looking for an object where Swift does not look: through the app in other policies, and with the servers that
hold object and container, one by one.

The servers are asked directly since proxy-server tells of a missing object what the first replica says, not the
newest tombstone; and of a container what memcached or the first replica knows. Nothing here changes anything.
"""
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote

from swift.common.concurrency import GreenPile, Timeout, green_http_client
from swift.common.direct_client import (
    ClientException,
    direct_get_container,
    direct_head_container,
    direct_head_object,
)
from swift.common.storage_policy import POLICIES
from swift.common.swob import Request
from swift.common.utils import Timestamp, drain_and_close, majority_size
from swift.common.wsgi import make_pre_authed_request
from swift.container.reconciler import best_policy_index

from ..conf.naming import ObjectName
from .backend import ALLOW_RESERVED, SOURCE
from .rising import ContainerFacts, Copy, Replicas

POLICY = 'X-Backend-Storage-Policy-Index'
# as long as proxy-server itself waits by default, at least
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 10.0
ABSENT = 404


@dataclass(frozen=True)
class Question:
    """One name that was answered 404.

    :param app: proxy-server's, which has the rings
    :param env: of the request, read only
    :param policy_index: where it was looked for
    """
    app: Any
    env: dict
    name: ObjectName
    policy_index: int

    @property
    def parts(self) -> tuple[str, str, str]:
        return self.name.account, self.name.container, self.name.object


def copies(question: Question) -> tuple[list[Copy], bool]:
    """What the other policies have, newest first; and whether all of them told."""
    found, statuses = [], []
    for policy in POLICIES:
        if int(policy) != question.policy_index:
            status, headers = head(question, int(policy))
            statuses.append(status)
            if 200 <= status < 300:
                found.append(copy_of(int(policy), headers))
    known = all(status == ABSENT or 200 <= status < 300 for status in statuses)
    return sorted(found, key=lambda copy: copy.timestamp, reverse=True), known


def head(question: Question, policy_index: int) -> tuple[int, dict]:
    """The newest copy that the policy has. proxy-server may answer 200 where a server has a newer tombstone: of
    that, `replicas` tells."""
    req: Request = make_pre_authed_request(
        question.env, 'HEAD', quote(f'/v1{question.name.path}'), agent='%(orig)s', swift_source=SOURCE,
        headers={'X-Newest': 'true', POLICY: str(policy_index)})
    req.environ['QUERY_STRING'] = ''
    if 'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES' in question.env:
        req.headers[ALLOW_RESERVED] = question.env['HTTP_X_BACKEND_ALLOW_RESERVED_NAMES']
    resp = req.get_response(question.app)
    drain_and_close(resp)
    return resp.status_int, resp.headers


def copy_of(policy_index: int, headers) -> Copy:
    """:raises ValueError: for an answer that is not an object server's"""
    timestamp = headers.get('X-Backend-Timestamp') or headers.get('X-Timestamp') or ''
    return Copy(policy_index, Timestamp(timestamp),
                Timestamp(headers.get('X-Backend-Data-Timestamp') or timestamp))


def replicas(question: Question, policy_index: int) -> Replicas:
    """What the policy's primaries say, and as many handoffs."""
    ring = question.app.get_object_ring(policy_index)
    part, primaries = ring.get_nodes(*question.parts)
    handoffs = list(islice(ring.get_more_nodes(part), len(primaries)))
    ask = partial(direct_head_object, headers={POLICY: str(policy_index)})
    answers = ask_all(ask, part, [*primaries, *handoffs], question.parts)
    told = [headers for status, headers in answers if status == ABSENT and headers]
    tombstones = [Timestamp(headers.get('X-Backend-Timestamp') or 0) for headers in told]
    answered = [status for status, _ in answers[:len(primaries)] if status in (200, ABSENT)]
    return Replicas(len(primaries), len(answered), any(status == 200 for status, _ in answers),
                    max(tombstones, default=Timestamp.zero()))


def container_facts(question: Question) -> ContainerFacts | None:
    """None where no majority of the container's primaries told, or none of them has it."""
    answers, primaries = ask_container(question, direct_head_container)
    told = [(status, headers) for status, headers in answers if status in (200, ABSENT)]
    alive = [headers for status, headers in told if status == 200]
    if len(told) < majority_size(primaries) or not alive:
        return None
    # one without a database of it answers as if it were of policy 0 and older than all others
    every = [headers for _, headers in told if Timestamp(headers.get('X-Backend-Timestamp') or 0)]
    return ContainerFacts(best_policy_index(every), created_at(alive, every))


def created_at(alive: Iterable, every: Iterable) -> Timestamp:
    """Not X-Backend-Status-Changed-At: replicators set that to the time at which they settled a policy or learned
    of a creation, and all that is misplaced was put before. Nor X-Backend-PUT-Timestamp, which any later PUT or
    POST makes newer. A container that was deleted was made again after that, and held nothing between."""
    made = [Timestamp(headers['X-Backend-Timestamp']) for headers in alive]
    return max(made + [Timestamp(headers.get('X-Backend-DELETE-Timestamp') or 0) for headers in every])


def is_named(question: Question, copy: Copy, policy_index: int) -> bool:
    """Whether live rows of the container name this very version in that policy: a majority of its primaries told,
    and all who did have the row. A container that is sharded has none."""
    ask = partial(direct_get_container, prefix=question.name.object, limit=1)
    answers, primaries = ask_container(question, ask, {POLICY: str(policy_index)})
    told = [answer[1] for status, answer in answers if status == 200]
    return len(told) >= majority_size(primaries) and all(names(listing, question.name, copy) for listing in told)


def names(listing: Sequence[dict], name: ObjectName, copy: Copy) -> bool:
    return any(row.get('name') == name.object and row.get('last_modified') == copy.timestamp.isoformat
               for row in listing)


def ask_container(question: Question, ask: Callable, headers: dict | None = None) -> tuple[list[tuple], int]:
    """What `ask_all` found, and how many there are to ask."""
    account, container, _ = question.parts
    part, nodes = question.app.container_ring.get_nodes(account, container)
    return ask_all(partial(ask, headers=headers), part, nodes, (account, container)), len(nodes)


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
