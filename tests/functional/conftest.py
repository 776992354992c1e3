"""Labs that several test modules share."""
import pytest

from swiftahead.lab import Lab


@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    """Two proxies with filter and sidecar; its tests leave it as they found it."""
    with Lab(tmp_path_factory.mktemp('lab'), proxies=2) as lab:
        yield lab
