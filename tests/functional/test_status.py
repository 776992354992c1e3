"""The numbers of a real node: exact, and not gone back whatever is killed."""
import json
import os
import shutil
import signal

import pytest
from helpers.lab import clients
from helpers.lab.clients import ask, metrics, port
from helpers.lab.processes import all_workers, children, listening, sockets, workers

from swiftahead.lab import Lab
from swiftahead.metrics import counters_folder

OBJECTS, READS = 6, 4
# the parts that are on where nothing else is said
ENABLED = ('mover', 'prefetcher', 'status')


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """Two workers, which count apart; nothing is fetched ahead, so that each object has one miss."""
    with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies=('gold',), workers=2,
             sidecar_conf={'prefetcher': {'learner': 'off'}}) as lab:
        yield lab


@pytest.fixture
def running(lab):
    yield lab
    for name in ('sidecar', 'proxy1'):
        clients.ensure(lab, name)


def health(lab):
    """Status 0 where nobody answers."""
    try:
        return ask(lab, '/healthz')
    except OSError:
        return 0, ''


class Reader:
    """All reads of this module; `seen` is what their answers said, by the names of the metrics."""

    def __init__(self, lab):
        self.lab = lab
        self.begin()

    def begin(self):
        self.seen = {'hits_total': 0, 'misses_total': 0, 'bytes_hit_total': 0, 'bytes_missed_total': 0}

    def is_hit(self, path):
        answer = clients.request(self.lab, 'GET', path)
        assert answer.status == 200
        names = ('hits_total', 'bytes_hit_total') if answer.is_hit else ('misses_total', 'bytes_missed_total')
        for name, count in zip(names, (1, len(answer.body)), strict=True):
            self.seen[name] += count
        return answer.is_hit

    def read(self, container):
        """Objects of different lengths, each until it was a hit a few times."""
        for number in range(OBJECTS):
            path = f'{container}/{number}'
            assert clients.request(self.lab, 'PUT', path, body=b'x' * (1000 + number)).status == 201
            for _ in range(READS):
                clients.until(lambda path=path: self.is_hit(path), f'{path} is a hit')

    def is_told(self):
        """Wait until the metrics are these; they are exact then, and never above."""
        def are_these():
            found = metrics(self.lab)
            assert all(found.get(name, 0) <= count for name, count in self.seen.items()), (found, self.seen)
            return self.seen.items() <= found.items()
        clients.until(are_these, f'the metrics are {self.seen}')


@pytest.fixture(scope='module')
def reader(lab):
    return Reader(lab)


def test_the_numbers_are_exact_and_never_go_back(running, reader, container):
    lab = running
    reader.read(container)
    reader.is_told()

    # a worker of the proxy is killed; another takes its place
    worker = all_workers(lab, 2).pop()
    os.kill(worker, signal.SIGKILL)
    clients.until(lambda: len(workers(lab) - {worker}) == 2, 'there are two workers again')
    reader.is_told()

    # the sidecar is killed, all of it
    clients.until(lambda: metrics(lab).get('admitted_total', 0) >= OBJECTS, 'what was captured is told')
    admitted = metrics(lab)['admitted_total']
    lab.stop('sidecar', signal.SIGKILL)
    lab.start('sidecar')
    reader.is_told()
    assert metrics(lab)['admitted_total'] >= admitted

    # the proxy is started anew, and more is read
    lab.restart('proxy1')
    reader.is_told()
    assert clients.request(lab, 'PUT', container + '-2').status == 201
    reader.read(container + '-2')
    reader.is_told()


def test_all_is_well(lab):
    clients.until(lambda: health(lab)[0] == 200, 'the sidecar has reported')
    status, text = ask(lab, '/status')
    assert (status, json.loads(text)['healthy']) == (200, True)
    assert '<title>swiftahead</title>' in ask(lab, '/')[1]
    assert ask(lab, '/metrics', 'POST')[0] == 405


def test_no_name_is_told(lab, reader, container):
    clients.request(lab, 'PUT', container + '/secret', body=b'x')
    clients.until(lambda: reader.is_hit(container + '/secret'), 'it is a hit')
    for path in ('/', '/status', '/metrics', '/healthz'):
        text = ask(lab, path)[1]
        assert 'secret' not in text and 'AUTH_' not in text and container.rpartition('/')[2] not in text


def test_the_command_shows_the_same(lab, reader, container):
    reader.read(container)
    reader.is_told()
    shown = clients.run('swiftahead', 'status', '--json', '--conf', lab.conf_path('sidecar'))
    counters = json.loads(shown.stdout)['counters']
    assert {name: counters[name.removesuffix('_total')] for name in reader.seen} == reader.seen


def says(lab, problem):
    status, body = health(lab)
    return status == 503 and problem in body


def without_status_app(lab, workers):
    return {pid for pid in workers if not sockets(pid) & listening(port(lab))}


def test_a_cache_folder_that_is_gone_is_told(running, reader):
    lab = running
    # no worker makes another folder meanwhile
    others = without_status_app(lab, all_workers(lab, len(ENABLED), 'sidecar'))
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    lab.cache_dir.rename(lab.cache_dir.with_name('away'))
    try:
        clients.until(lambda: says(lab, 'cache folder: '), 'it is told')
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        for name in ('sidecar', 'proxy1'):
            lab.stop(name)
        if lab.cache_dir.exists():
            lab.cache_dir.rename(lab.cache_dir.with_name('another'))
        lab.cache_dir.with_name('away').rename(lab.cache_dir)
        # a worker may have told in the other folder what it had told here: the numbers begin anew
        if (counted := counters_folder(lab.cache_dir / 'queue.db')).exists():
            shutil.rmtree(counted)
        reader.begin()
    for name in ('sidecar', 'proxy1'):
        lab.start(name)
    clients.until(lambda: health(lab)[0] == 200, 'all is well again')


def test_the_status_app_killed_is_back_and_the_other_parts_untouched(running):
    lab = running
    before = all_workers(lab, len(ENABLED), 'sidecar')
    clients.until(lambda: metrics(lab), 'it answers')
    listener, = before - without_status_app(lab, before)
    os.kill(listener, signal.SIGKILL)
    clients.until(lambda: metrics(lab), 'it answers again')
    assert len(children(lab.pid('sidecar')) & before) == len(ENABLED) - 1
