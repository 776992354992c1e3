"""Passes of a container-sync daemon between two labs: the requests that they took, and the CPU time."""
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.common import BenchError
from swiftahead.lab import Lab
from swiftahead.lab.process import LOG, MARK, NAME

# a line of Swift's proxy-logging; the last fields are the times of the request, its policy and its user
ACCESS = re.compile(r' (?P<method>[A-Z]+) /v1/(?P<path>\S+) HTTP/1\.\d (?P<status>\d{3}) .* '
                    r'(?P<begin>\d+\.\d+) (?P<end>\d+\.\d+) \S+ \S+$', re.MULTILINE)
PASS_SECONDS = 1800.0


@dataclass(frozen=True)
class Daemon:
    """A program that syncs containers.

    :param section: of its conf
    :param rows: at a time; 0: as many as is the default
    """
    program: str
    script: str
    section: str
    rows: int = 0

    def configure(self, lab: Lab) -> None:
        """Give it the time to send all rows of a container in one pass."""
        conf, path = RawConfigParser(delimiters=('=',), strict=False), lab.conf_path(self.program)
        conf.optionxform = str  # type: ignore[assignment,method-assign]
        conf.read(path)
        conf.set(self.section, 'container_time', str(int(PASS_SECONDS)))
        conf.remove_option(self.section, 'sync_row_concurrency')
        if self.rows:
            conf.set(self.section, 'sync_row_concurrency', str(self.rows))
        with path.open('w') as file:
            conf.write(file)

    @contextmanager
    def started(self, lab: Lab):
        """Begin a pass; give the process. It belongs to the lab, and is a child, so that its CPU time is known."""
        environ = {**os.environ, MARK: str(lab.folder), NAME: self.program, LOG: str(lab.log(self.program)),
                   'PYTHONSAFEPATH': '1'}
        command = [sys.executable, str(lab.layout.bin / self.script), str(lab.conf_path(self.program)), 'once']
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Request:
    """:param begin: seconds since the epoch"""
    method: str
    status: int
    begin: float
    end: float


@dataclass(frozen=True)
class Pass:
    """A daemon's pass over one container.

    :param remote: requests to the other cluster, as its proxy logged them
    :param source: those of the daemon's own client to its cluster
    :param own_cpu: seconds of the daemon, with its start :param servers_cpu: those of both clusters
    """
    remote: Sequence[Request]
    source: Sequence[Request]
    own_cpu: float
    servers_cpu: float

    @property
    def seconds(self) -> float:
        """Time from the first request to the other cluster to the end of the last one.

        :raises BenchError: where there was none
        """
        if not self.remote:
            raise BenchError('a pass sent nothing')
        return max(one.end for one in self.remote) - min(one.begin for one in self.remote)

    def count(self, method: str) -> int:
        return sum(one.method == method and one.status < 300 for one in self.remote)

    def values(self, objects: int, start_cpu: float) -> dict[str, float]:
        """Give what it took for each of the objects, the daemon's CPU time without that of its start."""
        times = {'head_ms': mean_ms(self.remote, 'HEAD'), 'get_ms': mean_ms(self.source, 'GET'),
                 'put_ms': mean_ms(self.remote, 'PUT')}
        return {'rate': objects / self.seconds,
                **{key: value for key, value in times.items() if value is not None},
                'own_ms': (self.own_cpu - start_cpu) / objects * 1000,
                'servers_ms': self.servers_cpu / objects * 1000}


def mean_ms(requests: Iterable[Request], method: str) -> float | None:
    times = [(one.end - one.begin) * 1000 for one in requests if one.method == method]
    return statistics.fmean(times) if times else None


def requests_in(text: str, container: str) -> list[Request]:
    """Find the requests for a container's objects. :param text: log of a proxy, or of an internal client"""
    return [Request(found['method'], int(found['status']), float(found['begin']), float(found['end']))
            for found in ACCESS.finditer(text) if f'/{container}/' in found['path']]


def make_pass(daemon: Daemon, source: Lab, target: Lab, container: str) -> Pass:
    """Let the daemon of the first lab make one pass. :raises BenchError: where it failed"""
    logs = source.log(daemon.program), target.log('proxy1')
    offsets = [length(log) for log in logs]
    servers, begin = servers_cpu(source, target), time.monotonic()
    with daemon.started(source) as process:
        usage = ended(process, begin + PASS_SECONDS)
    own, remote = (tail(log, offset) for log, offset in zip(logs, offsets, strict=True))
    if process.returncode:
        raise BenchError(f'{daemon.program} ended with {process.returncode}:\n{own[-2000:]}')
    return Pass(requests_in(remote, container), requests_in(own, container), usage.ru_utime + usage.ru_stime,
                servers_cpu(source, target) - servers)


def ended(process: subprocess.Popen, deadline: float):
    """Wait for the process; give what it has used. :raises BenchError: at the deadline"""
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        time.sleep(0.02)
    raise BenchError(f'a pass was not done within {PASS_SECONDS:g} s')


def servers_cpu(*labs: Lab) -> float:
    return sum(load.cpu_seconds(row['pid']) for lab in labs for row in lab.status() if row['pid'])


def length(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, offset: int) -> str:
    with log.open('rb') as file:
        file.seek(offset)
        return file.read().decode('utf-8', 'replace')
