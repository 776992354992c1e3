"""The arguments of a lab, checked, and the folder in which it lies."""
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..conf.files import write_whole

HOST = '127.0.0.1'
EC_FRAGMENTS = 3
SERVERS = ('account', 'container', 'object')
POLICY_NAME = re.compile(r'[A-Za-z0-9-]+')
REALM = 'lab'
FIRST_CLUSTER = 'lab'
CLUSTER_NAME = re.compile(r'[A-Za-z0-9_-]+')


class LabError(Exception):
    """Tell the fault and its remedy, in a sentence or a few; may quote the end of a log."""


class NoLab(LabError):
    """Tell that the folder holds no lab."""


def no_lab(folder: object) -> NoLab:
    """Make the error for a folder without a lab."""
    return NoLab(f'there is no lab in {folder}; put one up with: swiftahead lab up --dir {folder}')


@dataclass(frozen=True)
class LabSpec:
    """The arguments of a `Lab`, and the ports that its programs have been given.

    :param cluster: the lab's name in the realm
    :param peers: folders of all other labs of the realm
    """
    nodes: int = 4
    replicas: int = 3
    policies: tuple[str, ...] = ('gold', 'silver')
    proxies: int = 1
    latency_ms: float = 0
    filter: bool = True
    sidecar: bool = True
    filter_conf: dict = field(default_factory=dict)
    sidecar_conf: dict = field(default_factory=dict)
    workers: int = 1
    user: str = ''
    cluster: str = FIRST_CLUSTER
    peers: tuple[str, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self):
        for name in ('nodes', 'replicas', 'proxies', 'workers'):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise LabError(f'{name} = {getattr(self, name)}: must be a whole number of at least 1')
        if not isinstance(self.latency_ms, (int, float)) or not 0 <= self.latency_ms < float('inf'):
            raise LabError(f'latency_ms = {self.latency_ms}: must be a number of milliseconds of at least 0')
        if not self.policies:
            raise LabError('policies is empty: must hold at least one name')
        for name in self.policies:
            if not isinstance(name, str) or not POLICY_NAME.fullmatch(name):
                raise LabError(f'policy {name!r}: a name consists of letters, digits and dashes')
        # Swift takes Gold and gold for the same name
        if len({name.lower() for name in self.policies}) < len(self.policies):
            raise LabError(f'policies {", ".join(self.policies)}: each name may be there only once')
        if not CLUSTER_NAME.fullmatch(self.cluster):
            raise LabError(f'cluster {self.cluster!r}: a name consists of letters, digits, dashes and underscores')

    @staticmethod
    def is_ec(policy: str) -> bool:
        return policy.lower().startswith('ec')

    @property
    def node_numbers(self) -> range:
        return range(1, self.nodes + 1)

    @property
    def devices(self) -> list[str]:
        """Names of the devices that each node has: enough for every replica to have its own."""
        copies = max([self.replicas] + [EC_FRAGMENTS for policy in self.policies if self.is_ec(policy)])
        return [f'd{number + 1}' for number in range(-(-copies // self.nodes))]

    @property
    def port_names(self) -> list[str]:
        servers = [f'{server}{node}' for node in self.node_numbers for server in SERVERS]
        return ['memcached', 'rsync', 'status', *servers, *self.proxy_names]

    @property
    def proxy_names(self) -> list[str]:
        return [f'proxy{number + 1}' for number in range(self.proxies)]

    def holds_data_of(self, other: 'LabSpec') -> bool:
        """Tell whether objects stored under `other` can be found under this spec."""
        return ((self.nodes, self.replicas, self.policies)
                == (other.nodes, other.replicas, other.policies))

    def on_ports(self, ports: dict[str, int]) -> 'LabSpec':
        return replace(self, ports=ports)

    def write(self, path: Path) -> None:
        # open to other users, who may ask for the lab's state
        write_whole(path, [json.dumps(asdict(self), indent=1, default=str).encode()], '.new', mode=0o666)

    @classmethod
    def read(cls, path: Path) -> 'LabSpec | None':
        """Read a spec; None: there is no file."""
        try:
            fields = json.loads(path.read_text())
            peers = tuple(fields.get('peers', ()))
            return cls(**{**fields, 'policies': tuple(fields['policies']), 'peers': peers})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LabError(f'{path} cannot be read as that of a lab ({error}); remove its folder') from error


@dataclass(frozen=True)
class LabLayout:
    """Paths in a lab's folder."""
    folder: Path

    @property
    def etc(self) -> Path:
        return self.folder / 'etc'

    @property
    def cache(self) -> Path:
        """Cache folder of filter and sidecar; the sidecar makes it."""
        return self.folder / 'cache'

    @property
    def queue(self) -> Path:
        return self.cache / 'queue.db'

    @property
    def bin(self) -> Path:
        return self.folder / 'bin'

    @property
    def run(self) -> Path:
        return self.folder / 'run'

    @property
    def logs(self) -> Path:
        return self.folder / 'logs'

    @property
    def spec(self) -> Path:
        return self.folder / 'lab.json'

    def node(self, number: int) -> Path:
        return self.folder / f'node{number}'

    def recon(self, number: int) -> Path:
        return self.run / f'recon{number}'

    def server_conf(self, server: str, number: int) -> Path:
        return self.etc / f'{server}-server' / f'{number}.conf'

    def syncer_conf(self, number: int) -> Path:
        return self.etc / 'syncer' / f'{number}.conf'
