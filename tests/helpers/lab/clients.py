"""Clients of the cache, on a lab: requests as test:tester unless a token is given, and waiting for hits."""
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from helpers.lab import labs
from prometheus_client.parser import text_string_to_metric_families

from swiftahead.lab import Lab

# what the sidecar does in the background is waited for so long
PATIENCE = 60.0
# asking again and again takes time from who is asked: at first soon, and later on seldom
SHORTEST, LONGEST, SHARE = 0.01, 0.1, 0.2


@dataclass(frozen=True)
class Answer:
    """`headers` have lower-case names."""
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_hit(self) -> bool:
        return self.headers.get('cache-status', '').startswith('swiftahead; hit')

    @property
    def is_prefetched(self) -> bool:
        return self.headers.get('x-object-prefetched') == 'True'


@lru_cache(maxsize=100)
def _token(auth_url, user, key):
    return labs.swiftclient.get_auth(auth_url, user, key)


def token(lab: Lab, user: str = labs.USER, key: str = labs.KEY) -> str:
    return _token(lab.auth_url(), user, key)[1]


def account(lab: Lab) -> str:
    """Path of test:tester's account: /v1/AUTH_test."""
    return urlsplit(_token(lab.auth_url(), labs.USER, labs.KEY)[0]).path


def request(lab: Lab, method: str, path: str, headers=None, body=None, proxy: int = 0,
            token: str | None = None) -> Answer:
    """:param token: None: test:tester's; '': none at all"""
    if token is None:
        token = _token(lab.auth_url(), labs.USER, labs.KEY)[1]
    answer = labs.request(lab, method, path, headers, body, proxy, token)
    return Answer(answer.status, {key.lower(): value for key, value in answer.headers}, answer.body)


def new_container(lab: Lab, headers=None) -> str:
    """Path of a container that no other test has."""
    path = f'{account(lab)}/c-{uuid.uuid4().hex}'
    assert request(lab, 'PUT', path, headers).status == 201
    return path


def on_one_connection(lab: Lab, requests) -> list[Answer]:
    """(method, path, headers) one after the other, on a connection that must stay open."""
    client = http.client.HTTPConnection(urlsplit(lab.urls[0]).netloc, timeout=60)
    answers = []
    try:
        client.connect()
        connected = client.sock
        for method, path, headers in requests:
            client.request(method, path, headers={**headers, 'X-Auth-Token': token(lab)})
            response = client.getresponse()
            answers.append(Answer(response.status, {key.lower(): value for key, value in response.getheaders()},
                                  response.read()))
            assert client.sock is connected, 'the server closed the connection'
        return answers
    finally:
        client.close()


def until(condition, what: str):
    """The condition's first true value; fails saying `what` was waited for.

    One look uses up a tenth of the patience at most: a machine that stood still is no fault.
    """
    waited, looked = 0.0, time.monotonic()
    while not (found := condition()):
        assert waited < PATIENCE, f'waited {PATIENCE:g} s in vain until {what}'
        time.sleep(min(SHORTEST + waited * SHARE, LONGEST))
        waited += min(time.monotonic() - looked, PATIENCE / 10)
        looked = time.monotonic()
    return found


def until_hit(lab: Lab, path: str, proxy: int = 0, headers=None) -> Answer:
    """Read until the cache answers; the hit."""
    def hit():
        answer = request(lab, 'GET', path, headers, proxy=proxy)
        assert answer.status == 200, (path, answer)
        return answer if answer.is_hit else None
    return until(hit, f'{path} is a hit')


def until_prefetched(lab: Lab, path: str) -> Answer:
    """Wait for what the sidecar fetches of its own accord: reads that wait for it bring nothing in."""
    answer = until_hit(lab, path, headers={'X-No-Prefetch': 'true'})
    assert answer.is_prefetched, answer
    return answer


def ensure(lab: Lab, name: str) -> None:
    """Start a program that is not running."""
    if not lab.pid(name):
        lab.start(name)


def signal_program(lab: Lab, name: str, number: int) -> None:
    pid = lab.pid(name)
    assert pid, f'{name} does not run'
    os.kill(pid, number)


def run(*command, **more) -> subprocess.CompletedProcess:
    """A program of this virtual environment, to its end."""
    program = os.path.join(os.path.dirname(sys.executable), command[0])
    return subprocess.run([program, *map(str, command[1:])], capture_output=True, text=True, timeout=120, **more)


class Slow:
    """A GET whose body is read bit by bit."""

    def __init__(self, client: http.client.HTTPConnection):
        self._client = client
        self._response = client.getresponse()
        self.status = self._response.status
        self.headers = {key.lower(): value for key, value in self._response.getheaders()}
        self.read = self._response.read


@contextmanager
def reading(lab: Lab, path: str, proxy: int = 0, buffer: int = 4096) -> Iterator[Slow]:
    """Begin to read an object. :param buffer: bytes that the kernel holds for this client"""
    address = urlsplit(lab.urls[proxy])
    client = http.client.HTTPConnection(address.netloc, timeout=60)
    with closing(client), socket.socket() as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connected.settimeout(60)
        connected.connect((address.hostname, address.port))
        client.sock = connected
        client.request('GET', path, headers={'X-Auth-Token': token(lab)})
        yield Slow(client)


def add_probe(lab: Lab, number: int = 1) -> None:
    """Put `probe` at the left of a proxy's pipeline; the lab's environment must have tests/ in PYTHONPATH."""
    conf = lab.conf_path(f'proxy{number}')
    text = conf.read_text().replace('pipeline = catch_errors', 'pipeline = probe catch_errors')
    conf.write_text(text + '\n[filter:probe]\npaste.filter_factory = helpers.lab.probe:filter_factory\n')
    lab.restart(f'proxy{number}')


def probe(lab: Lab, proxy: int = 0, query: str = '') -> dict:
    answer = request(lab, 'GET', f'/probe{query}', proxy=proxy, token='')
    assert answer.status == 200, answer
    return json.loads(answer.body)


@contextmanager
def probed(folder, **options) -> Iterator[Lab]:
    """A small lab whose first proxy has the probe."""
    with labs.finding_tests(), Lab(folder, **{'nodes': 1, 'replicas': 1, 'policies': ('gold',), **options}) as lab:
        add_probe(lab)
        yield lab


def flush_memcached(lab: Lab) -> None:
    """Freshness tokens and all else that Swift keeps there are lost; logins too."""
    host, port = lab.memcached.split(':')
    with socket.create_connection((host, int(port)), timeout=10) as connected:
        connected.sendall(b'flush_all\r\n')
        assert connected.recv(100) == b'OK\r\n'
    _token.cache_clear()


# what the sidecar tells of itself

def port(lab):
    conf = ConfigParser()
    conf.read(lab.conf_path('sidecar'))
    return conf.getint('status', 'bind_port')


def ask(lab, path, method='GET'):
    with closing(http.client.HTTPConnection('127.0.0.1', port(lab), timeout=30)) as client:
        client.request(method, path)
        response = client.getresponse()
        return response.status, response.read().decode()


def metrics(lab):
    """{name, or name and value of the label: number}; empty where nobody answers."""
    try:
        _, text = ask(lab, '/metrics')
    except OSError:
        return {}
    return {' '.join((sample.name.removeprefix('swiftahead_'), *sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def counted(lab, name):
    """What is counted under a name: waits for a sidecar that has just been started, whose silence is no zero."""
    return until(lambda: metrics(lab), 'the sidecar tells what it counted').get(name, 0)
