"""Split brains: half of a lab's nodes down, then the other half, so that a container gets two policies."""
import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

from swift.common.utils import quorum_size

from .cluster import KEY, USER, Lab
from .launch import Answer, InternalRequests
from .placement import Placement, Replica
from .spec import SERVERS, LabError, LabSpec

PASSES = 6


class Brain:
    """A container on a lab that can be split.

    `left` are the nodes of most of its primaries, `right` the others: either side has enough devices to take
    writes on its own. Used as a context manager, it leaves all servers running.

    :param account: of USER, unless `inside` is set
    :param inside: whether requests are InternalClient's, of any account and any name, and not the proxy's
    :raises LabError: where a request fails; where the lab has too few nodes to be split in halves
    """

    def __init__(self, lab: Lab, container: str, account: str = 'AUTH_test', inside: bool = False):
        spec = LabSpec.read(lab.layout.spec)
        if not spec or not spec.ports:
            raise LabError(f'the lab in {lab.folder} has not been put up yet')
        self.lab = lab
        self.account = account
        self.container = container
        self.is_inside = inside
        self.places = Placement(lab.layout)
        self._spec = spec
        self._inside = InternalRequests(lab.swift_dir)
        self._login: str | None = None
        self._has_account = False

    def __enter__(self) -> 'Brain':
        return self

    def __exit__(self, *_):
        self._bring_up(self._names_of(SERVERS))
        self.close()

    def close(self) -> None:
        """End the process for inside requests; the next such request begins another."""
        self._inside.close()

    # -- halves ----------------------------------------------------------------------------------------

    @property
    def left(self) -> tuple[int, ...]:
        """Numbers of the left nodes."""
        return self._halves[0]

    @property
    def right(self) -> tuple[int, ...]:
        return self._halves[1]

    @cached_property
    def _halves(self):
        primaries = [one.node for one in self.places.primaries('container', self.account, self.container)]
        return halves(primaries, self._spec)

    def stop(self, half: str, servers: tuple[str, ...] = SERVERS) -> None:
        """Stop servers of a half. Before that the account is made, once, if all servers run.

        :param servers: the servers to stop on each node: account, container, object
        """
        names = self._names(half, servers)
        if not self._has_account and all(self.lab.pid(name) for name in self._names_of(SERVERS)):
            self.put_account()
            self._has_account = True
        for name in names:
            self.lab.stop(name)

    def start(self, half: str, servers: tuple[str, ...] = SERVERS) -> None:
        """Start the stopped servers of a half, and restart the proxies, which hold failures against them."""
        self._bring_up(self._names(half, servers))

    def _bring_up(self, names):
        missing = [name for name in names if not self.lab.pid(name)]
        if missing:
            self._inside.close()
            proxies = [name for name in self._spec.proxy_names if self.lab.pid(name)]
            for name in proxies:
                self.lab.stop(name)
            self.lab.start(*missing, *proxies)

    @contextmanager
    def only(self, half: str, servers: tuple[str, ...] = SERVERS) -> Iterator['Brain']:
        """Keep the other half down while the context lasts."""
        kept = self.nodes(half)
        other = 'right' if kept == self.left else 'left'
        self.stop(other, servers)
        try:
            yield self
        finally:
            self.start(other, servers)

    def nodes(self, half: str) -> tuple[int, ...]:
        if half not in ('left', 'right'):
            raise LabError(f'half {half!r}: must be left or right')
        return self.left if half == 'left' else self.right

    def _names(self, half, servers):
        unknown = set(servers) - set(SERVERS)
        if unknown:
            raise LabError(f'servers {", ".join(sorted(unknown))}: must be of {", ".join(SERVERS)}')
        return self._names_of(servers, self.nodes(half))

    def _names_of(self, servers, nodes=()):
        return [f'{server}{node}' for node in nodes or self._spec.node_numbers for server in servers]

    # -- requests --------------------------------------------------------------------------------------

    def put_container(self, policy: str = '', container: str = '', **headers: str) -> Answer:
        """Put a container.

        :param policy: its name; '': the default
        :param container: another than the brain's
        """
        if policy and policy not in self._spec.policies:
            raise LabError(f'policy {policy!r}: the lab has {", ".join(self._spec.policies)}')
        return self.must('PUT', self.path('', container), {
            **as_headers(headers), **({'X-Storage-Policy': policy} if policy else {})})

    def delete_container(self, container: str = '') -> Answer:
        return self.must('DELETE', self.path('', container))

    def put_object(self, name: str, body: bytes = b'', container: str = '', query: str = '',
                   **headers: str) -> Answer:
        """Put an object. :param headers: X_Object_Meta_Colour='red', and so on"""
        return self.must('PUT', self.path(name, container, query), as_headers(headers), body)

    def post_object(self, name: str, container: str = '', **headers: str) -> Answer:
        return self.must('POST', self.path(name, container), as_headers(headers))

    def delete_object(self, name: str, container: str = '', **headers: str) -> Answer:
        """Delete an object, even one that this half does not know."""
        path = self.path(name, container)
        return _checked(self.request('DELETE', path, as_headers(headers)), 'DELETE', path, also=404)

    def get_object(self, name: str, container: str = '', query: str = '', **headers: str) -> Answer:
        """Get an object; any answer is returned."""
        return self.request('GET', self.path(name, container, query), as_headers(headers))

    def listing(self, container: str = '') -> dict[str, dict]:
        """List the container: name -> row."""
        answer = self.must('GET', self.path('', container, 'format=json'))
        return {row['name']: row for row in json.loads(answer.body)}

    def path(self, name: str = '', container: str = '', query: str = '') -> str:
        """Give the path of an object, or without a name of a container; by default the brain's."""
        parts = '/'.join(quote(part) for part in (self.account, container or self.container, name) if part)
        return f'/v1/{parts}' + (f'?{query}' if query else '')

    def put_account(self) -> None:
        """Make the account on all nodes: one that a half made would be missing in the other half."""
        path = f'/v1/{quote(self.account)}'
        _checked(self.request('POST', path, body=b''), 'POST', path)

    def must(self, method: str, path: str, headers=None, body: bytes | None = None) -> Answer:
        """Send a request that must succeed. :raises LabError: for anything but success"""
        return _checked(self.request(method, path, headers, body), method, path)

    def request(self, method: str, path: str, headers=None, body: bytes | None = None) -> Answer:
        """Send a request by InternalClient if the brain is `inside`, else by the proxy."""
        if self.is_inside:
            return self._inside.request(method, path, headers or {}, body)
        return self._by_proxy(method, path, headers or {}, body)

    def _by_proxy(self, method, path, headers, body):
        kept, self._login = self._login, self._login or self._log_in()
        answer = self._ask(method, path, {**headers, 'X-Auth-Token': self._login}, body)
        if answer.status == 401 and kept:
            # memcached, which has the tokens, was emptied by another brain
            self._login = None
            return self._by_proxy(method, path, headers, body)
        return answer

    def _log_in(self):
        answer = self._ask('GET', '/auth/v1.0', {'X-Auth-User': USER, 'X-Auth-Key': KEY}, None)
        if 'x-auth-token' not in answer.headers:
            raise LabError(f'{USER} cannot log in: the proxy answers {answer.status}')
        return answer.headers['x-auth-token']

    def _ask(self, method, path, headers, body):
        client = HTTPConnection(urlsplit(self.lab.urls[0]).netloc, timeout=60)
        try:
            client.request(method, path, body=body, headers=headers)
            answer = client.getresponse()
            found = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            client.close()

    # -- copies and rows -------------------------------------------------------------------------------

    def replicas(self, container: str = '') -> list[Replica]:
        return self.places.replicas(self.account, container or self.container)

    def files(self, policy: int, name: str, container: str = '') -> dict[int, list[str]]:
        """Find the files of an object in one policy: node -> names."""
        return self.places.files(policy, self.account, container or self.container, name)

    def everywhere(self, name: str) -> dict[str, dict[int, list[str]]]:
        """Find the files of an object: policy -> node -> names; policies without any are left out."""
        found = ((policy, self.files(index, name)) for index, policy in enumerate(self._spec.policies))
        return {policy: files for policy, files in found if files}

    def meet(self, *containers: str) -> None:
        """Let the halves compare notes.

        Object-updaters bring the rows that they could not bring before. Container-replicators run until all
        replicas of the containers have the same policy and rows, and until objects in another policy are queued
        in ``.misplaced_objects``.

        :raises LabError: where they do not agree after a few passes
        """
        names = containers or (self.container,)
        self.run_everywhere('object-updater')
        for _ in range(PASSES):
            self.run_everywhere('container-replicator')
            if all(self._agree(name) for name in names):
                # a replica queues its objects only where it knows the policy already
                self.run_everywhere('container-replicator')
                return
        raise LabError(f'replicas of {", ".join(names)} do not agree: '
                       + '; '.join(str(self.replicas(name)) for name in names))

    def run_everywhere(self, daemon: str) -> None:
        """Make one pass of a daemon on each node, two at a time."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda node: self.lab.run_daemon(daemon, node), self._spec.node_numbers))

    def forget(self) -> None:
        """Empty memcached, where proxies keep the policies of containers for a minute, and tokens too."""
        host, port = self.lab.memcached.split(':')
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(b'flush_all\r\n')
            if client.recv(100) != b'OK\r\n':
                raise LabError(f'memcached on {self.lab.memcached} does not take flush_all')
        self._login = None

    def _agree(self, container):
        replicas = self.replicas(container)
        return len({(one.status, one.policy, one.names) for one in replicas}) == 1


def halves(primaries: list[int], spec: LabSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give (left, right) for a container with these primaries.

    Left gets nodes until it has a quorum of the primaries; right gets the others. Handoffs make up for the
    primaries that a side lacks, so that each takes writes if it has devices for a quorum.

    :raises LabError: where a side has fewer
    """
    quorum = quorum_size(spec.replicas)
    left: list[int] = []
    held = Counter(primaries)
    for node, _ in held.most_common():
        if sum(held[one] for one in left) < quorum:
            left.append(node)
    right = [node for node in spec.node_numbers if node not in left]
    if min(len(left), len(right)) * len(spec.devices) < quorum:
        raise LabError(f'{spec.nodes} nodes with {spec.replicas} replicas cannot be split: each half needs '
                       f'{quorum} devices; put the lab up with --nodes {2 * quorum}')
    return tuple(sorted(left)), tuple(right)


def as_headers(keywords: dict[str, str]) -> dict[str, str]:
    return {key.replace('_', '-'): value for key, value in keywords.items()}


def _checked(answer, method, path, also=0):
    if answer.status // 100 != 2 and answer.status != also:
        raise LabError(f'{method} {path}: the answer is {answer.status}; {answer.body[:200]!r}')
    return answer
