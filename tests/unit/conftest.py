import pytest
from helpers.common.builders import close_logs


@pytest.fixture(autouse=True)
def closed_logs():
    """A logger that Swift makes anew drops its handler, socket and all, in whatever test that happens."""
    yield
    close_logs()
