"""A whole cluster in the test's own process: Swift's account, container and object servers, three of each, on
loopback, and proxy-server behind an InternalClient. What they are asked is kept, and each may be made to fail.
"""
import os
import pwd
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from helpers.common.builders import close_logs
from swift.account.server import AccountController
from swift.common import storage_policy, utils
from swift.common.concurrency import listen, spawn, wsgi
from swift.common.direct_client import direct_get_container
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.internal_client import InternalClient
from swift.common.ring import Ring, RingBuilder
from swift.common.swob import Response, str_to_wsgi, wsgi_to_str
from swift.common.utils import get_logger
from swift.container import reconciler
from swift.container.backend import ContainerBroker
from swift.container.replicator import ContainerReplicator
from swift.container.server import ContainerController
from swift.obj.server import ObjectController

from swiftahead.sidecar.cluster import client_app
from swiftahead.sidecar.mover.move import Task
from swiftahead.sidecar.settings import SidecarSettings, read_settings

HOST = '127.0.0.1'
GOLD, SILVER, BRONZE = range(3)
NAMES = ('gold', 'silver', 'bronze')
SERVERS = {'account': AccountController, 'container': ContainerController, 'object': ObjectController}
NUMBERS = (1, 2, 3)
QUEUE = '.misplaced_objects'
POLICY = 'X-Backend-Storage-Policy-Index'
HOUR = 3600
USER = pwd.getpwuid(os.geteuid()).pw_name


class ServerRequest(NamedTuple):
    """A request as a server got it. :param server: such as ``object2``; `path`: without device and partition"""
    server: str
    method: str
    path: str
    headers: dict[str, str]

    @property
    def policy(self) -> int:
        return int(self.headers.get(POLICY.upper().replace('-', '_'), 0))


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes


class Silent:
    def write(self, *_):
        pass


class Cluster:
    """:param folder: on a file system with user xattrs"""

    def __init__(self, folder: Path):
        self.folder = folder
        # each request is shown to it; what it returns, a WSGI app, answers instead of the server
        self.hook: Callable[[ServerRequest], Any] = lambda asked: None
        self.asked: list[ServerRequest] = []
        self.hours: set[str] = set()
        # nobody listens there
        self.memcached = '127.0.0.1:1'
        self._running: dict[str, tuple] = {}
        self._logger = get_logger({}, log_route='oneprocess')
        self.ports = {f'{kind}{number}': self.start(f'{kind}{number}') for kind in SERVERS for number in NUMBERS}
        for name in ('account', 'container', *(f'object-{policy}'.removesuffix('-0') for policy in range(3))):
            self.make_ring(name)
        self.container_ring = Ring(str(folder), ring_name='container')
        self._clients: list[InternalClient] = []

    # servers

    def start(self, name: str, port: int = 0) -> int:
        kind, number = name[:-1], name[-1]
        root = self.folder / f'node{number}'
        (root / f'd{number}').mkdir(parents=True, exist_ok=True)
        app = SERVERS[kind]({'devices': str(root), 'mount_check': 'false', 'swift_dir': str(self.folder),
                             'fallocate_reserve': '0', 'log_requests': 'false', 'node_timeout': '60',
                             'conn_timeout': '10', 'container_update_timeout': '60'}, self._logger)
        sock = listen((HOST, port))
        thread = spawn(wsgi.server, sock, self._watched(name, app), Silent(), protocol=SwiftHttpProtocol,
                       debug=False, log_output=False)
        self._running[name] = thread, sock
        return sock.getsockname()[1]

    def stop(self, name: str) -> None:
        """Nobody listens any more."""
        thread, sock = self._running.pop(name)
        thread.kill()
        sock.close()

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        for name in names:
            self.stop(name)
        try:
            yield
        finally:
            for name in names:
                self.start(name, self.ports[name])

    def _watched(self, name, app):
        def watched(env, start_response):
            _, _, _, path = wsgi_to_str(env['PATH_INFO']).split('/', 3)
            headers = {key.removeprefix('HTTP_'): value for key, value in env.items() if key.startswith('HTTP_')}
            asked = ServerRequest(name, env['REQUEST_METHOD'], '/' + path, headers)
            self.asked.append(asked)
            return (self.hook(asked) or app)(env, start_response)
        return watched

    def make_ring(self, name: str, part_power: int = 2, **more) -> None:
        """:param more: as attributes of the builder, such as ``next_part_power``"""
        builder = RingBuilder(part_power, 3, 0)
        for number in NUMBERS:
            port = self.ports[name.partition('-')[0] + str(number)]
            builder.add_dev({'region': 1, 'zone': number, 'ip': HOST, 'port': port, 'weight': 1.0,
                             'device': f'd{number}', 'replication_ip': HOST, 'replication_port': port})
        builder.rebalance(seed='test')
        for key, value in more.items():
            setattr(builder, key, value)
        builder.get_ring().save(str(self.folder / f'{name}.ring.gz'))

    def close(self) -> None:
        for name in list(self._running):
            self.stop(name)

    def fail(self, method: str, kind: str, policy: int | None = None, status: int = 503,
             times: int = 10**9) -> None:
        """Have servers of a kind answer such requests with an error, for so many times."""
        left = iter(range(times))

        def hook(asked):
            hit = asked.method == method and asked.server.startswith(kind) and policy in (None, asked.policy)
            return Response(status=status) if hit and next(left, None) is not None else None
        self.hook = hook

    def changes(self) -> list[tuple[str, int]]:
        """Method and policy of what object servers were asked that changes anything, each once in its order."""
        found = [(asked.method, asked.policy) for asked in self.asked
                 if asked.server.startswith('object') and asked.method not in ('GET', 'HEAD')]
        return list(dict.fromkeys(found))

    # what clients do

    @property
    def client(self) -> InternalClient:
        if not self._clients:
            app = client_app(self.settings(), 'test-ic')
            self._clients.append(InternalClient(None, 'test', 1, use_replication_network=True, app=app))
        return self._clients[0]

    def settings(self, mover: str = '', more: str = '') -> SidecarSettings:
        """:param mover: lines of its section"""
        path = self.folder / 'sidecar.conf'
        path.write_text(
            f'[sidecar]\ncache_dir = {self.folder}/cache\nqueue = sqlite:{self.folder}/cache/queue.db\n'
            f'user = {USER}\nswift_dir = {self.folder}\n[mover]\nrequest_tries = 1\n{mover}\n{more}\n'
            '[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n'
            # nothing depends on how fast the machine is
            'node_timeout = 60\nrecoverable_node_timeout = 60\nconn_timeout = 10\npost_quorum_timeout = 60\n'
            'error_suppression_limit = 1000000\n'
            f'[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = {self.memcached}\n')
        (self.folder / 'cache').mkdir(mode=0o700, exist_ok=True)
        return read_settings(str(path))

    def request(self, method: str, *parts: str, body: bytes | None = None, **headers) -> Answer:
        """Whatever the answer is. :param headers: X_Timestamp='1.00000', and so on"""
        path = quote('/v1/' + '/'.join(parts))
        sent = {str_to_wsgi(key.replace('_', '-')): str_to_wsgi(str(value)) for key, value in headers.items()}
        if body is not None:
            sent['Content-Length'] = str(len(body))
        answer = self.client.make_request(method, path, sent, (1, 2, 3, 4, 5),
                                          body_file=None if body is None else BytesIO(body))
        return Answer(answer.status_int, answer.headers, answer.body)

    def put_container(self, container: str, policy: int = GOLD, account: str = 'AUTH_test') -> None:
        assert self.request('PUT', account, container, X_Storage_Policy=NAMES[policy]).status // 100 == 2

    def put(self, task: Task, body: bytes = b'body', **headers) -> None:
        """The object of a task, where the task says it is."""
        answer = self.request('PUT', *task.name.parts, body=body, X_Timestamp=task.timestamp.internal,
                              X_Backend_Storage_Policy_Index=task.policy_index, **headers)
        assert answer.status == 201, answer

    def delete(self, task: Task) -> None:
        self.request('DELETE', *task.name.parts, X_Timestamp=task.timestamp.internal,
                     X_Backend_Storage_Policy_Index=task.policy_index)

    def get(self, task: Task, policy: int) -> Answer:
        return self.request('GET', *task.name.parts, X_Backend_Storage_Policy_Index=policy, X_Newest='true')

    # the queue

    def enqueue(self, task: Task, force: bool = False) -> str:
        """By upstream's own function. :returns: the hour"""
        hour = reconciler.add_to_reconciler_queue(
            self.container_ring, *task.name.parts, task.policy_index, task.timestamp.internal, task.op, force)
        assert hour
        # the hour may be another by the time at which the queue is read
        self.announce(hour)
        return hour

    def announce(self, hour: str) -> None:
        """Have the account list it, as container-updaters do after a while."""
        assert self.request('PUT', QUEUE, hour).status // 100 == 2
        self.hours.add(hour)

    def queued(self) -> list[str]:
        """Names of the rows of all hours."""
        return sorted(row['name'] for hour in self.hours for row in self.rows(hour))

    def rows(self, hour: str) -> list[dict]:
        """Those that any of the container servers has, each once."""
        part, nodes = self.container_ring.get_nodes(QUEUE, hour)
        found = [row for node in nodes for row in direct_get_container(node, part, QUEUE, hour)[1]]
        return [row for number, row in enumerate(found) if row not in found[:number]]

    def replicate(self) -> None:
        """One pass of each node's container-replicator: objects in another policy than the container's are queued.
        No database is sent whole: each has to be there already, the queue's too.
        """
        for number in NUMBERS:
            ContainerReplicator({
                'devices': str(self.folder / f'node{number}'), 'mount_check': 'false', 'bind_ip': HOST,
                'swift_dir': str(self.folder), 'bind_port': str(self.ports[f'container{number}']),
                'recon_cache_path': str(self.folder)}, self._logger).run_once()

    def brokers(self, container: str, account: str = 'AUTH_test') -> list[ContainerBroker]:
        """The databases of a container."""
        name = utils.hash_path(account, container)
        return [ContainerBroker(str(path)) for path in sorted(
            self.folder.glob(f'node*/d*/containers/*/{name[-3:]}/{name}/{name}.db'))]

    # what lies on the disks

    def files(self, task: Task, policy: int) -> list[str]:
        """Names of the files of all replicas."""
        kind = 'objects' + (f'-{policy}' if policy else '')
        name = utils.hash_path(*task.name.parts)
        return sorted(path.name for path in self.folder.glob(f'node*/d*/{kind}/*/{name[-3:]}/{name}/*'))

    def state(self) -> dict[str, bytes]:
        """Of all object files, and what containers list."""
        files = {path: path.read_bytes() for path in self.folder.glob('node*/d*/objects*/*/*/*/*')}
        return {str(path.relative_to(self.folder)): data for path, data in files.items()}


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Swift's policies, rings and salt are those of the whole process meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, 'HASH_PATH_SUFFIX', b'test')
        # nothing here has to outlive the machine
        patch.setattr(os, 'fsync', lambda descriptor: None)
        parser = ConfigParser()
        for index, name in enumerate(NAMES):
            parser[f'storage-policy:{index}'] = {'name': name, **({} if index else {'default': 'yes'})}
        patch.setattr(storage_policy, '_POLICIES', storage_policy.parse_storage_policies(parser))
        cluster = Cluster(folder)
        try:
            yield cluster
        finally:
            cluster.close()
            close_logs()
