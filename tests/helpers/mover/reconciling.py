"""One fake cluster for both: upstream's ContainerReconciler and the mover ask it, and what each changes is noted.

It stands where InternalClient and the direct calls do, so that all above them is each one's own.
"""
import json
import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from unittest import mock

from helpers.common.builders import NOW
from swift.common.header_key_dict import HeaderKeyDict
from swift.common.internal_client import UnexpectedResponse
from swift.common.utils import Timestamp
from swift.container import reconciler

from swiftahead.misplaced.servers import Unknown
from swiftahead.misplaced.verdict import ContainerFacts, Replicas
from swiftahead.sidecar.mover.move import Mover, Terms
from swiftahead.sidecar.mover.reconciler_queue import ProcessShare, ReconcilerQueue

POLICIES = (0, 1, 2)
DAY = 86400
PARTS = ('AUTH_test', 'c:sneaky', 'ö/o:1')
BODY = b'what lies there'
SILENT = logging.getLogger('reconciling')
SILENT.propagate = False
SILENT.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class PolicyCopy:
    """What a policy has of the object. :param time: of its newest; :param is_tombstone: that it is one"""
    time: str
    is_tombstone: bool = False


@dataclass(frozen=True)
class World:
    """
    :param home: the container's policy; None where no majority tells
    :param copies: policy -> what it has
    :param closed: policies whose part power is being increased
    :param fails: the numbers of the calls, from 1, that are answered 503; of negative ones the same, by exceptions
    """
    home: int | None
    policy: int
    op: str
    time: str
    offset: int
    copies: tuple[tuple[int, PolicyCopy], ...] = ()
    closed: frozenset = frozenset()
    fails: frozenset = frozenset()

    @property
    def row(self) -> dict:
        written = Timestamp(Timestamp(self.time), delta=self.offset * 100_000)
        return {'name': f'{self.policy}:/' + '/'.join(PARTS), 'hash': self.time,
                'content_type': f'application/x-{self.op.lower()}', 'last_modified': written.isoformat}


@dataclass
class Cluster:
    """The interface of InternalClient and of the direct calls, as far as it is used; `changes`: what was asked."""
    world: World
    changes: list = field(default_factory=list)
    calls: int = 0
    container_ring = SimpleNamespace()

    def _call(self):
        self.calls += 1
        if self.calls in self.world.fails:
            raise UnexpectedResponse('503', SimpleNamespace(status_int=503, headers={}))
        if -self.calls in self.world.fails:
            raise OSError('the network is gone')

    def _copy(self, policy):
        return dict(self.world.copies).get(int(policy))

    # reads

    def iter_containers(self, account):
        return iter([])

    def iter_objects(self, account, container):
        return iter([self.world.row])

    def home(self, *asked):
        return self.world.home

    def container_facts(self, account, container):
        if self.world.home is None:
            raise Unknown
        return ContainerFacts(self.world.home, Timestamp.zero())

    def is_movable(self, policy_index):
        return policy_index not in self.world.closed

    def get_object_metadata(self, *parts, headers, acceptable_statuses):
        self._call()
        copy = self._copy(headers['X-Backend-Storage-Policy-Index'])
        return {'x-backend-timestamp': copy.time} if copy else {}

    def replicas(self, name, policy_index, with_handoffs):
        assert not with_handoffs
        try:
            found = self.get_object_metadata(headers={'X-Backend-Storage-Policy-Index': policy_index},
                                             acceptable_statuses=(2, 4))
        except UnexpectedResponse:
            return Replicas(1, 0, False, Timestamp.zero())
        return Replicas(1, 1, False, Timestamp(found.get('x-backend-timestamp', 0)))

    def get_object(self, *parts, headers, acceptable_statuses):
        self._call()
        copy = self._copy(headers['X-Backend-Storage-Policy-Index'])
        if copy is None:
            return 404, HeaderKeyDict(), None
        told = HeaderKeyDict({'X-Backend-Timestamp': copy.time, 'X-Timestamp': Timestamp(copy.time).normal})
        if copy.is_tombstone:
            return 404, told, None
        told.update({'Content-Length': str(len(BODY)), 'Content-Type': 'a/b;swift_bytes=7', 'Etag': 'e',
                     'X-Object-Sysmeta-Slo-Etag': 's', 'X-Object-Transient-Sysmeta-Crypto-Meta': 't',
                     'X-Delete-At': '4000000000', 'X-Static-Large-Object': 'True', 'X-Object-Meta-A': 'ü'})
        return 200, told, iter([BODY[:5], BODY[5:]])

    # changes

    def upload_object(self, fobj, *parts, headers):
        self.changes.append(('PUT', parts, dict(headers), fobj.read()))
        self._call()

    def delete_object(self, *parts, headers, acceptable_statuses=(2, 404)):
        self.changes.append(('DELETE', parts, dict(headers), tuple(acceptable_statuses)))
        self._call()

    def make_path(self, account, container):
        return account, container

    def make_request(self, method, path, headers, acceptable_statuses, body_file):
        """Many rows of the queue taken away by one request are as good as so many DELETEs."""
        assert (method, acceptable_statuses) == ('UPDATE', (2,))
        for row in json.load(body_file):
            name, at = row.pop('name'), row.pop('created_at')
            assert row == {'deleted': 1, 'size': 0, 'etag': 'noetag', 'content_type': 'application/deleted',
                           'storage_policy_index': 0}
            self.pop(None, *path, name, {'X-Timestamp': at})

    def pop(self, ring, account, container, name, headers):
        self.changes.append(('POP', (account, container, name), dict(headers)))


def upstream(world: World) -> list:
    """What upstream's daemon asks of the cluster in one pass."""
    cluster = Cluster(world)
    daemon = reconciler.ContainerReconciler({'reclaim_age': str(DAY)}, SILENT, cluster)
    daemon.can_reconcile_policy = cluster.is_movable
    with mock.patch.object(reconciler, 'direct_get_container_policy_index', cluster.home), \
            mock.patch.object(reconciler, 'direct_delete_container_entry', cluster.pop), \
            mock.patch.object(reconciler.time, 'time', lambda: NOW):
        daemon.reconcile()
    return cluster.changes


def ours(world: World) -> list:
    """What the mover asks of it."""
    cluster = Cluster(world)
    mover = Mover(cluster, cluster, cluster.is_movable, SILENT, Terms(reclaim_age=DAY), clock=lambda: NOW)
    queue = ReconcilerQueue(cluster, SILENT, DAY, ProcessShare(), lambda tries: 1.0, lambda: NOW)
    for row in queue.rows():
        outcome = mover.move(row.task)
        if outcome.is_done or outcome.is_lost:
            queue.pop(row)
    queue.flush()
    return cluster.changes
