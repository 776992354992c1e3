"""The programs of a lab: how each is started, and when it is ready."""
import http.client
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from swift.common.utils import config_true_value, readconf

from . import process
from .confs import CLUSTER_DAEMONS, DAEMONS, user
from .prerequisites import is_open, tool
from .spec import HOST, SERVERS, LabError, LabLayout, LabSpec

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
TAIL_LINES = 20
SCRIPT = """\
#!{python}
import sys
from swiftahead.lab.launch import main
sys.exit(main({swift_dir!r}))
"""


@dataclass(frozen=True)
class Program:
    """A program of a lab.

    :param script: console script of which the lab has a copy; '' for a program that is not in Python
    :param port: the port on which it listens, or None
    :param always: whether it belongs to a lab that is up
    """
    name: str
    script: str
    conf: Path | None
    port: int | None = None
    always: bool = True

    def arguments(self, layout: LabLayout, *more: str) -> list[str]:
        """Give the command line."""
        if self.name == 'memcached':
            run_as = ['-u', user()] if os.geteuid() == 0 else []
            return [tool('memcached'), '-l', HOST, '-p', str(self.port), '-U', '0', '-m', '64', *run_as]
        if self.name == 'rsync':
            return [tool('rsync'), '--daemon', '--no-detach', f'--config={self.conf}']
        return [sys.executable, str(layout.bin / self.script), str(self.conf), *more]

    def is_ready(self, said: str) -> bool:
        """Tell whether the program can do its work. :param said: its log since it was started"""
        if not self.port:
            # Swift's daemons log this when their conf has been read
            return 'Starting ' in said and self._has_cache_folder()
        return is_open(self.port) and (not self.script or _is_healthy(self.port))

    def _has_cache_folder(self):
        """Tell whether the sidecar has made the cache folder: until then the filter passes everything through."""
        if self.name != 'sidecar':
            return True
        conf = readconf(str(self.conf))
        # where the prefetcher is off no cache folder is made
        enabled = config_true_value(conf.get('prefetcher', {}).get('enabled', 'on'))
        return not enabled or os.path.isdir(conf['sidecar']['cache_dir'])


def programs(spec: LabSpec, layout: LabLayout) -> dict[str, Program]:
    """Give all programs that a lab can run, by name, in the order of their start."""
    found = [Program('memcached', '', None, spec.ports['memcached']),
             Program('rsync', '', layout.etc / 'rsyncd.conf', spec.ports['rsync'])]
    for node in spec.node_numbers:
        for server in SERVERS:
            name, conf = f'{server}{node}', layout.server_conf(server, node)
            found.append(Program(name, f'swift-{server}-server', conf, spec.ports[name]))
            found += [Program(f'{daemon}{node}', f'swift-{daemon}', conf, always=False)
                      for daemon in DAEMONS[server]]
        found.append(Program(f'syncer{node}', 'swiftahead-sidecar', layout.syncer_conf(node), always=False))
    for number, name in enumerate(spec.proxy_names, 1):
        found.append(Program(name, 'swift-proxy-server', layout.server_conf('proxy', number),
                             spec.ports[name]))
    found.append(Program('sidecar', 'swiftahead-sidecar', layout.etc / 'swiftahead-sidecar.conf',
                         always=spec.sidecar))
    found += [Program(name, f'swift-{name}', layout.etc / f'{name}.conf', always=False)
              for name in CLUSTER_DAEMONS]
    return {program.name: program for program in found}


def write_scripts(layout: LabLayout, names: set[str]) -> None:
    """Write the lab's copies of console scripts; `lab.launch` says why."""
    layout.bin.mkdir(exist_ok=True)
    for name in names:
        path = layout.bin / name
        path.write_text(SCRIPT.format(python=sys.executable, swift_dir=str(layout.etc)))
        path.chmod(0o755)


def _is_healthy(port):
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request('GET', '/healthcheck')
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(frozen=True)
class Started:
    """A program that was started. :param offset: length of the log at the start"""
    program: Program
    pid: int
    offset: int


class Runner:
    def __init__(self, layout: LabLayout):
        self.layout = layout
        # children of this process, which it has to collect when they end
        self._children: set[int] = set()

    def log(self, name: str) -> Path:
        return self.layout.logs / f'{name}.log'

    def start(self, program: Program, *more: str) -> Started:
        """Start a program, and do not wait. :param more: further arguments"""
        # the first process alone counts: workers of an earlier start may still be answering
        if self.pid(program.name):
            raise LabError(f'{program.name} is running already; stop it first')
        log = self.log(program.name)
        offset = log.stat().st_size if log.exists() else 0
        pid = process.spawn(self.layout.folder, program.name, program.arguments(self.layout, *more), log)
        self._children.add(pid)
        found = process.read(pid)
        # where it has ended already, no process can match
        self._pid_file(program.name).write_text(f'{pid} {found.started if found else 0}')
        return Started(program, pid, offset)

    def wait_until_ready(self, started: list[Started]) -> None:
        """Wait until all of the programs are ready.

        :raises LabError: names the program that ended, or was not ready in time
        """
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(started)
        while waiting:
            for one in started:
                if not process.read(one.pid):
                    raise LabError(f'{one.program.name} ended while it was started; {self.tail(one)}')
            waiting = [one for one in waiting if not one.program.is_ready(self.said(one))]
            if waiting and time.monotonic() > deadline:
                raise LabError(f'{waiting[0].program.name} was not ready within {READY_SECONDS:g} seconds; '
                               + self.tail(waiting[0]))
            if waiting:
                time.sleep(process.POLL)

    def run_once(self, program: Program, seconds: float) -> str:
        """Make one pass of a daemon. :returns: its log"""
        started = self.start(program, 'once')
        code = None

        def has_ended():
            nonlocal code
            code = process.exit_code(started.pid)
            return code is not None

        if not process.wait_until(has_ended, seconds):
            self.stop(program.name, signal.SIGKILL)
            raise LabError(f'{program.name} was not done within {seconds:g} seconds; {self.tail(started)}')
        self._children.discard(started.pid)
        if code:
            raise LabError(f'{program.name} ended with {code}; {self.tail(started)}')
        return self.said(started)

    def said(self, started: Started) -> str:
        """Read the program's log since it was started."""
        try:
            with open(self.log(started.program.name), 'rb') as log:
                log.seek(started.offset)
                return log.read().decode('utf-8', 'replace')
        except FileNotFoundError:
            return ''

    def tail(self, started: Started) -> str:
        lines = self.said(started).splitlines()[-TAIL_LINES:]
        return '\n'.join([f'the end of {self.log(started.program.name)}:', *lines])

    def pid(self, name: str) -> int | None:
        """Give the pid of the program's first process; None: it does not run."""
        recorded, started = self._recorded(name)
        found = process.read(recorded)
        is_it = found and found.started == started and process.belongs(recorded, self.layout.folder)
        return recorded if is_it else None

    def processes(self, name: str | None = None) -> list[process.Process]:
        """Find the processes of the lab, or of a program, even workers whose first process is gone."""
        self._children -= {pid for pid in self._children if process.exit_code(pid) is not None}
        return process.processes(self.layout.folder, name)

    def stop(self, name: str, signum: int) -> None:
        process.end(lambda: self.processes(name), signum, STOP_SECONDS)

    def stop_all(self) -> None:
        process.end(self.processes, signal.SIGTERM, STOP_SECONDS)

    def wait_until_closed(self, ports: list[int]) -> None:
        """Wait for the ports: an ended process with threads may hold its own for a moment."""
        process.wait_until(lambda: not any(is_open(port) for port in ports), STOP_SECONDS)

    def _pid_file(self, name):
        return self.layout.run / f'{name}.pid'

    def _recorded(self, name):
        try:
            pid, started = self._pid_file(name).read_text().split()
        except (FileNotFoundError, ValueError):
            return 0, 0
        return int(pid), int(started)
