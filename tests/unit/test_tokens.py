"""Tokens on a real memcached: what is kept, and what a server that hangs costs."""
import shutil
import socket
import time
from contextlib import closing

import pytest
from helpers.common.builders import NAME, ListLogger
from helpers.common.timing import is_quick
from helpers.freshness.memcacheds import Server, close, eventually, free_port
from swift.common.memcached import load_memcache

from swiftahead.conf.names import ObjectName
from swiftahead.freshness import Token, TokenRing, TokensUnreachable
from swiftahead.freshness.memcache_client import LONGEST_WAIT

KEY = 'swiftahead' + NAME.path
# more than those after which a server is left in peace; the bounds are wide for machines that are busy
ERRORS = 11
pytestmark = pytest.mark.skipif(shutil.which('memcached') is None, reason='memcached is not installed')


@pytest.fixture(scope='module')
def running():
    with closing(Server()) as server:
        yield server


@pytest.fixture
def server(running):
    running.flush()
    # a ring that an earlier test error-limited is not for the next one
    close(running.ring)
    running.ring = running.new_ring()
    return running


def unheard():
    """A ring of a server that is not there."""
    return TokenRing(load_memcache({'memcache_servers': f'127.0.0.1:{free_port()}'}, ListLogger()))


def took(call, *args):
    """Seconds until the call said that nobody can be reached."""
    began_at = time.monotonic()
    with pytest.raises(TokensUnreachable):
        call(*args)
    return time.monotonic() - began_at


def of_new_rings(server, seconds, **conf):
    """An attempt after the other, each with a ring of its own: one that has waited a few times waits no more."""
    def attempt():
        ring = server.new_ring(**conf)
        try:
            return seconds(ring)
        finally:
            close(ring)
    return attempt


def test_a_token_comes_back_as_it_was_set(server):
    token = Token.new(pending=True, timestamp='1234567890.12345')
    server.ring.set(NAME, token)
    assert server.ring.get(NAME) == token


PENDING = Token.new(pending=True)


def test_a_token_may_be_announced_and_is_there_for_whoever_asks_next(server):
    server.ring.announce(NAME, PENDING)
    assert server.ring.get(NAME) == PENDING


def test_an_announced_token_is_replaced_by_the_one_that_follows(server):
    announced = server.ring.announce(NAME, PENDING)
    assert server.ring.replace(NAME, announced, token := Token.new())
    assert server.ring.get(NAME) == token


def test_a_token_that_was_set_since_is_not_replaced(server):
    announced = server.ring.announce(NAME, PENDING)
    # whose answer shows that the announcement has arrived
    server.ring.get(NAME)
    another = server.new_ring()
    another.set(NAME, other := Token.new())
    close(another)
    assert not server.ring.replace(NAME, announced, Token.new())
    assert server.ring.get(NAME) == other


def test_of_two_announcements_the_first_is_not_replaced(server):
    first, second = server.ring.announce(NAME, PENDING), server.ring.announce(NAME, Token.new(pending=True))
    assert not server.ring.replace(NAME, first, Token.new())
    assert server.ring.replace(NAME, second, Token.new())


def test_a_token_that_memcached_has_lost_since_is_not_replaced(server):
    announced = server.ring.announce(NAME, PENDING)
    server.ring.get(NAME)
    server.flush()
    assert not server.ring.replace(NAME, announced, Token.new())


def test_an_announcement_on_a_connection_that_has_ended_is_made_again(server):
    server.ring.get(NAME)
    for line in server.ring.client._connections.values():
        line._socket.shutdown(socket.SHUT_RDWR)
    assert server.ring.replace(NAME, server.ring.announce(NAME, PENDING), token := Token.new())
    assert server.ring.get(NAME) == token


def test_an_announcement_that_nobody_hears_is_told_when_it_is_replaced(server):
    server.ring.get(NAME)
    with server.hung():
        announced = server.ring.announce(NAME, PENDING)
        took(server.ring.replace, NAME, announced, Token.new())


def test_an_announcement_that_nobody_hears_costs_a_short_wait(server):
    def replaced(ring):
        ring.get(NAME)
        with server.hung():
            return took(ring.replace, NAME, ring.announce(NAME, PENDING), Token.new())
    assert is_quick(of_new_rings(server, replaced), 5 * LONGEST_WAIT)


def test_an_announcement_where_nothing_listens_is_told_at_once():
    ring = unheard()
    assert is_quick(lambda: took(ring.announce, NAME, PENDING), 0.5)


def test_where_none_was_set_there_is_none(server):
    assert server.ring.get(NAME) is None


def test_a_token_is_made_where_there_is_none_and_kept_where_there_is(server):
    token = server.ring.ensure(NAME)
    assert (token.pending, token.timestamp) == (False, '')
    assert server.ring.ensure(NAME) == server.ring.get(NAME) == token


def test_a_pending_token_is_not_replaced(server):
    token = Token.new(pending=True)
    server.ring.set(NAME, token)
    assert server.ring.ensure(NAME) == token


# ending a token, as a purge does

def test_an_ended_token_is_another_that_knows_of_the_same_write(server):
    server.ring.set(NAME, token := Token.new(timestamp='1234567890.12345'))
    server.ring.end(NAME)
    ended = server.ring.get(NAME)
    assert ended.value != token.value and (ended.pending, ended.timestamp) == (False, token.timestamp)


def test_a_pending_token_is_not_ended(server):
    server.ring.set(NAME, PENDING)
    server.ring.end(NAME)
    assert server.ring.get(NAME) == PENDING


def test_where_there_is_no_token_none_is_ended(server):
    server.ring.end(NAME)
    assert server.ring.get(NAME) is None


@pytest.mark.parametrize('other', [PENDING, Token.new(timestamp='1234567890.12345')], ids=['pending', 'written'])
def test_a_token_that_is_set_while_another_is_ended_stays(server, monkeypatch, other):
    server.ring.set(NAME, Token.new())
    lines, another = server.ring.client, server.new_ring()

    def get(key, get=lines.get):
        found = get(key)
        another.set(NAME, other)
        return found

    monkeypatch.setattr(lines, 'get', get)
    server.ring.end(NAME)
    close(another)
    assert server.ring.get(NAME) == other


def test_a_token_that_memcached_loses_while_it_is_ended_stays_lost(server, monkeypatch):
    server.ring.set(NAME, Token.new())
    lines = server.ring.client

    def get(key, get=lines.get):
        found = get(key)
        server.flush()
        return found

    monkeypatch.setattr(lines, 'get', get)
    server.ring.end(NAME)
    assert server.ring.get(NAME) is None


def test_rubbish_is_not_ended(server):
    swifts = server.swifts_ring()
    swifts.set(KEY, 'rubbish')
    server.ring.end(NAME)
    assert swifts.get(KEY) == 'rubbish'
    close(swifts)


def test_a_server_that_hangs_is_told_of_by_whoever_ends_a_token(server):
    server.ring.ensure(NAME)
    with server.hung():
        assert took(server.ring.end, NAME) < 5 * LONGEST_WAIT


def test_tokens_are_never_the_same():
    assert len({Token.new().value for _ in range(100)}) == 100


@pytest.mark.parametrize('name', [
    ObjectName('AUTH_test', 'c', 'ü/\u2028 ?'), ObjectName('AUTH_test', 'c', '\udcff'),
    ObjectName('AUTH_test', 'c', 'x' * 1024)])
def test_any_name_has_a_token(server, name):
    token = server.ring.ensure(name)
    assert server.ring.get(name) == token
    assert server.ring.get(NAME) is None


def test_two_rings_of_one_server_have_the_same_tokens(server):
    other = server.new_ring()
    assert other.ensure(NAME) == server.ring.get(NAME)
    close(other)


@pytest.mark.parametrize('rubbish', ['text', 17, {'a': 1}, [], ['x', False], [1, 2, 3, 4], None])
def test_rubbish_in_memcached_is_no_token(server, rubbish):
    swifts = server.swifts_ring()
    swifts.set(KEY, rubbish)
    assert server.ring.get(NAME) is None
    close(swifts)


def test_rubbish_is_replaced(server):
    swifts = server.swifts_ring()
    swifts.set(KEY, 'rubbish')
    token = server.ring.ensure(NAME)
    assert server.ring.get(NAME) == token
    close(swifts)


@pytest.mark.parametrize('call', ['get', 'ensure', 'end'])
def test_where_nothing_listens_it_is_said_at_once(call):
    ring = unheard()
    assert is_quick(lambda: took(getattr(ring, call), NAME), 0.5)


def test_setting_where_nothing_listens_is_said_at_once():
    ring = unheard()
    assert is_quick(lambda: took(ring.set, NAME, Token.new()), 0.5)


def test_a_server_that_hangs_costs_a_short_wait(server):
    def got(ring):
        ring.ensure(NAME)
        with server.hung():
            return took(ring.get, NAME)
    assert is_quick(of_new_rings(server, got), 5 * LONGEST_WAIT)


def test_a_server_that_hangs_costs_a_new_connection_a_short_wait_too(server):
    with server.hung():
        assert is_quick(of_new_rings(server, lambda ring: took(ring.ensure, NAME)), 5 * LONGEST_WAIT)


@pytest.mark.parametrize('conf, least, most', [
    ({'io_timeout': '30'}, 0.5 * LONGEST_WAIT, 5 * LONGEST_WAIT),
    ({'io_timeout': '0.01'}, 0.0, 0.9 * LONGEST_WAIT)])
def test_an_operators_wait_counts_where_it_is_shorter(server, conf, least, most):
    def waits(ring):
        seconds = took(ring.get, NAME)
        assert least <= seconds
        return seconds
    with server.hung():
        assert is_quick(of_new_rings(server, waits, **conf), most)


def test_one_hung_call_does_not_give_the_server_up(server):
    token = server.ring.ensure(NAME)
    with server.hung():
        took(server.ring.get, NAME)
    assert server.ring.get(NAME) == token


def test_after_several_waits_nobody_waits_and_later_all_is_well_again(server):
    token = server.ring.ensure(NAME)
    with server.hung():
        for _ in range(ERRORS):
            took(server.ring.get, NAME)
        assert sum(took(server.ring.get, NAME) for _ in range(50)) < 25 * LONGEST_WAIT
    eventually(lambda: answer(server.ring) == token)


def answer(ring):
    try:
        return ring.get(NAME)
    except TokensUnreachable:
        return None


def test_giving_the_server_up_does_not_take_it_from_swift(server):
    swifts = server.swifts_ring()
    swifts.set('login', 'me')
    with server.hung():
        for _ in range(ERRORS):
            took(server.ring.get, NAME)
    assert swifts.get('login', raise_on_error=True) == 'me'
    took(server.ring.get, NAME)
    close(swifts)
