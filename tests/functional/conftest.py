"""Labs that several test modules share."""
from contextlib import closing

import clients
import pytest
from equivalence import Client
from equivalence_lab import compared, warm

from swiftahead.lab import Lab

# they take a minute, and whoever began one last would be waited for
FIRST = ('test_conformance', 'test_mover_scenarios', 'test_smoke')


def pytest_collection_modifyitems(items):
    """For several processes that share the tests out among them: those of one lab go to one process."""
    items.sort(key=lambda item: item.path.stem not in FIRST)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item):
    if 'compared_lab' in item.fixturenames:
        return 'compared_lab'
    # a module that has none of its own uses the one below
    return 'lab' if 'lab' in item.fixturenames and not hasattr(item.module, 'lab') else item.path.stem


@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    """Two proxies with filter and sidecar; its tests leave it as they found it. What nobody has read is a miss."""
    with Lab(tmp_path_factory.mktemp('lab'), proxies=2, sidecar_conf={'prefetcher': {'neighbours': 'off'}}) as lab:
        yield lab


@pytest.fixture(scope='session')
def compared_lab(tmp_path_factory):
    """The first proxy's cache is warm, the second has no filter."""
    with compared(tmp_path_factory.mktemp('compared')) as lab:
        yield lab


@pytest.fixture(scope='session')
def swift(compared_lab):
    with closing(Client(compared_lab, 1, clients.token(compared_lab))) as client:
        yield client


@pytest.fixture(scope='session')
def cached(compared_lab):
    with closing(Client(compared_lab, 0, clients.token(compared_lab))) as client:
        yield client


@pytest.fixture(scope='session')
def objects(compared_lab):
    return warm(compared_lab)
