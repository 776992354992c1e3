"""F14: the cache folder is deleted, moved, closed, replaced or full while everything runs."""
import os
import shutil
from collections import Counter
from contextlib import contextmanager

import pytest
from helpers.common.mounts import Mount
from helpers.lab import clients
from helpers.lab.load import Load, Reader, Writer

from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',)}
COUNT = 5
BODY = os.urandom(300_000)
DISK = 24 * 1024 * 1024


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab'), **SMALL) as lab:
        yield lab


def make_hot(lab, container):
    paths = [f'{container}/hot{number}' for number in range(COUNT)]
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=BODY).status == 201
        clients.until_hit(lab, path)
    return dict.fromkeys(paths, BODY)


@contextmanager
def deleted(lab):
    shutil.rmtree(lab.cache_dir, ignore_errors=True)
    yield


@contextmanager
def moved(lab):
    aside = lab.cache_dir.with_name('aside')
    lab.cache_dir.rename(aside)
    yield
    # what the sidecar has made in its place goes, and the first one is back
    shutil.rmtree(lab.cache_dir, ignore_errors=True)
    while lab.cache_dir.exists():
        shutil.rmtree(lab.cache_dir, ignore_errors=True)
    aside.rename(lab.cache_dir)


@contextmanager
def closed(lab):
    os.chmod(lab.cache_dir, 0)
    yield
    os.chmod(lab.cache_dir, 0o700)


@contextmanager
def opened_to_all(lab):
    os.chmod(lab.cache_dir, 0o755)
    yield
    os.chmod(lab.cache_dir, 0o700)


@contextmanager
def replaced(lab):
    """By an empty folder, such as the mount point of a disk that is not mounted."""
    shutil.rmtree(lab.cache_dir, ignore_errors=True)
    lab.cache_dir.mkdir(mode=0o700, exist_ok=True)
    yield


class Errors:
    """ERROR lines of a program since this was made."""

    def __init__(self, lab, name):
        self._log = lab.log(name)
        self._begin = self._log.stat().st_size

    def __call__(self):
        text = self._log.read_bytes()[self._begin:].decode()
        return [line for line in text.splitlines() if ' ERROR ' in line]


@pytest.mark.holds('F14')
@pytest.mark.parametrize('state', [deleted, moved, closed, opened_to_all, replaced])
def test_no_client_sees_what_becomes_of_the_folder(lab, container, state):
    hot = make_hot(lab, container)
    proxy, sidecar = Errors(lab, 'proxy1'), Errors(lab, 'sidecar')
    pids = lab.pid('proxy1'), lab.pid('sidecar')
    with Load(Reader(lab, hot), Writer(lab, f'{container}/w')) as load:
        load.wait_for(20)
        with state(lab):
            load.wait_for(300)
        load.wait_for(20)
    assert load.errors == []
    for path in hot:
        assert clients.until_hit(lab, path).body == BODY
    assert (lab.pid('proxy1'), lab.pid('sidecar')) == pids
    # going away and coming back are two events
    assert most_often_said(proxy()) <= 1 + (state is moved)
    assert most_often_said(sidecar()) <= 1 + (state is moved)


def most_often_said(lines):
    """How often the same was said, of whichever file or object."""
    return max(Counter(' '.join(line.split()[1:6]) for line in lines).values(), default=0)


@pytest.fixture
def small_disk(tmp_path):
    """A file system that is soon full."""
    with Mount(tmp_path / 'disk', f'size={DISK}') as mounted:
        yield mounted.folder


@pytest.mark.holds('F14')
def test_a_full_disk_is_no_clients_affair(tmp_path, small_disk):
    cache = {'cache_dir': small_disk / 'cache', 'queue': f'sqlite:{small_disk}/cache/queue.db'}
    with Lab(tmp_path / 'lab', **SMALL, filter_conf=cache,
             sidecar_conf={'sidecar': {**cache, 'free_space': 0}}) as lab:
        container = f'{clients.account(lab)}/c'
        assert clients.request(lab, 'PUT', container).status == 201
        hot = make_hot(lab, container)
        proxy, sidecar = Errors(lab, 'proxy1'), Errors(lab, 'sidecar')
        with Load(Reader(lab, hot), Writer(lab, f'{container}/w', 2_000_000)) as load:
            load.wait_for(10)
            fill_up(small_disk / 'other')
            load.wait_for(60)
            os.unlink(small_disk / 'other')
            load.wait_for(10)
        assert load.errors == []
        for path in hot:
            assert clients.until_hit(lab, path).body == BODY
        assert most_often_said(proxy()) == 1
        assert most_often_said(sidecar()) <= 1
        assert clients.run('swiftahead', 'check', '--conf', lab.conf_path('sidecar')).returncode == 0


def fill_up(path):
    with open(path, 'wb', buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            return
