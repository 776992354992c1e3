"""Two proxies as on machines of their own, each with a cache and a sidecar, and HAProxy in front of them."""
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path

from bench import common, sides
from swiftahead.lab import Lab
from swiftahead.lab.prerequisites import HOST, Reservation, is_open

# which of the proxies a request goes to: as doc/deployment.rst has it
SPLIT, HASHED = 'balance roundrobin', 'balance source\n    hash-type consistent'
CONF = """\
global
    maxconn 1000

defaults
    mode http
    option forwardfor
    timeout connect 5s
    timeout client 60s
    timeout server 60s

frontend swift
    bind {host}:{port}
    default_backend proxies

backend proxies
    {balance}
    option httpchk GET /healthcheck
    option redispatch 1
    retries 2
{servers}
"""


@contextmanager
def each_its_own(lab: Lab) -> Iterator[None]:
    """The lab's second proxy with a cache, a queue and a sidecar of its own, as on another machine."""
    folder = lab.folder / 'cache2'
    own = {'cache_dir': str(folder), 'queue': f'sqlite:{folder / "queue.db"}'}
    path = lab.folder / 'etc' / 'second-sidecar.conf'
    _change(lab.conf_path('sidecar'), path, {'sidecar': own, 'status': {'bind_port': '0'}})
    _change(lab.conf_path('proxy2'), lab.conf_path('proxy2'), {'filter:prefetch': own})
    arguments = [sys.executable, str(lab.folder / 'bin' / 'swiftahead-sidecar'), str(path)]
    with _program(arguments, lab.folder / 'logs' / 'second-sidecar.log', folder.is_dir):
        lab.restart('proxy2')
        yield


def _change(source: Path, target: Path, options: dict[str, dict[str, str]]) -> None:
    conf = RawConfigParser(delimiters=('=',), strict=False)
    conf.optionxform = str  # type: ignore[assignment,method-assign]
    conf.read(source)
    for section, values in options.items():
        conf[section].update(values)
    with target.open('w') as file:
        conf.write(file)


@contextmanager
def balancer(lab: Lab, balance: str) -> Iterator[str]:
    """HAProxy before the lab's proxies; where it listens."""
    with Reservation() as reservation:
        port = reservation.take()
    path = lab.folder / 'haproxy.cfg'
    path.write_text(conf_text(port, balance, lab.urls))
    arguments = [common.find_program('haproxy') or 'haproxy', '-db', '-f', str(path)]
    with _program(arguments, lab.folder / 'logs' / 'haproxy.log', lambda: is_open(port)):
        yield f'http://{HOST}:{port}'


def conf_text(port: int, balance: str, urls: Sequence[str]) -> str:
    servers = '\n'.join(f'    server proxy{number} {url.rpartition("/")[2]} check'
                        for number, url in enumerate(urls, 1))
    return CONF.format(host=HOST, port=port, balance=balance, servers=servers)


@contextmanager
def _program(arguments: list[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[None]:
    with log.open('ab') as file:
        program = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        sides.until(lambda: _is_up(program, log) and is_ready(), f'{arguments[-1]} is served')
        yield
    finally:
        program.terminate()
        program.wait(sides.PATIENCE)


def _is_up(program, log) -> bool:
    if program.poll() is not None:
        raise common.BenchError(f'{program.args[0]} ended: {log.read_text()[-2000:]}')
    return True
