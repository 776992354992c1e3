"""The sides of a comparison: proxies of one lab that differ in their pipelines alone.

Object servers, memcached and objects are the same for all of them. Each has one worker (`workers = 1`: a parent
that only waits, and the worker) unless it is told otherwise, and only one has anything to do at a time.
"""
import http.client
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from swiftclient import client as swiftclient

from bench import common
from demo.main import folders_with_xattrs
from swiftahead.lab import Lab, process
from swiftahead.lab.prerequisites import HOST, Reservation

USER, KEY = 'test:tester', 'testing'
CONTAINER = 'bench'
PATIENCE = 60.0
# upstream's sample, and the least that checks a token
PIPELINES = {
    'sample': 'catch_errors gatekeeper healthcheck proxy-logging cache listing_formats container_sync bulk '
              'tempurl ratelimit tempauth copy container-quotas account-quotas slo dlo versioned_writes symlink '
              'proxy-logging proxy-server',
    'short': 'catch_errors gatekeeper healthcheck proxy-logging cache tempauth proxy-logging proxy-server',
    'lab': '',
}


@dataclass(frozen=True)
class Side:
    """:param pid: of the first process; what it started counts too"""
    name: str
    url: str
    pid: int


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Bench:
    """A lab that is up, and the sides that were added to it."""

    def __init__(self, lab: Lab, pipeline: str):
        self.lab = lab
        self._pipeline = PIPELINES[pipeline]
        storage_url, self.token = swiftclient.get_auth(lab.auth_url(), USER, KEY)
        self.account = urlsplit(storage_url).path
        self.path = f'{self.account}/{CONTAINER}'
        swiftclient.put_container(storage_url, self.token, CONTAINER)

    @property
    def headers(self) -> dict[str, str]:
        return {'X-Auth-Token': self.token}

    def add(self, name: str, filter_name: str = '', options: dict | None = None, workers: int = 1) -> Side:
        """Start one more proxy, with `filter_name` directly left of proxy-server; '' for plain Swift.

        :param options: of that filter; `prefetch` has those of the lab's own already
        """
        conf = self.lab.swift_dir / 'bench' / f'{name}.conf'
        conf.parent.mkdir(exist_ok=True)
        log = self.lab.folder / 'logs' / f'{name}.log'
        script = self.lab.folder / 'bin' / 'swift-proxy-server'
        with Reservation() as reservation:
            port = reservation.take()
            self._write_conf(conf, {'bind_port': str(port), 'workers': str(workers)}, filter_name, options or {})
            # marked as the lab's, so that it ends with the lab, however that ends
            with _import_path(common.BENCH.parent):
                pid = process.spawn(self.lab.folder, name, [sys.executable, str(script), str(conf)], log)
            side = Side(name, f'http://{HOST}:{port}', pid)
            until(lambda: self._is_ready(side, log), f'{name} answers (see {log})')
        return side

    def _is_ready(self, side, log):
        if process.exit_code(side.pid) is not None:
            raise common.BenchError(f'{side.name} ended: {log.read_text()[-2000:]}')
        try:
            return self.ask(side, 'GET', '/healthcheck').status == 200
        except OSError:
            return False

    def _write_conf(self, path, defaults, filter_name, options):
        conf = RawConfigParser(delimiters=('=',), strict=False)
        # Swift's options have names in which case counts
        conf.optionxform = str
        conf.read(self.lab.conf_path('proxy1'))
        pipeline = self._pipeline or conf['pipeline:main']['pipeline'].replace(' prefetch ', ' ')
        if filter_name:
            pipeline = pipeline.replace(' proxy-server', f' {filter_name} proxy-server')
            section = f'filter:{filter_name}'
            conf[section] = {**(dict(conf[section]) if section in conf else {}), **options}
        conf['pipeline:main']['pipeline'] = pipeline
        conf['DEFAULT'].update(defaults)
        with path.open('w') as file:
            conf.write(file)

    def end(self, side: Side) -> None:
        process.end(lambda: process.processes(self.lab.folder, side.name), 15, PATIENCE)

    # -- single requests ---------------------------------------------------------------------------------------

    def ask(self, side: Side, method: str, path: str, headers=None, body: bytes | None = None) -> Answer:
        """:param path: from the root"""
        return ask(side.url, method, path, {**self.headers, **(headers or {})}, body)

    def put(self, side: Side, name: str, body: bytes) -> str:
        """:returns: the object's path"""
        path = f'{self.path}/{name}'
        answer = self.ask(side, 'PUT', path, body=body)
        if answer.status != 201:
            raise common.BenchError(f'PUT {path} was answered {answer.status}')
        return path

    def until_hit(self, side: Side, path: str) -> Answer:
        """Read until the filter answers from the cache."""
        def hit():
            answer = self.ask(side, 'GET', path)
            return answer if is_hit(answer) else None
        return until(hit, f'{side.name} answers {path} from the cache')


def ask(url: str, method: str, path: str, headers: dict, body: bytes | None = None) -> Answer:
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        client.request(method, path, body=body, headers=headers)
        response = client.getresponse()
        return Answer(response.status, {key.lower(): value for key, value in response.getheaders()},
                      response.read())
    finally:
        client.close()


def is_hit(answer: Answer) -> bool:
    """Whichever cache it was that answered."""
    told = answer.headers
    return answer.status == 200 and (told.get('cache-status', '').startswith('swiftahead; hit')
                                     or told.get('x-floor') == 'hit' or told.get('x-cache') == 'HIT')


def until(condition: Callable, what: str, patience: float = PATIENCE):
    """The condition's first true value."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise common.BenchError(f'waited {patience:g} s in vain until {what}')
        time.sleep(0.02)
    return found


@contextmanager
def _import_path(folder: Path) -> Iterator[None]:
    """For programs started meanwhile: the floor's filter is found as bench.floor."""
    before = os.environ.get('PYTHONPATH')
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, (str(folder), before)))
    try:
        yield
    finally:
        del os.environ['PYTHONPATH']
        if before is not None:
            os.environ['PYTHONPATH'] = before


@contextmanager
def work_folder(wanted: Path | None = None) -> Iterator[Path]:
    """A folder for a lab on a file system that takes extended attributes; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix='swiftahead-bench-', dir=wanted or next(folders_with_xattrs(), None)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(args, policies=('gold',), **more) -> Iterator[Bench]:
    """A lab with filter and sidecar, and one proxy of its own that is left idle.

    :param more: for the `Lab`
    """
    common.need_programs('memcached', 'rsync')
    with work_folder(args.dir) as folder:
        common.say(f'putting a lab up in {folder}')
        with Lab(folder, nodes=args.nodes, replicas=min(args.nodes, 3), policies=policies, **more) as lab:
            yield Bench(lab, args.pipeline)
