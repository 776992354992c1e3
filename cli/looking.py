"""Looking for misplaced objects on purpose: the servers that hold objects and containers, asked one by one, and
judged by the rules that the filter has, `queues/sighting.py`. Nothing here changes anything.
"""
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import groupby, islice

from swift.common.concurrency import GreenPile, Timeout, green_http_client
from swift.common.direct_client import (
    ClientException,
    direct_get_container,
    direct_head_container,
    direct_head_object,
)
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp, majority_size
from swift.container.reconciler import best_policy_index

from ..conf.naming import ObjectName
from ..queues import sighting
from ..queues.sighting import ContainerFacts, Copy, Replicas

POLICY = 'X-Backend-Storage-Policy-Index'
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 10.0
ABSENT = 404
PAGE = 1000


class Unknown(Exception):
    """Too few servers told."""


class Look:
    """
    :param client: whose pipeline ends with proxy-server, which has the rings
    :param reclaim_age: of the object servers, seconds
    """

    def __init__(self, client: InternalClient, reclaim_age: float, clock: Callable[[], float] = time.time):
        self._client = client
        self._rings = client.app._pipeline_final_app
        self._reclaim_age = reclaim_age
        self._clock = clock

    def container(self, account: str, container: str) -> ContainerFacts | None:
        """None where there is no such container any more. :raises Unknown: without a majority of its primaries"""
        answers = self._of_container(account, container, direct_head_container)
        told = [(status, headers) for status, headers in answers if status in (200, ABSENT)]
        alive = [headers for status, headers in told if status == 200]
        if len(told) < majority_size(len(answers)):
            raise Unknown(f'{len(told)} of {len(answers)} container servers told of /{account}/{container}')
        # one without a database of it answers as if it were of policy 0 and older than all others
        every = [headers for _, headers in told if Timestamp(headers.get('X-Backend-Timestamp') or 0)]
        made = [Timestamp(headers['X-Backend-Timestamp']) for headers in alive]
        made += [Timestamp(headers.get('X-Backend-DELETE-Timestamp') or 0) for headers in every]
        return ContainerFacts(best_policy_index(every), max(made)) if alive else None

    def names(self, account: str, container: str, facts: ContainerFacts) -> Iterator[str]:
        """Of the listing, and of the rows that its primaries have in other policies, which no listing shows.

        :raises Unknown: where one of them cannot be read to its end
        """
        part, nodes = self._rings.container_ring.get_nodes(account, container)
        rows = [self._rows(node, part, (account, container), int(policy)) for node in nodes
                for policy in POLICIES if int(policy) != facts.policy_index]
        return (name for name, _ in groupby(merge(self._listing(account, container), *rows)))

    def _listing(self, account, container):
        try:
            for item in self._client.iter_objects(account, container):
                yield item['name']
        except UnexpectedResponse as error:
            raise Unknown(f'the listing of /{account}/{container} ends early: {error}') from None

    def _rows(self, node, part, parts, policy):
        marker = None
        while marker != '':
            status, found = ask_one(partial(direct_get_container, marker=marker, limit=PAGE,
                                            headers={POLICY: str(policy)}), node, part, parts)
            if status not in (200, ABSENT):
                raise Unknown(f'{node["ip"]}:{node["port"]} does not tell its rows of /{"/".join(parts)}')
            names = [row['name'] for row in found[1] if 'name' in row] if status == 200 else []
            yield from names
            marker = names[-1] if names else ''

    def find(self, name: ObjectName, facts: ContainerFacts) -> tuple[str, list[Copy]]:
        """('found', copies to bring home, newest first), or why there are none.

        :raises Unknown: where nobody can tell
        """
        copies = self._copies(name, facts)
        if not copies:
            return 'nothing', []
        replicas = [self._replicas(name, int(policy)) for policy in POLICIES]
        reasons = [self._refusal(name, copy, facts, replicas) for copy in copies]
        good = [copy for copy, reason in zip(copies, reasons, strict=True) if reason is None]
        if not good and 'unknown' in reasons:
            raise Unknown(f'too few object servers told of {name.quoted}')
        return ('found', good) if good else (reasons[0] or '', [])

    def _copies(self, name, facts):
        others = (int(policy) for policy in POLICIES if int(policy) != facts.policy_index)
        found = [copy for copy in (self._head(name, policy) for policy in others) if copy]
        return sorted(found, key=lambda copy: copy.timestamp, reverse=True)

    def _head(self, name, policy) -> Copy | None:
        path = self._client.make_path(name.account, name.container, name.object)
        try:
            resp = self._client.make_request('HEAD', path, {'X-Newest': 'true', POLICY: str(policy)}, (2, ABSENT))
        except UnexpectedResponse as error:
            raise Unknown(f'policy {policy} does not tell of {name.quoted}: {error}') from None
        if resp.status_int == ABSENT:
            return None
        at = resp.headers.get('X-Backend-Timestamp') or resp.headers['X-Timestamp']
        return Copy(policy, Timestamp(at), Timestamp(resp.headers.get('X-Backend-Data-Timestamp') or at))

    def _refusal(self, name, copy, facts, replicas) -> str | None:
        reason = sighting.tombstone_refusal(copy, replicas)
        policies = sighting.rows_to_name(copy, facts, self._reclaim_age, self._clock())
        if reason or not policies:
            return reason
        return None if any(self._is_named(name, copy, policy) for policy in policies) else 'old'

    def _replicas(self, name, policy) -> Replicas:
        parts = name.account, name.container, name.object
        part, primaries = (ring := self._rings.get_object_ring(policy)).get_nodes(*parts)
        nodes = [*primaries, *islice(ring.get_more_nodes(part), len(primaries))]
        answers = ask_all(partial(direct_head_object, headers={POLICY: str(policy)}), part, nodes, parts)
        told = [headers for status, headers in answers if status == ABSENT and headers]
        answered = [status for status, _ in answers[:len(primaries)] if status in (200, ABSENT)]
        return Replicas(len(primaries), len(answered), any(status == 200 for status, _ in answers),
                        max((Timestamp(headers.get('X-Backend-Timestamp') or 0) for headers in told),
                            default=Timestamp.zero()))

    def _is_named(self, name, copy, policy) -> bool:
        """Whether a majority of the primaries told, and all who did have this very version's row."""
        ask = partial(direct_get_container, prefix=name.object, limit=1, headers={POLICY: str(policy)})
        answers = self._of_container(name.account, name.container, ask)
        told = [answer[1] for status, answer in answers if status == 200]
        return len(told) >= majority_size(len(answers)) and all(
            any(row.get('name') == name.object and row.get('last_modified') == copy.timestamp.isoformat
                for row in rows) for rows in told)

    def _of_container(self, account, container, ask):
        part, nodes = self._rings.container_ring.get_nodes(account, container)
        return ask_all(ask, part, nodes, (account, container))


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
