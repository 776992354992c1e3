"""F10: the sidecar hung, slow, killed or never there, and a queue that takes nothing."""
import itertools
import json
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from helpers.common.timing import is_quick
from helpers.lab import clients
from helpers.lab.load import Load, Reader, Writer
from helpers.lab.processes import hung, resident

from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',)}
BUFFER = 200
SPOOL_AGE = 2
CACHE_SIZE = 20 * 1024 * 1024
# medians of one run beside each other, on a machine that has other things to do
FACTOR, SLACK = 3, 0.01
MEASURED = 60


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """A cache that is soon full."""
    with clients.probed(tmp_path_factory.mktemp('lab'), sidecar_conf={
            'sidecar': {'cache_size': CACHE_SIZE, 'spool_age': SPOOL_AGE},
            'prefetcher': {'neighbours': 'off'}}) as lab:
        yield lab


@pytest.fixture
def container(lab, container):
    yield container
    clients.ensure(lab, 'sidecar')


def put(lab, container, count, prefix=''):
    paths = [f'{container}/{prefix}{number:04}' for number in range(count)]
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=path.encode() * 100).status == 201
    return paths


def timed(lab, path):
    began = time.monotonic()
    answer = clients.request(lab, 'GET', path)
    assert (answer.status, answer.body) == (200, path.encode() * 100)
    return time.monotonic() - began, answer.is_hit


def median(lab, paths, hit):
    found = [timed(lab, path) for path in paths]
    assert {is_hit for _, is_hit in found} == {hit}
    return statistics.median(seconds for seconds, _ in found)


@contextmanager
def stopped(lab):
    with hung(lab, 'sidecar'):
        yield


@contextmanager
def slow(lab):
    """It runs for one hundredth of the time."""
    over = threading.Event()

    def stutter():
        while not over.is_set():
            with stopped(lab):
                over.wait(0.1)
            over.wait(0.001)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def killed(lab):
    lab.stop('sidecar', signal.SIGKILL)
    yield
    lab.start('sidecar')


@pytest.mark.holds('F10')
@pytest.mark.parametrize('state', [stopped, slow, killed])
def test_reads_take_no_longer(lab, container, state):
    hot = put(lab, container, 3, 'hot') * (MEASURED // 3)
    for path in set(hot):
        clients.until_hit(lab, path)
    before = median(lab, put(lab, container, MEASURED, 'before'), hit=False)
    before_hot = median(lab, hot, hit=True)
    # none is read twice
    cold = (put(lab, container, MEASURED, f'cold{number}-') for number in itertools.count())
    with state(lab):
        assert is_quick(lambda: median(lab, hot, hit=True), before_hot * FACTOR + SLACK)
        assert is_quick(lambda: median(lab, next(cold), hit=False), before * FACTOR + SLACK)
    clients.until_hit(lab, next(cold)[-1])


@pytest.mark.holds('F10')
def test_never_started_passes_everything_through_until_it_is(tmp_path):
    with Lab(tmp_path / 'lab', **SMALL, sidecar=False) as lab:
        container = f'{clients.account(lab)}/c'
        assert clients.request(lab, 'PUT', container).status == 201
        paths = put(lab, container, MEASURED)
        median(lab, paths + paths, hit=False)
        assert lab.log('proxy1').read_text().count('ERROR proxy-server: no cache') == 1
        lab.start('sidecar')
        clients.until_hit(lab, paths[0])


def queue_path(lab):
    return lab.cache_dir / 'queue.db'


@contextmanager
def locked(lab):
    """As by a backup of the file."""
    with closing(sqlite3.connect(queue_path(lab), isolation_level=None, timeout=30)) as other:
        other.execute('BEGIN IMMEDIATE')
        yield


def replace_queue(lab, make):
    """While nobody can begin a new one."""
    with hung(lab, 'proxy1', 'sidecar'):
        for suffix in ('', '-wal', '-shm'):
            Path(f'{queue_path(lab)}{suffix}').unlink(missing_ok=True)
        make(queue_path(lab))


@contextmanager
def another_file(lab):
    """What a disk that came back without it looks like."""
    replace_queue(lab, Path.mkdir)
    yield
    queue_path(lab).rmdir()


@contextmanager
def read_only(lab):
    """Root may write to what is read-only, but not to what is immutable."""
    def make(path):
        path.touch()
        if subprocess.run(['chattr', '+i', path], capture_output=True).returncode:
            pytest.skip('needs root, and a file system that knows immutable files')
    replace_queue(lab, make)
    yield
    subprocess.run(['chattr', '-i', queue_path(lab)], check=True)


@pytest.mark.holds('F10')
def test_a_queue_of_garbage_is_set_aside_and_begun_anew(lab, container):
    hot, cold = put(lab, container, 2)
    clients.until_hit(lab, hot)
    replace_queue(lab, partial(shutil.copyfile, '/bin/true'))
    median(lab, [hot] * MEASURED, hit=True)
    clients.until_hit(lab, cold)
    assert len(list(lab.cache_dir.glob('queue.db.damaged*'))) == 1


@pytest.mark.holds('F10')
@pytest.mark.parametrize('state', [locked, another_file, read_only])
def test_records_that_the_queue_does_not_take_are_dropped_and_counted(lab, container, state):
    hot, = put(lab, container, 1)
    clients.until_hit(lab, hot)
    clients.probe(lab, query=f'?limit={BUFFER}')
    clients.until(lambda: not clients.probe(lab)['waiting'], 'all is written')
    before, healthy = clients.probe(lab)['dropped'], median(lab, [hot] * MEASURED, hit=True)
    with state(lab):
        assert is_quick(lambda: median(lab, [hot] * (BUFFER + MEASURED), hit=True), healthy * FACTOR + SLACK)
        found = clients.probe(lab)
        # some may have been written before the fault showed
        assert found['waiting'] <= BUFFER
        assert found['dropped'] > before
    clients.until(lambda: not clients.probe(lab)['waiting'], 'the queue takes records again')
    cold, = put(lab, container, 1, 'cold')
    clients.until_hit(lab, cold)


def requests_on_one_connection(lab, path, count):
    answers = clients.on_one_connection(lab, [('GET', path, {})] * count)
    assert all(answer.status == 200 for answer in answers)


@pytest.mark.holds('F10')
@pytest.mark.slow
def test_memory_of_a_worker_is_bounded(lab, container):
    hot, = put(lab, container, 1)
    clients.until_hit(lab, hot)
    worker = clients.probe(lab, query=f'?limit={BUFFER}')['pid']
    with stopped(lab), locked(lab):
        requests_on_one_connection(lab, hot, 5000)
        before = resident(worker)
        requests_on_one_connection(lab, hot, 20_000)
        assert resident(worker) < before + 20 * 1024 * 1024


def swiftahead(lab, *command):
    done = clients.run('swiftahead', *command, '--json', '--conf', lab.conf_path('sidecar'))
    return json.loads(done.stdout)


def spool(lab):
    return list((lab.cache_dir / 'v1' / 'spool').iterdir())


def disk_bytes(folder):
    """As du counts files, without the folders."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob('*') if path.is_file())


def kill_again_and_again(lab, container, times):
    hot = {path: path.encode() * 100 for path in put(lab, container, 20)}
    writers = [Writer(lab, f'{container}/w{number}', 2_000_000) for number in range(2)]
    with Load(*writers, Reader(lab, hot)) as load:
        for _ in range(times):
            load.wait_for(random.randrange(1, 20))
            lab.stop('sidecar', signal.SIGKILL)
            lab.start('sidecar')
    return load


@pytest.mark.holds('F10')
@pytest.mark.parametrize('times', [8, pytest.param(40, marks=pytest.mark.slow)])
def test_kill_9_at_any_instant_leaves_a_whole_cache(lab, container, times):
    assert kill_again_and_again(lab, container, times).errors == []
    assert swiftahead(lab, 'check') == {'damaged': [], 'fixed': False}
    clients.until(lambda: not spool(lab), 'what nobody admitted is swept')
    objects = lab.cache_dir / 'v1' / 'objects'
    clients.until(lambda: abs(swiftahead(lab, 'status')['bytes'] - disk_bytes(objects))
                  <= disk_bytes(objects) / 100, 'the sidecar counts what is there')
    assert 0 < disk_bytes(objects) <= CACHE_SIZE


@pytest.mark.holds('F10')
@pytest.mark.slow
def test_leases_of_a_killed_sidecar_come_back(lab, container, monkeypatch):
    monkeypatch.setattr(clients, 'PATIENCE', 90.0)
    kill_again_and_again(lab, container, 10)
    clients.until(lambda: not set(swiftahead(lab, 'status')['queue']) - {'dead', 'dropped'}, 'all is handled')
    assert swiftahead(lab, 'status')['queue']['dead'] == 0
