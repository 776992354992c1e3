"""Labs that several test modules share."""
from contextlib import closing

import pytest
from helpers.filter.equivalence import Client
from helpers.lab import clients
from helpers.lab.equivalence_lab import compared, warm
from helpers.sync.clusters import clusters

from swiftahead.lab import Lab

# they take a minute, and whoever began one last would be waited for
FIRST = ('test_conformance', 'test_mover_scenarios', 'test_signals', 'test_smoke')


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in FIRST)


@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    """Two proxies with filter and sidecar; its tests leave it as they found it. What nobody has read is a miss."""
    with Lab(tmp_path_factory.mktemp('lab'), proxies=2, sidecar_conf={'prefetcher': {'neighbours': 'off'}}) as lab:
        yield lab


@pytest.fixture
def container(lab):
    """Of a test's own, on the lab of its module."""
    return clients.new_container(lab)


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


@pytest.fixture(scope='session')
def ring(tmp_path_factory):
    """Three small clusters of one realm."""
    with clusters(tmp_path_factory.mktemp('ring'), 3) as ring:
        yield ring


@pytest.fixture
def linked(ring):
    """Make a container of one name on every side, as the ring's own; it is synced until the test is over."""
    made = []

    def linked(*routes, **options):
        made.append(ring.linked(*routes, **options))
        return made[-1]
    yield linked
    for container in made:
        ring.unlink(container)
