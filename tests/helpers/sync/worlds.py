"""Worlds of containers to be synced, real databases and rings, on which our syncer and upstream's make passes.

The clusters are in memory and the databases are not. Above the requests all is each syncer's own.
"""
import itertools
import shutil
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from urllib.parse import urlsplit

from helpers.common.builders import NOW, never
from helpers.sync.memory import CONTAINER, Cluster, Network, Refused
from helpers.sync.sites import ONE_WAY, SILENT, Site
from swift.common.exceptions import ClientException
from swift.common.utils import Timestamp, decode_timestamps, hash_path, storage_directory
from swift.container import sync
from swift.container.backend import ContainerBroker
from swift.container.sync_store import ContainerSyncStore

from swiftahead.conf import SYNCER
from swiftahead.sidecar.syncer import part
from swiftahead.sidecar.syncer.part import SyncerPart
from swiftahead.sidecar.syncer.remote import Destination, Found, RemoteFailed
from swiftahead.sidecar.syncer.source import SyncedContainer

NUMBERS = itertools.count()
# more than any failed row waits
HOUR = 3700.0


@dataclass
class Node:
    """A server with one of a container's databases."""
    host: str
    ordinal: int
    port: int
    devices: Path
    broker: ContainerBroker

    @property
    def points(self) -> tuple[int, int]:
        info = self.broker.get_info()
        return info['x_container_sync_point1'], info['x_container_sync_point2']

    def rows_between(self, first: int, last: int) -> list[dict]:
        return [row for row in self.broker.get_items_since(first, 1000) if row['ROWID'] <= last]


@dataclass
class World:
    """
    :param ways: host -> host that its container is synced to
    :param now: the clock, which is moved by hand
    :param wrong: tells where a second sync point stood above a row that was not sent
    """
    site: Site
    folder: Path
    replicas: int = 1
    ways: dict[str, str] = field(default_factory=lambda: ONE_WAY)
    now: float = NOW
    dry_run: bool = False
    concurrency: int = 8
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.network = Network({host: Cluster() for host in {*self.ways, *self.ways.values()}})
        self.nodes = [self._node(host, *place) for host in self.ways for place in enumerate(
            self.site.ring(self.replicas).get_nodes(*CONTAINER)[1])]

    def _node(self, host, ordinal, place):
        devices = self.folder / f'{host}{ordinal}'
        hashed = hash_path(*CONTAINER)
        partition = self.site.ring(self.replicas).get_part(*CONTAINER)
        path = devices / 'd' / storage_directory('containers', partition, hashed) / f'{hashed}.db'
        path.parent.mkdir(parents=True)
        shutil.copy(self.site.database(self.ways[host]), path)
        broker = ContainerBroker(str(path), account=CONTAINER[0], container=CONTAINER[1], logger=SILENT)
        ContainerSyncStore(str(devices), SILENT, False).update_sync_store(broker)
        self.network.clusters[host].brokers.append(broker)
        return Node(host, ordinal, place['port'], devices, broker)

    def close(self) -> None:
        for node in self.nodes:
            if node.broker.conn:
                node.broker.conn.close()
        shutil.rmtree(self.folder)

    @property
    def source(self) -> Cluster:
        return self.network.clusters['a']

    @property
    def remote(self) -> Cluster:
        return self.network.clusters['b']

    def conf(self, node: Node) -> dict[str, str]:
        return {'devices': str(node.devices), 'mount_check': 'off', 'bind_ip': '127.0.0.1',
                'bind_port': str(node.port)}


def world_of(site: Site, *more, **of) -> World:
    return World(site, site.folder / f'world{next(NUMBERS)}', *more, **of)


class OurRequests:
    """Stands for Remote."""

    def __init__(self, network: Network):
        self._network = network

    def head(self, destination: Destination, name: str, timestamp: Timestamp, newest: bool = True) -> Found | None:
        # somebody else writes right before what follows the last HEAD
        late = None if newest else self._network.races.pop(name, None)
        try:
            found = self._told(self._network.head, destination, name).answer
        except RemoteFailed as error:
            if error.status != 404:
                raise
            return None
        finally:
            if late is not None:
                self._network.races[name] = late
        return Found(Timestamp(found['x-timestamp']), found['etag'], int(found['content-length']), found)

    def put(self, destination, name, headers, body, length):
        self._network.races.pop(name, lambda: None)()
        return self._told(self._network.put, destination, name, headers, body, length)

    def post(self, destination, name, headers):
        return self._told(self._network.post, destination, name, headers)

    def delete(self, destination, name, timestamp):
        return self._told(self._network.delete, destination, name, timestamp)

    def created(self, destination) -> Timestamp:
        """Give a time that no container of these worlds was made at."""
        return Timestamp(NOW)

    def close(self) -> None:
        pass

    def _told(self, request: Callable, destination, name, *more):
        try:
            found = request(urlsplit(destination.url).netloc, name, *more)
        except Refused as error:
            self._network.step('answer', name)
            raise RemoteFailed(f'answers {error.status}', error.status, '') from None
        self._network.step('answer', name)
        if found in (404, 409) and request != self._network.delete:
            raise RemoteFailed(f'answers {found}', found, '')
        return found


def is_sent(row: dict, remote: Cluster) -> bool:
    """Tell whether the other cluster has what the row tells, or something newer."""
    data, _, meta = decode_timestamps(row['created_at'])
    found = remote.of(row['name'])
    return found.data >= data if row['deleted'] else found.time >= meta


def _watched(world: World):
    inner = SyncedContainer.set_points

    def set_points(container, point1, point2):
        remote = world.network.clusters[world.ways[container_host(world, container)]]
        world.wrong += [f'row {row["ROWID"]} is not sent, and the second point is {point2}'
                        for row in container.rows_after(-1) if point2 is not None and row['ROWID'] <= point2
                        if not is_sent(row, remote)]
        world.network.step('points', '')
        inner(container, point1, point2)
        world.network.step('points are set', '')
    return set_points


def container_host(world: World, container: SyncedContainer) -> str:
    return next(node.host for node in world.nodes if node.broker.db_file == container.broker.db_file)


@contextmanager
def our_part(world: World, node: Node):
    """Give the syncer of a process that has just begun."""
    parser = ConfigParser()
    parser.add_section(part.SECTION)
    settings = SimpleNamespace(
        syncer=SYNCER.read({**world.conf(node), 'enabled': 'on', 'dry_run': str(world.dry_run),
                            'sync_row_concurrency': str(world.concurrency)}, {}),
        sidecar=SimpleNamespace(swift_dir=str(world.site.swift_dir(world.replicas))),
        client=SimpleNamespace(parser=parser))
    with mock.patch.multiple(
            part, source_client=lambda settings: world.network.client(node.host),
            Remote=lambda *_: OurRequests(world.network), get_logger=lambda *_, **__: SILENT,
            running_on=lambda devices: None), mock.patch.object(SyncedContainer, 'set_points', _watched(world)):
        syncer = SyncerPart(settings, SILENT, lambda: world.now)
        try:
            yield syncer
        finally:
            syncer._close()


def ours(world: World, node: Node) -> None:
    """Make a pass."""
    with our_part(world, node) as syncer:
        syncer.once(never)


@contextmanager
def upstreams_requests(network: Network):
    """Stand where upstream's daemon makes its requests."""
    def told(request, url, name, *more):
        try:
            found = request(urlsplit(url).netloc, name, *more)
        except Refused as error:
            raise ClientException('refused', http_status=error.status) from None
        if found in (404, 409):
            raise ClientException('refused', http_status=found)
        return found

    def head_object(url, name, **_):
        return told(network.head, url, name).answer, b''

    def put_object(url, name, headers, contents, **_):
        told(network.put, url, name, headers, contents)

    def delete_object(url, name, headers, **_):
        told(network.delete, url, name, Timestamp(headers['x-timestamp']))

    with mock.patch.multiple(sync, head_object=head_object, put_object=put_object, delete_object=delete_object):
        yield


def upstream(world: World, node: Node) -> None:
    """Make a pass of upstream's daemon."""
    with mock.patch.object(sync, 'InternalClient', lambda *_, **__: world.network.client(node.host)):
        daemon = sync.ContainerSync(
            {**world.conf(node), 'swift_dir': str(world.site.swift_dir(world.replicas))}, logger=SILENT,
            container_ring=world.site.ring(world.replicas))
    with upstreams_requests(world.network):
        daemon.run_once()
