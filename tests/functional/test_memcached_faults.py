"""F13: memcached gone, hung and started anew under reads and writes through two proxies.

tempauth keeps its logins in memcached; signed requests (tempurl) need none.
"""
import hmac
import re
import signal
import statistics
import time
from contextlib import contextmanager
from functools import partial

import pytest
from helpers.common.timing import is_quick
from helpers.lab import clients, load
from helpers.lab.load import Load, Reader, Writer
from helpers.lab.processes import hung

from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',)}
KEY = 'signed'
COUNT = 5
ROUNDS = 30
# a read waits 0.1 s for the token, until after three such waits the server is left alone for 5 s; then the HEAD
READ_BOUND = 0.1
# a write waits so for two tokens to be set, each with one more try, and for one to be read
WRITE_BOUND = 0.6
SLACK = 0.2


def signed(lab, method, path, body=None, proxy=0):
    expires = int(time.time()) + 600
    signature = hmac.new(KEY.encode(), f'{method}\n{expires}\n{path}'.encode(), 'sha256').hexdigest()
    return load.send(lab, method, f'{path}?temp_url_sig={signature}&temp_url_expires={expires}', body, proxy, '')


def make_objects(lab, container):
    """Path -> body."""
    account = clients.account(lab)
    assert clients.request(lab, 'POST', account, {'X-Account-Meta-Temp-URL-Key': KEY}).status == 204
    assert clients.request(lab, 'PUT', container).status == 201
    bodies = {f'{container}/hot{number}': f'body {number} '.encode() * 10_000 for number in range(COUNT)}
    for path, body in bodies.items():
        assert clients.request(lab, 'PUT', path, body=body).status == 201
    return bodies


@pytest.fixture
def lab(tmp_path):
    """One for each test: once Swift has given up on memcached, logins fail for a minute."""
    with Lab(tmp_path / 'lab', **SMALL, proxies=2) as lab:
        yield lab


@pytest.fixture
def container(lab):
    return f'{clients.account(lab)}/c'


@pytest.fixture
def hot(lab, container):
    bodies = make_objects(lab, container)
    for path in bodies:
        clients.until_hit(lab, path)
    return bodies


@contextmanager
def gone(lab):
    lab.stop('memcached', signal.SIGKILL)
    yield
    lab.start('memcached')


@contextmanager
def stopped(lab):
    with hung(lab, 'memcached'):
        yield


def seconds(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


def median(calls):
    return statistics.median(map(seconds, calls))


def swift_has_given_up(lab, path):
    """Swift's own waits for memcached come first, until it error-limits the server: in each proxy."""
    reads = [partial(signed, lab, 'GET', path, proxy=proxy) for proxy in (0, 1)]
    # ten waits of two seconds each: side by side
    with Load(*reads * 5):
        clients.until(lambda: all(seconds(read) < READ_BOUND + SLACK for read in reads * 2),
                      'Swift has given up on memcached')


@pytest.mark.holds('F13')
@pytest.mark.parametrize('state', [gone, stopped])
def test_reads_and_writes_are_right_and_in_time(lab, container, hot, state):
    writers = [Writer(lab, f'{container}/w{first}', ask=signed, proxies=(first, 1 - first)) for first in (0, 1)]
    reader = Reader(lab, hot, ask=signed)
    for writer in writers:
        writer()
    with state(lab):
        swift_has_given_up(lab, next(iter(hot)))
        for writer in writers:
            writer()
        assert is_quick(partial(median, [reader] * ROUNDS), READ_BOUND + SLACK)
        # a writer's round is one write and four reads
        assert is_quick(partial(median, writers * 5), WRITE_BOUND + 4 * READ_BOUND + SLACK)
    for writer in writers * 3:
        writer()


@pytest.mark.holds('F13')
def test_memcached_coming_and_going_under_load_spoils_no_answer(lab, container, hot):
    writers = [Writer(lab, f'{container}/w{first}', ask=signed, proxies=(first, 1 - first)) for first in (0, 1)]
    with Load(*writers, Reader(lab, hot, ask=signed)) as running:
        for state in (gone, stopped, gone):
            running.wait_for(10)
            with state(lab):
                running.wait_for(10)
        running.wait_for(10)
    assert running.errors == []


@pytest.mark.holds('F13')
@pytest.mark.parametrize('state', [gone, stopped])
def test_hits_need_no_validation_again_when_it_is_back(lab, hot, state):
    path = next(iter(hot))
    with state(lab):
        swift_has_given_up(lab, path)
        assert signed(lab, 'GET', path).headers['cache-status'] == 'swiftahead; hit; detail=validated'
    clients.until(lambda: signed(lab, 'GET', path).headers['cache-status'] == 'swiftahead; hit',
                  'hits are trusted')


class Requests:
    """What servers of a lab were asked since this was made."""

    def __init__(self, lab, server):
        self._log = lab.log(f'{server}1')
        self._begin = self._log.stat().st_size

    def count(self, method):
        text = self._log.read_bytes()[self._begin:].decode()
        return len(re.findall(rf'"{method} /d1/', text))


def backend_heads(lab, hot):
    """HEADs of accounts, containers and objects for ROUNDS reads by each of two clients without memcached."""
    for path in hot:
        signed(lab, 'GET', path)
    with gone(lab):
        swift_has_given_up(lab, next(iter(hot)))
        asked = {server: Requests(lab, server) for server in ('account', 'container', 'object')}
        readers = [Reader(lab, hot, ask=signed) for _ in range(2)]
        for _ in range(ROUNDS):
            for reader in readers:
                reader()
        return {server: found.count('HEAD') for server, found in asked.items()}


@pytest.mark.holds('F13')
def test_no_more_heads_of_containers_and_accounts_than_swifts_own(lab, container, hot, tmp_path):
    found = backend_heads(lab, hot)
    with Lab(tmp_path / 'plain', **SMALL, proxies=2, filter=False, sidecar=False) as plain:
        own = backend_heads(plain, make_objects(plain, f'{clients.account(plain)}/c'))
    assert own['container'] >= 2 * ROUNDS
    assert found['container'] <= own['container']
    assert found['account'] <= own['account']
    # and one of the object for each hit, which has no token to go by
    assert found['object'] == 2 * ROUNDS
