"""Looking for misplaced objects on purpose: the servers that hold objects and containers, asked one by one, and
judged by the rules that the filter has, `misplaced/verdict.py`. Nothing here changes anything.
"""
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import groupby
from typing import Any

from swift.common.direct_client import direct_get_container
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.storage_policy import POLICIES

from ..conf.names import ObjectName
from ..misplaced import servers
from ..misplaced.servers import ABSENT, POLICY, Unknown
from ..misplaced.verdict import ContainerFacts, Copy

PAGE = 1000


@dataclass(frozen=True)
class Question:
    """One name. :param app: proxy-server's, which has the rings"""
    app: Any
    name: ObjectName


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
        return servers.container_facts(self._rings, account, container)

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
            status, found = servers.ask_one(partial(direct_get_container, marker=marker, limit=PAGE,
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
        found = servers.judge(Question(self._rings, name), copies, facts, self._reclaim_age, self._clock())
        if not found.good and 'unknown' in found.reasons:
            raise Unknown(f'too few object servers told of {name.quoted}')
        return ('found', list(found.good)) if found.good else (found.reasons[0] or '', [])

    def _copies(self, name, facts):
        others = (int(policy) for policy in POLICIES if int(policy) != facts.policy_index)
        return servers.newest_first(copy for copy in (self._head(name, policy) for policy in others) if copy)

    def _head(self, name, policy) -> Copy | None:
        path = self._client.make_path(name.account, name.container, name.object)
        try:
            resp = self._client.make_request('HEAD', path, {'X-Newest': 'true', POLICY: str(policy)}, (2, ABSENT))
        except UnexpectedResponse as error:
            raise Unknown(f'policy {policy} does not tell of {name.quoted}: {error}') from None
        return None if resp.status_int == ABSENT else servers.copy_of(policy, resp.headers)
