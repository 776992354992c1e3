"""Many readers of one cold object are one request to the backend in each worker."""
import hashlib
import http.client
import os
import re
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from helpers.lab import clients
from helpers.lab.processes import hung

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.lab import Lab

WORKERS = 2
COUNT = 200
PATIENT = """\
memcache_max_connections = 200
connect_timeout = 60
pool_timeout = 60
io_timeout = 60
error_suppression_limit = 1000000
"""
LARGE = os.urandom(10_000_000)
MD5 = hashlib.md5(LARGE).hexdigest()


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """With patience for a slow machine: what is bounded in use is not to be seen here."""
    with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies='gold', workers=WORKERS,
             filter_conf={'fetch_wait': '30'}) as lab:
        # at its two connections to memcached so many wait too long, and Swift answers 401 then
        conf, section = lab.conf_path('proxy1'), '[filter:cache]\n'
        conf.write_text(conf.read_text().replace(section, section + PATIENT))
        lab.restart('proxy1')
        yield lab


@pytest.fixture
def path(lab, request):
    container = f'{clients.account(lab)}/' + re.sub(r'\W', '-', request.node.name)
    assert clients.request(lab, 'PUT', container).status == 201
    assert clients.request(lab, 'PUT', f'{container}/o', body=LARGE).status == 201
    return f'{container}/o'


def backend_gets(lab, path):
    return len(re.findall(rf'"GET /d1/\d+{path.removeprefix("/v1")}"', lab.log('object1').read_text()))


class Reader(threading.Thread):
    """One GET, begun together with the others; `told` is its Cache-Status where every byte was right."""

    def __init__(self, lab, path, together):
        super().__init__()
        self._client = http.client.HTTPConnection(urlsplit(lab.urls[0]).netloc, timeout=120)
        self._request = 'GET', path, None, {'X-Auth-Token': clients.token(lab)}
        self._together = together
        self.told = 'nothing came'

    def run(self):
        found = hashlib.md5()
        self._client.connect()
        self._together.wait()
        try:
            self._client.request(*self._request)
            response = self._client.getresponse()
            while piece := response.read(1_000_000):
                found.update(piece)
            is_right = found.hexdigest() == MD5
            self.told = response.getheader('Cache-Status') if is_right else f'wrong: {response.status}'
        except (OSError, http.client.HTTPException) as error:
            self.told = repr(error)
        finally:
            self._client.close()


def read_all_at_once(lab, path, count):
    """The Cache-Status of each, in order."""
    together = threading.Barrier(count)
    readers = [Reader(lab, path, together) for _ in range(count)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return sorted(reader.told for reader in readers)


@contextmanager
def being_fetched(lab, path):
    """The sidecar has begun to fetch it, and gets no answer as long as the block lasts."""
    store, name = Store.open(lab.cache_dir), ObjectName(*path.split('/', 4)[2:])
    with hung(lab, 'object1'):
        assert clients.request(lab, 'POST', path.rpartition('/')[0] + '?prefetch=warm').status == 202
        clients.until(lambda: store.is_fetching(name), 'the sidecar fetches')
        yield


@pytest.mark.parametrize('has_token', [True, False])
def test_many_readers_of_a_cold_object_are_one_get_in_each_worker(lab, path, has_token):
    if not has_token:
        clients.flush_memcached(lab)
    told = read_all_at_once(lab, path, COUNT)
    spared = sum('collapsed' in word or word.startswith('swiftahead; hit') for word in told)
    # what no token vouches for is read along with for a moment only after it has come
    most = WORKERS if has_token else 2 * WORKERS
    assert spared >= COUNT - most, Counter(told)
    assert backend_gets(lab, path) <= most


def test_a_get_that_meets_a_fetch_of_the_sidecars_waits_for_it(lab, path):
    # a worker that knows how soon Swift answers waits no longer than that, however busy the machine is
    lab.restart('proxy1')
    with being_fetched(lab, path):
        together = threading.Barrier(1)
        reader = Reader(lab, path, together)
        reader.start()
    reader.join()
    assert reader.told.startswith('swiftahead; hit')
    assert backend_gets(lab, path) == 1


def test_a_sidecar_that_is_killed_while_it_fetches_is_not_waited_for(lab, path):
    with being_fetched(lab, path):
        reader = Reader(lab, path, threading.Barrier(1))
        reader.start()
        lab.stop('sidecar', signal.SIGKILL)
    reader.join()
    lab.start('sidecar')
    assert reader.told == 'swiftahead; fwd=miss; stored'
