"""The source of a sync: containers of this node that are to be synced, and their objects.

Which they are is upstream's rule: the sync store of each device lists them; a node has a share of those of whose
databases it is a primary. Objects are read through Swift's InternalClient, the newest of all copies.
"""
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import unpack_from

from swift.common.db import DatabaseConnectionError
from swift.common.exceptions import LockTimeout
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.middleware.versioned_writes.object_versioning import SYSMETA_VERSIONS_CONT
from swift.common.ring import Ring
from swift.common.ring.utils import is_local_device
from swift.common.utils import (
    Timestamp,
    close_if_possible,
    drain_and_close,
    hash_path,
    quote,
    validate_sync_to,
    whataremyips,
)
from swift.container.backend import SHARDED, SHARDING, ContainerBroker
from swift.container.sync_store import ContainerSyncStore

from .destination import Destination, Realms
from .wire import lower

BATCH = 1000
# headers that Swift's filter `encryption` takes out again when it decrypts
ENCRYPTED = ('x-object-sysmeta-crypto-', 'x-object-transient-sysmeta-crypto-')


class NotSynced(Exception):
    """A container that is not synced: why, and how to mend it.

    :param is_failure: whether somebody has to mend it
    """

    def __init__(self, why: str, remedy: str = '', is_failure: bool = True):
        super().__init__(why)
        self.why, self.remedy, self.is_failure = why, remedy, is_failure
        # account, container and X-Container-Sync-To, where they are known
        self.named: tuple[str, str, str] | None = None


class SourceFailed(Exception):
    """An object that cannot be read, or not yet: why, and how to mend it."""

    def __init__(self, why: str, remedy: str = ''):
        super().__init__(why)
        self.why, self.remedy = why, remedy


@dataclass
class SyncedContainer:
    """A container that this node syncs, as its database has it now.

    :param device: folder of its device
    :param ordinal: which of the `replicas` primaries this node is, from 0
    """
    broker: ContainerBroker
    device: Path
    account: str
    name: str
    db_id: str
    policy_index: int
    ordinal: int
    replicas: int
    point1: int
    point2: int
    created: Timestamp
    sync_to: str
    destination: Destination

    @property
    def path(self) -> str:
        return path_of(self.account, self.name)

    def rows_after(self, row: int, count: int = BATCH) -> list[dict]:
        return self.broker.get_items_since(row, count)

    def max_row(self) -> int:
        return self.broker.get_max_row()

    def is_ours(self, row: dict) -> bool:
        """Tell whether the row is in this node's share of what is new."""
        digest = hash_path(self.account, self.name, row['name'], raw_digest=True)
        return unpack_from('>I', digest)[0] % self.replicas == self.ordinal

    def set_points(self, point1: int | None, point2: int | None) -> None:
        self.broker.set_x_container_sync_points(point1, point2)


def path_of(account: str, container: str) -> str:
    """Give the name of a container as ledgers and log have it."""
    return f'{quote(account)}/{quote(container)}'


class Containers:
    """The containers of this node that are to be synced.

    :param syncer: the section [syncer]
    :param swift_dir: where rings and realms are
    """

    def __init__(self, syncer, swift_dir: str, logger):
        self._logger = logger
        self._is_dry = syncer.dry_run
        self._devices = Path(syncer.devices).resolve()
        self.store = ContainerSyncStore(syncer.devices, logger, syncer.mount_check)
        self.ring = Ring(swift_dir, ring_name='container')
        self._realms = Realms(swift_dir, logger)
        self._hosts = list(syncer.allowed_sync_hosts)
        self._ips = whataremyips(syncer.bind_ip)
        self._port = syncer.bind_port

    def __iter__(self) -> Iterator[str]:
        """Give the paths of their databases."""
        return self.store.synced_containers_generator()

    def device(self, path: str) -> Path:
        """Give the folder of the device on which a database lies."""
        return self._devices / Path(path).resolve().relative_to(self._devices).parts[0]

    def open(self, path: str) -> SyncedContainer | None:
        """Read a container's database; None where it is none of this node's to sync.

        :raises NotSynced: where it should be synced, and cannot
        """
        try:
            broker = ContainerBroker(path, logger=self._logger)
            info = self._info(broker)
            return info and self._container(broker, info)
        except (sqlite3.DatabaseError, DatabaseConnectionError, LockTimeout, OSError) as error:
            raise NotSynced(f'its database {path} cannot be read: {error}',
                            'if it is damaged, Swift\'s container-auditor sets it aside and a replica brings '
                            'another') from None

    def _info(self, broker):
        try:
            return broker.get_info()
        except DatabaseConnectionError as error:
            if not str(error).endswith("DB doesn't exist"):
                raise
            # the store's link outlived it
            if not self._is_dry:
                self.store.remove_synced_container(broker)
            return None

    def _container(self, broker, info):
        account, name = info['account'], info['container']
        _, nodes = self.ring.get_nodes(account, name)
        ordinal = next((number for number, node in enumerate(nodes) if is_local_device(
            self._ips, self._port, node['ip'], node['port'])), None)
        if ordinal is None or broker.is_deleted():
            return None
        metadata = {key.lower(): value for key, (value, _) in broker.metadata.items()}
        sync_to, key = metadata.get('x-container-sync-to'), metadata.get('x-container-sync-key')
        if not sync_to or not key:
            raise NotSynced('it has no X-Container-Sync-To, or no X-Container-Sync-Key', 'set both, or neither',
                            is_failure=False)
        try:
            self._refuse(info, metadata)
            destination = read_destination(sync_to, key, self._hosts, self._realms)
        except NotSynced as error:
            error.named = account, name, sync_to
            raise
        return SyncedContainer(
            broker, self.device(broker.db_file), account, name, info['id'], info['storage_policy_index'], ordinal,
            len(nodes), info['x_container_sync_point1'], info['x_container_sync_point2'],
            Timestamp(info['created_at']), sync_to, destination)

    def _refuse(self, info, metadata):
        if metadata.get(SYSMETA_VERSIONS_CONT.lower()):
            raise NotSynced('it has object versioning, which cannot be synced',
                            'take X-Container-Sync-To away, or versioning', is_failure=False)
        if info['db_state'] in (SHARDING, SHARDED):
            raise NotSynced('it is sharded: its rows are in the databases of its shards, which are not synced',
                            'take X-Container-Sync-To away, and copy it by other means', is_failure=False)


def read_destination(sync_to: str, key: str, hosts: list[str], realms: Realms) -> Destination:
    """Read the X-Container-Sync-To of a container.

    :param key: its X-Container-Sync-Key
    :param hosts: those that full URLs may name
    :raises NotSynced: where it leads nowhere
    """
    error, url, realm, realm_key = validate_sync_to(sync_to, hosts, realms)
    if error or not url:
        raise NotSynced(error or 'its X-Container-Sync-To is empty',
                        'mend its X-Container-Sync-To, container-sync-realms.conf, or allowed_sync_hosts of '
                        '[syncer]')
    return Destination(url, realm, realm_key, key)


class SourceObjects:
    """Objects of this cluster, each the newest of its copies."""

    def __init__(self, swift: InternalClient):
        self._swift = swift

    def head(self, container: SyncedContainer, name: str, least: Timestamp) -> dict[str, str]:
        """Give an object's headers. :param least: its row's time :raises SourceFailed:"""
        response = self._request('HEAD', container, name, least)
        drain_and_close(response)
        return response.headers

    def get(self, container: SyncedContainer, name: str,
            least: Timestamp) -> tuple[dict[str, str], Iterator[bytes], Callable[[], None]]:
        """Give an object's headers, its body, and the call that ends the body. :raises SourceFailed:"""
        response = self._request('GET', container, name, least)
        return response.headers, iter(response.app_iter), lambda: close_if_possible(response.app_iter)

    def _request(self, method, container, name, least):
        headers = {'X-Newest': 'true', 'X-Backend-Storage-Policy-Index': str(container.policy_index)}
        path = self._swift.make_path(container.account, container.name, name)
        try:
            # links are kept as links; where the pipeline has no such filter, this says nothing
            response = self._swift.make_request(method, path, headers, (2,), params={'symlink': 'get'})
        except UnexpectedResponse as error:
            status = error.resp.status_int
            raise SourceFailed(
                f'its source answers {status} to a {method}',
                'its newest copy may not be there yet, or it has expired' if status == 404 else
                "see the log of the syncer's internal client") from None
        if Timestamp(response.headers.get('x-timestamp', 0)) < least:
            close_if_possible(response.app_iter)
            raise SourceFailed('the newest copy that can be read is older than its row',
                               'servers that hold the newest copy do not answer')
        if any(lower(key).startswith(ENCRYPTED) for key in response.headers):
            close_if_possible(response.app_iter)
            raise SourceFailed('its source was read as it is encrypted on the disks',
                               'put keymaster and encryption into the pipeline of internal_client_conf_path, as '
                               'the proxies have them')
        return response
