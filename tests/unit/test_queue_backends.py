"""Every back end keeps the contract, and the URL says which one it is."""
import subprocess
import sys

import pytest
from helpers.queue.queue_contract import ACCESS, QueueContract, makes

from swiftahead.conf.casts import BACKENDS
from swiftahead.queues import open_queue

# a queue of each back end, in a folder of the test
URLS = {'sqlite': 'sqlite:{}/queue.db'}


@pytest.fixture(params=sorted(BACKENDS))
def url(request, tmp_path):
    return URLS[request.param].format(tmp_path)


@pytest.fixture
def make(url):
    with makes(url) as make:
        yield make


class TestBackends(QueueContract):
    """All of the table."""


def test_a_queue_is_missing_until_it_is_begun(make):
    assert make().is_missing()
    make().put([ACCESS])
    assert not make().is_missing()


def test_the_path_is_the_urls(make, url):
    assert str(make().path) == url.partition(':')[2]


def test_all_back_ends_are_loaded_with_the_room():
    """Not at the first request of a process, which an upgrade of the package may have come before."""
    code = ('import sys, swiftahead.queues as queues; before = set(sys.modules)\n'
            'for url in sys.argv[1:]: queues.open_queue(url).depth()\n'
            'print([name for name in set(sys.modules) - before if name.startswith("swiftahead")])')
    urls = [URLS[scheme].format('/nowhere') for scheme in BACKENDS]
    assert subprocess.check_output([sys.executable, '-c', code, *urls], text=True) == '[]\n'


@pytest.mark.parametrize('url', ['redis:/var/queue', '/var/queue.db', 'sqlite:queue.db'])
def test_a_url_that_names_no_back_end_is_refused_with_those_that_there_are(url):
    with pytest.raises(ValueError, match='must be sqlite: followed by an absolute path'):
        open_queue(url)
