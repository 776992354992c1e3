"""Find where a lab's rings put a name, and read from the disks which files lie there."""
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from swift.common.ring import RingBuilder
from swift.common.ring.ring import RingData
from swift.common.utils import readconf

from .spec import EC_FRAGMENTS, HOST, LabLayout, LabSpec

PART_POWER = 6
# the same lab gets the same rings again, even on other ports, so that its data is found
SEED = 'swiftahead'


@dataclass(frozen=True)
class Primary:
    """One of the devices where a ring wants a name."""
    node: int
    device: str
    port: int


@dataclass(frozen=True)
class Replica:
    """The answer of one primary about a container.

    :param status: status of the answer; 404 for a deleted container too
    :param names: names of the listed rows
    """
    node: int
    status: int
    policy: int | None
    names: tuple[str, ...] = ()


class Placement:
    """The places of names in a lab's rings and on its disks.

    `path` is account, container and object, or the first of these.
    """

    def __init__(self, layout: LabLayout):
        self._layout = layout
        salt = readconf(str(layout.etc / 'swift.conf'), 'swift-hash')
        self._salt = tuple(salt[f'swift_hash_path_{end}'] for end in ('prefix', 'suffix'))
        self._rings: dict[str, dict] = {}

    def hash(self, *path: str) -> str:
        """Hash a name by the lab's salt: Swift's own function has one for the whole process."""
        prefix, suffix = self._salt
        return md5(f'{prefix}/{"/".join(path)}{suffix}'.encode(), usedforsecurity=False).hexdigest()

    def primaries(self, ring: str, *path: str) -> list[Primary]:
        """Give the primaries of a name. :param ring: account, container, object, or object-1 and so on"""
        data = self._ring(ring)
        part = self._part(data, *path)
        devices = [data['devs'][row[part]] for row in data['replica2part2dev_id']]
        return [Primary(device['zone'], device['device'], device['port']) for device in devices]

    def _ring(self, name):
        if name not in self._rings:
            self._rings[name] = RingData.load(str(self._layout.etc / f'{name}.ring.gz')).to_dict()
        return self._rings[name]

    def _part(self, data, *path):
        return struct.unpack_from('>I', bytes.fromhex(self.hash(*path)))[0] >> data['part_shift']

    def urls(self, ring: str, path: tuple[str, ...], *more: str) -> list[str]:
        """Give a name's URL on each of its primaries. :param more: path behind the name; changes no place"""
        part = self._part(self._ring(ring), *path)
        ending = quote('/'.join((*path, *more)))
        return [f'http://{HOST}:{one.port}/{one.device}/{part}/{ending}' for one in self.primaries(ring, *path)]

    def files(self, policy: int, *path: str) -> dict[int, list[str]]:
        """Find the files of an object in one policy, on primaries and handoffs: node -> names."""
        found: dict[int, list[str]] = {}
        for folder in self._folders(policy, *path):
            number = int(folder.relative_to(self._layout.folder).parts[0].removeprefix('node'))
            names = [file.name for file in folder.iterdir()]
            if names:
                found.setdefault(number, []).extend(sorted(names))
        return found

    def _folders(self, policy, *path) -> Iterator[Path]:
        name = self.hash(*path)
        part = self._part(self._ring(ring_name(policy)), *path)
        kind = 'objects' + (f'-{policy}' if policy else '')
        return self._layout.folder.glob(f'node*/d*/{kind}/{part}/{name[-3:]}/{name}')

    def replicas(self, *path: str) -> list[Replica]:
        """Ask each primary of a container; a server that does not run is left out."""
        part = self._part(self._ring('container'), *path)
        asked = (self._ask(one, part, path) for one in self.primaries('container', *path))
        return [replica for replica in asked if replica]

    def _ask(self, primary, part, path):
        client = HTTPConnection(HOST, primary.port, timeout=20)
        try:
            client.request('GET', quote(f'/{primary.device}/{part}/{"/".join(path)}') + '?format=json',
                           headers={'X-Backend-Allow-Reserved-Names': 'true'})
            answer = client.getresponse()
            rows = json.loads(answer.read() or '[]') if answer.status == 200 else []
            policy = answer.getheader('X-Backend-Storage-Policy-Index')
            return Replica(primary.node, answer.status, None if policy is None else int(policy),
                           tuple(row['name'] for row in rows))
        except ConnectionRefusedError:
            return None
        finally:
            client.close()


def ring_name(policy: int) -> str:
    return 'object' + (f'-{policy}' if policy else '')


def write_rings(spec: LabSpec, etc: Path) -> None:
    for server in ('account', 'container'):
        _write_ring(spec, etc / f'{server}.ring.gz', server, spec.replicas)
    for index, policy in enumerate(spec.policies):
        replicas = EC_FRAGMENTS if spec.is_ec(policy) else spec.replicas
        _write_ring(spec, etc / f'{ring_name(index)}.ring.gz', 'object', replicas)


def _write_ring(spec, path, server, replicas):
    builder = RingBuilder(PART_POWER, replicas, 0)
    for node in spec.node_numbers:
        for device in spec.devices:
            port = spec.ports[f'{server}{node}']
            builder.add_dev({'region': 1, 'zone': node, 'ip': '127.0.0.1', 'port': port, 'weight': 1.0,
                             'replication_ip': '127.0.0.1', 'replication_port': port, 'device': device})
    builder.rebalance(seed=SEED)
    builder.get_ring().save(str(path))
