"""What a real sidecar has learned: there again after a stop, after kill -9, and not harmed by a damaged file."""
import random
import signal

import pytest
from helpers.lab import clients

from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'sidecar_conf': {'prefetcher': {'neighbours': 'off'}}}
COUNT = 8


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab'), **SMALL) as lab:
        yield lab


@pytest.fixture(autouse=True)
def running(lab):
    """Whatever a test does to the sidecar, the next finds it running."""
    yield
    clients.ensure(lab, 'sidecar')


def file(lab):
    return lab.cache_dir / 'v1' / 'learned'


def learned(lab, seed):
    """Paths in an order that the sidecar has seen, and that is not the one of their names."""
    container = clients.new_container(lab)
    paths = [f'{container}/{number}' for number in range(COUNT)]
    random.Random(seed).shuffle(paths)
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=path.encode()).status == 201
    before = clients.counted(lab, 'records_total access')
    for _ in range(2):
        for path in paths:
            assert clients.request(lab, 'GET', path).status == 200
    clients.until(lambda: clients.counted(lab, 'records_total access') >= before + 2 * COUNT,
                  'the reads are learned')
    return paths


def is_known(lab, paths):
    """Wait until what comes after the first is fetched, with nothing in the cache to begin with."""
    container = paths[0].rpartition('/')[0]
    before = clients.counted(lab, 'forgotten_total')
    assert clients.request(lab, 'POST', container + '?prefetch=forget').status == 202
    clients.until(lambda: clients.counted(lab, 'forgotten_total') >= before + COUNT, 'all is forgotten')
    assert not clients.request(lab, 'GET', paths[0]).is_hit
    for path in paths[1:]:
        assert clients.until_prefetched(lab, path).body == path.encode()
        clients.request(lab, 'GET', path)


def test_it_is_there_again_after_a_stop(lab):
    paths = learned(lab, 1)
    lab.restart('sidecar')
    is_known(lab, paths)


def test_kill_9_costs_what_came_after_the_last_writing(lab):
    paths = learned(lab, 2)
    lab.restart('sidecar')
    written = file(lab).read_bytes()
    lab.stop('sidecar', signal.SIGKILL)
    assert file(lab).read_bytes() == written
    # what a kill in the middle of writing leaves
    file(lab).with_name('learned.tmp').write_bytes(written[:100])
    lab.start('sidecar')
    is_known(lab, paths)


def test_a_damaged_file_is_set_aside_and_learning_goes_on(lab):
    learned(lab, 3)
    lab.stop('sidecar')
    file(lab).write_bytes(file(lab).read_bytes()[:-5])
    lab.start('sidecar')
    clients.until(lambda: file(lab).with_name('learned.damaged').exists(), 'it is set aside')
    assert 'set aside as learned.damaged' in lab.log('sidecar').read_text()
    is_known(lab, learned(lab, 4))
