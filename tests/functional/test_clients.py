"""F5: clients that hang up, read slowly, come all at once, or lose the worker that reads for them."""
import os
import re
import signal
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from helpers.lab import clients
from helpers.lab.holding import add_holding, held, let_go
from helpers.lab.labs import finding_tests
from helpers.lab.processes import all_workers, below, connected, connected_to, descriptors, sockets, workers

from swiftahead.lab import Lab

LARGE = os.urandom(10 * 1024 * 1024)
SPOOL_AGE = 2
# bytes of the answer after which the client hangs up; before that: parts of the request
STAGES = ['request line', 'headers', 1, 1000, 300_000, 5_000_000]
RESET = struct.pack('ii', 1, 0)


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """One worker, so that all of its descriptors and green threads can be counted."""
    with clients.probed(tmp_path_factory.mktemp('lab'),
                        sidecar_conf={'sidecar': {'spool_age': SPOOL_AGE}}) as lab:
        add_holding(lab)
        yield lab


def put(lab, path, body=LARGE):
    assert clients.request(lab, 'PUT', path, body=body).status == 201
    return path


def spool(lab):
    return list((lab.cache_dir / 'v1' / 'spool').iterdir())


def hang_up(lab, path, stage, how):
    """Ask for an object and be gone at a stage. :param how: socket options set before the end"""
    address = urlsplit(lab.urls[0])
    line = f'GET {path} HTTP/1.1\r\n'
    headers = f'Host: {address.netloc}\r\nX-Auth-Token: {clients.token(lab)}\r\n\r\n'
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        client.sendall((line if stage == 'request line' else line + headers).encode())
        left = stage if isinstance(stage, int) else 0
        while left > 0:
            left -= len(client.recv(min(left, 65536)))
        if how:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)


def opened(lab, pid):
    """A worker's descriptors but for what it opens once and keeps: connections to memcached, queue, counters."""
    # what eventlet leaves in cycles of references is closed when these are collected, which the probe does
    assert clients.probe(lab)['pid'] == pid
    kept = {f'socket:[{inode}]' for inode in connected_to(int(lab.memcached.rpartition(':')[2]))}
    once = f'{lab.cache_dir}/'
    return [target for target in descriptors(pid)
            if target not in kept and (not target.startswith(once) or target.startswith(f'{once}v1/'))]


@contextmanager
def nothing_left(lab):
    """What the block does leaves no descriptor, no green thread, no fill and no spool file."""
    clients.until_hit(lab, put(lab, clients.new_container(lab) + '/o', b'warm'))
    clients.until(lambda: clients.probe(lab)['waiting'] == 0, 'records are written')
    pid = clients.probe(lab)['pid']
    before, green = opened(lab, pid), clients.probe(lab)['green']
    yield
    clients.until(lambda: clients.probe(lab)['fills'] == 0 and spool(lab) == [], 'all captures are admitted')
    clients.until(lambda: len(opened(lab, pid)) <= len(before), f'no more is open than {before}')
    clients.until(lambda: clients.probe(lab)['green'] <= green, f'green threads are {green}')


@pytest.mark.holds('F5')
@pytest.mark.parametrize('how', [None, RESET], ids=['closed', 'reset'])
@pytest.mark.parametrize('stage', STAGES)
def test_hanging_up_during_a_miss_harms_nothing(lab, container, stage, how):
    paths = [put(lab, f'{container}/{number}') for number in range(3)]
    with nothing_left(lab):
        for path in paths:
            hang_up(lab, path, stage, how)
        # the capture goes on without its client
        for path in paths if stage != 'request line' else []:
            assert clients.until_hit(lab, path, headers={'X-No-Prefetch': 'true'}).body == LARGE


@pytest.mark.holds('F5')
@pytest.mark.parametrize('how', [None, RESET], ids=['closed', 'reset'])
@pytest.mark.parametrize('stage', STAGES)
def test_hanging_up_during_a_hit_harms_nothing(lab, container, stage, how):
    path = put(lab, f'{container}/o')
    clients.until_hit(lab, path)
    with nothing_left(lab):
        for _ in range(5):
            hang_up(lab, path, stage, how)
    assert clients.until_hit(lab, path).body == LARGE


@pytest.mark.holds('F5')
def test_a_slow_reader_gets_the_whole_of_an_evicted_entry(lab, container):
    """Byte by byte until it is evicted; then all the rest."""
    path = put(lab, f'{container}/o')
    clients.until_hit(lab, path)
    with nothing_left(lab), clients.reading(lab, path) as slow:
        assert slow.headers['cache-status'].startswith('swiftahead; hit')
        assert clients.request(lab, 'POST', f'{container}?prefetch=forget&name=o').status == 202
        worker, first = clients.probe(lab)['pid'], []

        def is_evicted():
            first.append(slow.read(1))
            return any(name.endswith('(deleted)') for name in descriptors(worker))
        clients.until(is_evicted, 'it is evicted while it is read')
        assert b''.join(first) + slow.read() == LARGE


def backend_gets(lab, path):
    return len(re.findall(rf'"GET /d1/\d+{path.removeprefix("/v1")}"', lab.log('object1').read_text()))


@pytest.mark.holds('F5')
def test_a_reader_who_comes_during_a_fill_costs_the_backend_nothing(lab, container):
    path = put(lab, f'{container}/o')
    with held(lab), clients.reading(lab, path) as first:
        begun = first.read(1)
        with clients.reading(lab, path) as second:
            assert second.headers['cache-status'] == 'swiftahead; fwd=miss; collapsed'
            let_go(lab)
            assert second.read() == LARGE
        assert begun + first.read() == LARGE
    assert backend_gets(lab, path) == 1


class ThreadedGet(threading.Thread):
    """One GET in a thread; its worker is known while it goes on."""

    def __init__(self, lab, path):
        super().__init__()
        self._lab = lab
        self._path = path
        self._client = socket.create_connection(tuple(urlsplit(lab.urls[0]).netloc.split(':')), timeout=60)
        self.port = self._client.getsockname()[1]
        self.body = b''

    def run(self):
        request = f'GET {self._path} HTTP/1.0\r\nX-Auth-Token: {clients.token(self._lab)}\r\n\r\n'
        with self._client as client:
            try:
                client.sendall(request.encode())
                pieces = list(iter(lambda: client.recv(1 << 20), b''))
            except ConnectionError:
                return
        self.body = b''.join(pieces).partition(b'\r\n\r\n')[2]

    def worker(self):
        inode = connected(int(urlsplit(self._lab.urls[0]).port), self.port)
        return next((pid for pid in workers(self._lab) if inode and inode in sockets(pid)), None)


@pytest.mark.holds('F5')
def test_a_worker_killed_in_mid_fill_takes_none_with_it_but_its_own(tmp_path):
    with finding_tests(), Lab(tmp_path / 'lab', nodes=1, replicas=1, policies=('gold',), workers=3,
                              sidecar_conf={'sidecar': {'spool_age': SPOOL_AGE}}) as lab, ExitStack() as stack:
        add_holding(lab)
        path = put(lab, clients.new_container(lab) + '/o')
        stack.enter_context(held(lab))
        first = stack.enter_context(clients.reading(lab, path))
        assert first.read(1) == LARGE[:1]
        owner, = (pid for pid in all_workers(lab, 3) if below(lab.cache_dir / 'v1' / 'spool', pid))
        reads = [ThreadedGet(lab, path) for _ in range(12)]
        for read in reads:
            read.start()
            stack.callback(read.join)
        served = {read: clients.until(read.worker, 'a worker has taken it') for read in reads}
        os.kill(owner, signal.SIGKILL)
        let_go(lab)
        for read in reads:
            read.join()
        assert {read.body == LARGE for read in reads if served[read] != owner} == {True}
        assert LARGE not in [read.body for read in reads if served[read] == owner]
        clients.until(lambda: len(workers(lab)) == 3, 'another worker has taken its place')
        clients.until(lambda: not spool(lab), 'what the killed one left is swept')
        assert clients.until_hit(lab, path).body == LARGE
