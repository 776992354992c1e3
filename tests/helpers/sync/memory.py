"""Clusters in memory, by Swift's own rules of what is newer, and the requests that syncers make of them."""
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import md5
from types import SimpleNamespace

from swift.common.internal_client import InternalClient
from swift.common.swob import Request, Response, wsgi_to_str
from swift.common.utils import Timestamp
from swift.container.backend import ContainerBroker

TEXT, CONTAINER = 'text/plain', ('AUTH_test', 'c')
# headers that a POST replaces; all that the objects of these tests have
OF_A_POST = ('x-object-meta-', 'x-delete-at', 'content-type')


@dataclass(frozen=True)
class Version:
    """An object as its files are on a disk.

    :param data: time of the body, or of the tombstone
    :param body: None is a tombstone's
    :param meta: time of the last POST since then
    """
    data: Timestamp
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    meta: Timestamp | None = None

    @property
    def time(self) -> Timestamp:
        return max(self.data, self.meta or self.data)

    @property
    def seen(self):
        """Give what a client sees; None where there is nothing."""
        return None if self.body is None else (self.time.normal, self.body, self.headers)

    @property
    def answer(self) -> dict[str, str]:
        return {**dict(self.headers), 'x-timestamp': self.time.normal, 'etag': md5(self.body or b'').hexdigest(),
                'content-length': str(len(self.body or b'')), 'last-modified': 'x', 'date': 'x',
                'x-trans-id': 'tx'}


NOTHING = Version(Timestamp(0))


@dataclass
class Cluster:
    """Objects of one container.

    :param brokers: its databases, one for each replica
    :param is_late: whether rows wait until `deliver`, as those of updates that were lost
    :param changes: (object, what was there, what is there now) of each write that changed anything
    """
    versions: dict[str, Version] = field(default_factory=dict)
    brokers: list[ContainerBroker] = field(default_factory=list)
    is_late: bool = False
    late: dict[str, None] = field(default_factory=dict)
    changes: list[tuple[str, Version, Version]] = field(default_factory=list)

    def of(self, name: str) -> Version:
        return self.versions.get(name, NOTHING)

    @property
    def seen(self) -> dict[str, tuple]:
        return {name: version.seen for name, version in sorted(self.versions.items()) if version.seen}

    def put(self, name: str, at: Timestamp, body: bytes, headers: dict[str, str]) -> int:
        """:returns: 202 where there is something as new, as Swift's proxy answers then"""
        was = self.of(name)
        if was.data >= at:
            return 202
        now = Version(at, body, _kept(headers))
        if was.body is not None and was.meta and was.meta > at:
            # the file of a later POST stays
            now = replace(now, headers=was.headers, meta=was.meta)
        self._write(name, now)
        return 201

    def post(self, name: str, at: Timestamp, headers: dict[str, str]) -> int:
        was = self.of(name)
        if was.body is None:
            return 404
        if was.time >= at:
            return 409
        self._write(name, replace(was, headers=_kept({'content-type': TEXT, **headers}), meta=at))
        return 202

    def delete(self, name: str, at: Timestamp) -> int:
        was = self.of(name)
        if was.data < at:
            self._write(name, Version(at))
        return 404 if was.body is None else 409 if was.data >= at else 204

    def deliver(self) -> None:
        """Bring the rows that are late."""
        self.is_late = False
        for name in self.late:
            self._row(name)
        self.late.clear()

    def _write(self, name, version):
        self.changes.append((name, self.of(name), version))
        self.versions[name] = version
        if self.is_late:
            self.late[name] = None
        else:
            self._row(name)

    def _row(self, name):
        version = self.versions[name]
        for broker in self.brokers:
            if version.body is None:
                broker.delete_object(name, version.data.internal)
            else:
                meta, told = version.time.internal, version.answer
                broker.put_object(name, version.data.internal, len(version.body), told['content-type'],
                                  told['etag'], ctype_timestamp=meta, meta_timestamp=meta)

    def answered(self, request: Request) -> Response:
        version = self.of(wsgi_to_str(request.split_path(4, 4, True)[3]))
        if version.body is None:
            return Response(status=404)
        return Response(body=version.body, headers=version.answer)


def _kept(headers):
    lower = {key.lower(): value for key, value in headers.items()}
    return tuple(sorted((key, value) for key, value in lower.items() if key.startswith(OF_A_POST)))


class Refused(Exception):
    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


@dataclass
class Network:
    """The requests of a syncer, to this cluster and to others.

    :param clusters: host -> cluster
    :param failing: object -> the kind of its requests that fail: HEAD, WRITE, SOURCE; STALE: the source has no
        newer copy than the one before
    :param races: object -> a write by somebody else, right after the next HEAD of it
    :param step: is called with each request, before it is made
    :param requests: (method, object) of each that was made
    """
    clusters: dict[str, Cluster] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    races: dict[str, Callable[[], object]] = field(default_factory=dict)
    step: Callable[[str, str], object] = lambda method, name: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def head(self, host: str, name: str) -> Version:
        self._begin('HEAD', name, 'HEAD')
        found = self.clusters[host].of(name)
        self.races.pop(name, lambda: None)()
        if found.body is None:
            raise Refused(404)
        return found

    def put(self, host, name, headers, body, length: int | None = None) -> int:
        self._begin('PUT', name, 'WRITE')
        sent = b''.join(body)
        if length not in (None, len(sent)):
            raise Refused(499)
        return self.clusters[host].put(name, Timestamp(headers['x-timestamp']), sent, headers)

    def post(self, host, name, headers) -> int:
        self._begin('POST', name, 'WRITE')
        return self.clusters[host].post(name, Timestamp(headers['x-timestamp']), headers)

    def delete(self, host, name, at: Timestamp) -> int:
        self._begin('DELETE', name, 'WRITE')
        return self.clusters[host].delete(name, at)

    def _begin(self, method, name, kind):
        self.step(method, name)
        self.requests.append((method, name))
        if self.failing.get(name) == kind:
            raise Refused(503)

    def client(self, host: str) -> InternalClient:
        """Make the client by which the cluster of that name is read."""
        return InternalClient(None, 'test', 1, app=Source(self, self.clusters[host]))


@dataclass
class Source:
    """A cluster, as its own syncers read it."""
    network: Network
    cluster: Cluster
    # InternalClient looks for these
    _pipeline_final_app = SimpleNamespace(get_object_ring=None, container_ring=None, account_ring=None,
                                          auto_create_account_prefix='.')

    def __call__(self, env, start_response):
        request = Request(env)
        name = wsgi_to_str(request.split_path(4, 4, True)[3])
        assert request.headers['X-Newest'].lower() == 'true' and request.params == {'symlink': 'get'}
        self.network.step(f'source {request.method}', name)
        kind = self.network.failing.get(name)
        if kind == 'SOURCE':
            return Response(status=503)(env, start_response)
        found = self.cluster
        if kind == 'STALE':
            found = Cluster({changed: was for changed, was, _ in found.changes})
        return found.answered(request)(env, start_response)
