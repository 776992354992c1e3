"""The container's info is Swift's, whoever carried the question to memcached."""
import shutil
from contextlib import closing

import pytest
from helpers.common.builders import NAME, ListLogger
from helpers.freshness.memcacheds import Server, close
from swift.common.memcached import MemcacheRing
from swift.common.swob import Request
from swift.proxy.controllers.base import get_cache_key, get_container_info

from swiftahead.freshness.memcache_connection import MemcacheError
from swiftahead.middleware.subrequests import container_info, key_to_ask, look_up

pytestmark = pytest.mark.skipif(shutil.which('memcached') is None, reason='memcached is not installed')
KEY = get_cache_key(NAME.account, NAME.container)
INFO = {'status': 200, 'read_acl': 'me', 'storage_policy': '1', 'meta': {'prefetch': 'off'}}


@pytest.fixture(scope='module')
def server():
    with closing(Server()) as server:
        yield server


@pytest.fixture
def swifts(server):
    server.flush()
    ring = server.swifts_ring()
    yield ring
    close(ring)


class Backend:
    """An app that answers HEADs; counts them."""

    def __init__(self):
        self.asked = 0

    def __call__(self, env, start_response):
        self.asked += 1
        start_response('404 Not Found', [])
        return []


def env_of(cache):
    return Request.blank('/v1' + NAME.path, environ={'swift.cache': cache}).environ


def ours(server, env, app):
    key = key_to_ask(env, app, server.ring.client, NAME)
    return container_info(env, app, NAME, server.ring.ask_with(NAME, key)[1])


def test_it_is_what_swift_would_have_found(server, swifts):
    swifts.set(KEY, INFO)
    app, env = Backend(), env_of(swifts)
    swifts_own = get_container_info(env_of(swifts), app)
    assert {key: swifts_own[key] for key in INFO} == {**ours(server, env, app), 'storage_policy': 1}
    assert app.asked == 0


def test_swift_keeps_it_for_the_rest_of_the_transaction(server, swifts):
    swifts.set(KEY, INFO)
    app, env = Backend(), env_of(swifts)
    info = ours(server, env, app)
    assert env['swift.infocache'][KEY] is info == INFO
    assert key_to_ask(env, app, server.ring.client, NAME) is None


def test_writes_ask_for_it_alone_in_the_same_way(server, swifts, monkeypatch):
    swifts.set(KEY, INFO)
    monkeypatch.setattr(swifts, 'get', None)
    app, env = Backend(), env_of(swifts)
    assert look_up(env, app, server.ring.client, NAME) == INFO
    assert get_container_info(env, app)['read_acl'] == 'me'


def test_swift_is_asked_where_there_are_no_lines(server, swifts):
    swifts.set(KEY, INFO)
    assert look_up(env_of(swifts), Backend(), None, NAME)['read_acl'] == 'me'


def test_an_operators_wish_to_skip_the_cache_now_and_then_is_swifts_to_fulfil(server, swifts):
    app = Backend()
    app.container_existence_skip_cache = 0.01
    assert key_to_ask(env_of(swifts), app, server.ring.client, NAME) is None


@pytest.mark.parametrize('rubbish', ['text', 17, [], {'a': 1}])
def test_rubbish_is_not_taken_for_an_info(server, swifts, rubbish):
    swifts.set(KEY, rubbish)
    answer = server.ring.ask_with(NAME, KEY)[1]
    env = env_of(None)
    assert container_info(env, Backend(), NAME, answer)['status'] == 0


def test_what_is_not_there_swift_looks_for_itself(server, swifts):
    app = Backend()
    assert ours(server, env_of(swifts), app)['status'] == 0
    assert app.asked > 0


def test_swift_asks_again_where_our_way_is_shut(server, swifts):
    swifts.set(KEY, INFO)
    with server.hung():
        answer = server.ring.ask_with(NAME, KEY)[1]
        took_its_time(answer)
    assert container_info(env_of(swifts), Backend(), NAME, answer)['read_acl'] == 'me'


def took_its_time(answer):
    with pytest.raises(MemcacheError):
        answer.take()


def test_other_servers_are_not_asked_in_swifts_place(server):
    other = MemcacheRing(['127.0.0.1:1'], logger=ListLogger())
    assert key_to_ask(env_of(other), Backend(), server.ring.client, NAME) is None
    assert key_to_ask({}, Backend(), server.ring.client, NAME) is None
