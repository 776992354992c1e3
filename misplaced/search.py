"""Search the copies of an object in policies where Swift does not look, and judge which may be brought home.

The filter searches one name after a read in vain, the operator's scan all names of a container. Nothing here
changes anything.
"""
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import groupby

from swift.common.direct_client import direct_get_container
from swift.common.storage_policy import POLICIES

from ..conf.names import ObjectName
from .servers import ABSENT, POLICY, Judge, StorageServers, Unknown, copy_of
from .verdict import ContainerFacts, Copy

PAGE = 1000


@dataclass(frozen=True)
class Finding:
    """
    :param outcome: 'found', or the reason why nothing may be brought home, as the counter `detections` has it
    :param copies: copies that may be brought home, newest first
    :param servable: policy whose copy may be shown to a reader; None: no copy may be
    :param silent: policies that gave no answer
    """
    outcome: str
    copies: tuple[Copy, ...] = ()
    servable: int | None = None
    silent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Search:
    """
    :param head: asks proxy-server for the newest copy of a name in a policy; tells status and headers. It may tell
        200 where a server has a newer tombstone: `StorageServers.replicas` tells of that
    """
    judge: Judge
    head: Callable[[ObjectName, int], tuple[int, Mapping[str, str]]]

    def find(self, name: ObjectName, looked_in: int, container: ContainerFacts | None = None) -> Finding:
        """Ask the other policies; judge their copies by the answers of container and object servers.

        :param looked_in: the policy that need not be asked
        :param container: facts of the container, if they are known already
        """
        copies, silent = self._copies(name, looked_in)
        if not copies:
            return Finding('unknown' if silent else 'nothing', silent=silent)
        try:
            container = container or self.judge.servers.container_facts(name.account, name.container)
        except Unknown:
            return Finding('unknown', silent=silent)
        if not container.exists:
            return Finding('unknown', silent=silent)
        return self._judged(name, copies, container, silent)

    def _copies(self, name, looked_in) -> tuple[list[Copy], tuple[int, ...]]:
        answers = {int(policy): self.head(name, int(policy)) for policy in POLICIES if int(policy) != looked_in}
        found = [copy_of(policy, headers) for policy, (status, headers) in answers.items() if status // 100 == 2]
        silent = tuple(policy for policy, (status, _) in answers.items()
                       if status != ABSENT and status // 100 != 2)
        return sorted(found, key=lambda copy: copy.timestamp, reverse=True), silent

    def _judged(self, name, copies, container, silent) -> Finding:
        told = self.judge.servers.all_replicas(name)
        reasons = [self.judge.refusal(name, copy, container, told) for copy in copies]
        good = tuple(copy for copy, reason in zip(copies, reasons, strict=True) if reason is None)
        if not good:
            return Finding('unknown' if 'unknown' in reasons else reasons[0] or '', silent=silent)
        home = told[container.policy_index]
        is_servable = home.is_whole and not home.has_any
        return Finding('found', good, good[0].policy_index if is_servable else None, silent)


def names(servers: StorageServers, listing: Iterable[str], account: str, container: str,
          home: int) -> Iterator[str]:
    """Yield names of the listing, and of the primaries' rows in other policies, which no listing shows.

    :raises Unknown: a primary cannot be read to its end
    """
    part, nodes = servers.container_ring.get_nodes(account, container)
    rows = [_rows(servers, node, part, (account, container), int(policy)) for node in nodes
            for policy in POLICIES if int(policy) != home]
    return (name for name, _ in groupby(merge(listing, *rows)))


def _rows(servers, node, part, parts, policy):
    marker = None
    while marker != '':
        ask = partial(direct_get_container, marker=marker, limit=PAGE)
        status, found = servers.ask_one(ask, node, part, parts, {POLICY: str(policy)})
        if status not in (200, ABSENT):
            raise Unknown(f'{node["ip"]}:{node["port"]} does not tell its rows of /{"/".join(parts)}')
        page = [row['name'] for row in found[1] if 'name' in row] if status == 200 else []
        yield from page
        marker = page[-1] if page else ''
