"""Writers and readers at once through two proxies: no reader meets what was replaced before it asked."""
import threading
from contextlib import contextmanager

import pytest
from helpers.lab import clients
from helpers.lab.load import Load, send

from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'proxies': 2}
MODES = ['coherent', 'validate']


class History:
    """One object, its writer and its readers; each body tells its number.

    """

    def __init__(self, lab, path):
        self._lab, self._path = lab, path
        self._lock = threading.Lock()
        self._number = self._acked = 0
        self.hits = self.deletes = self.answers = self.unavailable = 0

    def write(self):
        number = self._number + 1
        self._number = number
        proxy = number % 2
        if number % 7 == 0:
            answer = send(self._lab, 'DELETE', self._path, proxy=proxy)
            assert answer.status in (204, 404), answer
            self.deletes += 1
        else:
            # both sides of what is captured in one go
            body = f'{number:010}'.encode() * (10 if number % 2 else 7000)
            answer = send(self._lab, 'PUT', self._path, body, proxy)
            assert answer.status == 201, answer
        with self._lock:
            self._acked = number

    def reader(self, proxy):
        return lambda: self.read(proxy)

    def read(self, proxy):
        with self._lock:
            acked = self._acked
        answer = send(self._lab, 'GET', self._path, proxy=proxy)
        begun = self._number
        if answer.status == 404:
            assert any(number % 7 == 0 for number in range(acked, begun + 1)) or not acked, (acked, begun)
            return
        if answer.status == 503 and not answer.is_hit:
            # of the only object server, where the object changed while it was opened (DiskFileStateChanged)
            self.unavailable += 1
            return
        assert answer.status == 200, answer
        self.answers += 1
        found = {answer.body[start:start + 10] for start in range(0, len(answer.body), 10)}
        assert len(found) == 1, found
        assert acked <= int(found.pop()) <= begun, (acked, begun, answer.body[:10], answer.headers)
        self.hits += answer.is_hit


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab'), **SMALL) as lab:
        yield lab


@contextmanager
def freshness(lab, mode):
    """Both proxies in that mode, and as they were again: one that sets no tokens leaves the other's hits old."""
    if mode == 'coherent':
        yield
        return
    section = '[filter:prefetch]\n'
    confs = {name: lab.conf_path(name) for name in ('proxy1', 'proxy2')}
    before = {name: conf.read_text() for name, conf in confs.items()}
    try:
        for name, conf in confs.items():
            conf.write_text(before[name].replace(section, f'{section}freshness = {mode}\n'))
            lab.restart(name)
        yield
    finally:
        for name, conf in confs.items():
            conf.write_text(before[name])
            lab.restart(name)


def make(lab, name):
    container = f'{clients.account(lab)}/{name}'
    assert clients.request(lab, 'PUT', container).status == 201
    return f'{container}/o'


def go_on(lab, path, count):
    """Two readers of each proxy and a writer that is slower than they are, so that there are hits."""
    history = History(lab, path)
    history.write()
    readers = [history.reader(proxy) for proxy in (0, 1)] * 2
    paused = threading.Event()

    def write():
        history.write()
        paused.wait(0.05)

    with Load(write, *readers) as running:
        running.wait_for(count)
    assert running.errors == []
    return history


@pytest.mark.parametrize('mode', MODES)
def test_no_reader_meets_an_older_version(lab, mode):
    with freshness(lab, mode):
        history = go_on(lab, make(lab, f'history-{mode}'), 400)
    assert history.hits and history.deletes and history.unavailable < history.answers / 20


@pytest.mark.slow
@pytest.mark.parametrize('mode', MODES)
def test_no_reader_meets_an_older_version_for_long(lab, mode):
    with freshness(lab, mode):
        history = go_on(lab, make(lab, f'long-{mode}'), 20_000)
    assert history.hits and history.deletes and history.unavailable < history.answers / 20


def test_by_age_the_node_that_writes_drops_what_it_replaces(lab):
    path = make(lab, 'max-age')
    with freshness(lab, 'max-age'):
        assert clients.request(lab, 'PUT', path, body=b'old').status == 201
        assert clients.until_hit(lab, path, proxy=1).body == b'old'
        assert clients.request(lab, 'PUT', path, body=b'new', proxy=1).status == 201
        assert clients.until(lambda: clients.request(lab, 'GET', path, proxy=1).body == b'new',
                             'the writing node has dropped what was replaced')


def test_memcached_emptied_between_writes_leaves_nothing_old(lab):
    path = make(lab, 'emptied')
    for number in range(4):
        body = f'{number}'.encode()
        assert clients.request(lab, 'PUT', path, body=body, proxy=number % 2).status == 201
        assert clients.until_hit(lab, path, proxy=1).body == body
        clients.flush_memcached(lab)
        assert {clients.request(lab, 'GET', path, proxy=proxy).body for proxy in (0, 1)} == {body}
