"""A lab: a whole Swift cluster in one folder."""
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..conf.files import try_lock
from .confs import memcached, write_confs
from .peers import find_peers, join
from .prerequisites import Reservation, check_folder, tool
from .programs import Program, Runner, Started, programs, write_scripts
from .spec import FIRST_CLUSTER, HOST, LabError, LabLayout, LabSpec, no_lab

USER, KEY = 'test:tester', 'testing'


class Lab:
    """One lab. Its state is in its folder, so that `Lab.load` finds it again from anywhere.

    :param folder: where everything is put; made if it is not there
    :param policies: names in the order of their indexes, the first is the default; a name that starts with
        ``ec`` is an erasure-coding policy of 2 and 1 fragments, others replicate
    :param latency_ms: milliseconds by which object servers delay each request of a proxy
    :param filter: whether the proxies have the prefetch filter
    :param sidecar: whether the sidecar is started; its conf is there in any case
    :param filter_conf: further options for ``[filter:prefetch]``
    :param sidecar_conf: further options for the sidecar, section -> option -> value
    :param workers: number of workers of each proxy
    :param user: user of proxies and sidecar if root puts the lab up; storage servers are root's then
    :param cluster: its name in the realm of its peers; by default the one it has had, or the next free of lab,
        lab2, lab3
    :param peers: folders of labs to sync containers with, running or not; theirs know this one from then on
    :raises LabError: where these arguments make no sense
    """

    def __init__(self, folder, nodes=4, replicas=3, policies=('gold', 'silver'), proxies=1, latency_ms=0,
                 filter=True, sidecar=True, filter_conf=None, sidecar_conf=None, workers=1, user='',
                 cluster='', peers=()):
        names = (policies,) if isinstance(policies, str) else tuple(policies)
        self._set(folder, LabSpec(nodes, replicas, names, proxies, latency_ms, bool(filter), bool(sidecar),
                               dict(filter_conf or {}), dict(sidecar_conf or {}), workers, user,
                               cluster or FIRST_CLUSTER), cluster, peers)

    def _set(self, folder, spec, cluster='', peers=()):
        self.layout = LabLayout(_absolute(folder))
        self._spec = spec
        self._runner = Runner(self.layout)
        self._cluster_wanted = cluster
        self._new_peers = [_absolute(peer) for peer in ([peers] if isinstance(peers, (str, Path)) else peers)]
        if self.folder in self._new_peers:
            raise LabError(f'{self.folder} cannot be a peer of itself; name the folder of another lab')

    @classmethod
    def load(cls, folder) -> 'Lab':
        """Find the lab that was put up in `folder`, whether it still runs or not."""
        spec = LabSpec.read(LabLayout(_absolute(folder)).spec)
        if not spec:
            raise no_lab(folder)
        lab = cls.__new__(cls)
        lab._set(folder, spec)
        return lab

    def __enter__(self) -> 'Lab':
        self.up()
        return self

    def __exit__(self, *_):
        self.down()

    # -- the whole -------------------------------------------------------------------------------------

    def up(self) -> None:
        """Put the lab up and wait until every program answers.

        :raises LabError: names the fault; everything that was started is taken down again
        """
        for name in ('memcached', 'rsync'):
            tool(name)
        check_folder(self.layout)
        with self._alone():
            if self._runner.processes():
                raise LabError(f'the lab in {self.folder} is up already; take it down first with: '
                               f'swiftahead lab down --dir {self.folder}')
            try:
                self._start_all()
            except BaseException:
                # an interrupt from the keyboard too
                self.down()
                raise

    def _start_all(self):
        before = LabSpec.read(self.layout.spec)
        if before and not self._spec.holds_data_of(before):
            raise LabError(f'{self.folder} holds a lab with {before.nodes} nodes, {before.replicas} replicas '
                           f'and policies {",".join(before.policies)}; give the same ones, or another folder')
        with Reservation() as reservation:
            ports = before.ports if before else {}
            self._spec = self._spec.on_ports(
                {name: reservation.take(ports.get(name)) for name in self._spec.port_names})
            self._make_folders()
            self._spec = join(self.folder, self._spec, self._cluster_wanted, self._new_peers)
            self._write_files()
            self._runner.wait_until_ready([self._runner.start(program)
                                           for program in self._programs.values() if program.always])

    def _make_folders(self):
        layout, spec = self.layout, self._spec
        for folder in (layout.etc, layout.run, layout.logs):
            folder.mkdir(exist_ok=True)
        for node in spec.node_numbers:
            layout.recon(node).mkdir(exist_ok=True)
            for device in spec.devices:
                (layout.node(node) / device).mkdir(parents=True, exist_ok=True)

    def _write_files(self):
        # imported here since most commands and programs do not need Swift's ring builder
        from .placement import write_rings
        layout, spec = self.layout, self._spec
        write_confs(spec, layout)
        write_scripts(layout, {program.script for program in self._programs.values() if program.script})
        write_rings(spec, layout.etc)

    def down(self) -> None:
        """End every process of the lab, whoever started it. Its files stay."""
        self._runner.stop_all()
        self._runner.wait_until_closed(list(self._spec.ports.values()))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with open(self.layout.folder / 'lock', 'w') as lock:
            if not try_lock(lock.fileno()):
                raise LabError(f'the lab in {self.folder} is just being put up by another process')
            yield

    def status(self) -> list[dict]:
        """Tell name, pid, port and alive of each program that belongs to the lab or runs in it."""
        rows = []
        for program in self._programs.values():
            pid = self._runner.pid(program.name)
            if program.always or pid:
                rows.append({'name': program.name, 'pid': pid, 'port': program.port,
                             'alive': pid is not None})
        return rows

    # -- single programs -------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start programs and wait until they answer; also background daemons such as ``object-updater1``."""
        wanted = [self._program(name) for name in names]
        started: list[Started] = []
        try:
            for program in wanted:
                started.append(self._runner.start(program))
            self._runner.wait_until_ready(started)
        except BaseException:
            for one in started:
                self.stop(one.program.name)
            raise

    def stop(self, name: str, signal: int = signal.SIGTERM) -> None:
        """End a program with `signal`, and kill the rest of it after ten seconds.

        SIGKILL goes to all of its processes, others to the first, which hands them on.
        """
        self._program(name)
        self._runner.stop(name, signal)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def pid(self, name: str) -> int | None:
        """Give the pid of the program's first process; None: it does not run."""
        self._program(name)
        return self._runner.pid(name)

    def log(self, name: str) -> Path:
        self._program(name)
        return self._runner.log(name)

    def run_daemon(self, kind: str, node: int = 1, once: bool = True, timeout: float = 60) -> str:
        """Make one pass of a daemon such as ``container-replicator``, or start it for good.

        :param node: meaningless for ``object-expirer`` and ``container-reconciler``
        :returns: the log of a pass
        """
        name = kind if kind in self._programs else f'{kind}{node}'
        program = self._program(name)
        if not once:
            self.start(name)
            return ''
        return self._runner.run_once(program, timeout)

    # -- places and addresses --------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self.layout.folder

    @property
    def swift_dir(self) -> Path:
        return self.layout.etc

    @property
    def cache_dir(self) -> Path:
        return self.layout.cache

    @property
    def cluster(self) -> str:
        """Name of the lab in the realm."""
        return self._spec.cluster

    @property
    def peers(self) -> dict[str, Path]:
        """Folders of the other labs of the realm, by their names in it."""
        return {spec.cluster: folder for folder, spec in find_peers(self.folder).items()}

    @property
    def urls(self) -> list[str]:
        """URLs of the proxies."""
        return [f'http://{HOST}:{self._programs[name].port}' for name in self._spec.proxy_names]

    @property
    def memcached(self) -> str:
        """Address of memcached, host:port."""
        self._need_ports()
        return memcached(self._spec)

    def auth_url(self, proxy: int = 0) -> str:
        return f'{self.urls[proxy]}/auth/v1.0'

    def conf_path(self, name: str) -> Path:
        conf = self._program(name).conf
        if not conf:
            raise LabError(f'{name} has no conf file')
        return conf

    def environ(self) -> dict[str, str]:
        """Give the environment variables of a Swift client."""
        return {'ST_AUTH': self.auth_url(), 'ST_USER': USER, 'ST_KEY': KEY, 'SWIFT_DIR': str(self.swift_dir)}

    @property
    def _programs(self) -> dict[str, Program]:
        self._need_ports()
        return programs(self._spec, self.layout)

    def _program(self, name) -> Program:
        found = self._programs.get(name)
        if not found:
            known = ', '.join(program.name for program in self._programs.values())
            raise LabError(f'there is no program {name} in this lab; there are {known}')
        return found

    def _need_ports(self):
        if not self._spec.ports:
            raise LabError(f'the lab in {self.folder} has not been put up yet')


def _absolute(folder):
    return Path(folder).expanduser().resolve()
