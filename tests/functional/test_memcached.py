"""memcached gone, hung and come back: hits go on, validated by a HEAD, within a bound.

tempauth keeps its logins in memcached too, so that only public objects can be read then.
"""
import signal
import time
from functools import partial

import pytest
from helpers.common.timing import is_quick
from helpers.lab import clients
from helpers.lab.load import Load

from swiftahead.lab import Lab

BODY = b'public' * 1000
# one wait for a token to be read or set, and one HEAD
BOUND = 3.0
SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',)}


@pytest.fixture
def public(tmp_path):
    """A lab with one public object that is cached."""
    with Lab(tmp_path / 'lab', **SMALL) as lab:
        container = clients.account(lab) + '/c'
        clients.request(lab, 'PUT', container, {'X-Container-Read': '.r:*'})
        assert clients.request(lab, 'PUT', container + '/o', body=BODY).status == 201
        clients.until_hit(lab, container + '/o')
        yield lab, container + '/o'


def read(lab, path):
    began = time.monotonic()
    answer = clients.request(lab, 'GET', path, token='')
    return answer, time.monotonic() - began


@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGSTOP], ids=['gone', 'hung'])
def test_hits_are_validated_without_memcached_and_no_longer_when_it_is_back(public, how):
    lab, path = public
    if how == signal.SIGSTOP:
        clients.signal_program(lab, 'memcached', how)
    else:
        lab.stop('memcached', how)
    # Swift's own waits for memcached come first, ten of two seconds, until it error-limits the server
    with Load(*[partial(read, lab, path)] * 10):
        clients.until(lambda: read(lab, path)[1] < BOUND, 'Swift itself has given up on memcached')
    for _ in range(5):
        answer, _ = read(lab, path)
        assert (answer.status, answer.body) == (200, BODY)
        assert answer.headers['cache-status'] == 'swiftahead; hit; detail=validated'
    assert is_quick(lambda: read(lab, path)[1], BOUND)
    if how == signal.SIGSTOP:
        clients.signal_program(lab, 'memcached', signal.SIGCONT)
    else:
        lab.start('memcached')
    clients.until(lambda: read(lab, path)[0].headers['cache-status'] == 'swiftahead; hit',
                  'hits need no validation any more')
