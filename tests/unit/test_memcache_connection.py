"""A line to memcached: order, sharing, and what every kind of failure leaves."""
import socket
import time
from functools import partial

import pytest
from swift.common.concurrency import GreenPool, greenio, listen, sleep, spawn
from swift.common.memcached import MemcacheConnPool

from swiftahead.freshness.memcache_client import connect
from swiftahead.freshness.memcache_connection import (
    REST_SECONDS,
    STRIKES,
    MemcacheClosed,
    MemcacheConnection,
    MemcacheError,
    stored,
    value_of,
)


class Peer:
    """Answers each line of a connection as `answers` says; keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = lambda question: b'END\r\n'
        self.connections = []
        self._listener = listen(('127.0.0.1', 0))
        self.now = 1000.0
        self._serving = spawn(self._serve)
        pool = MemcacheConnPool(f'127.0.0.1:{self._listener.getsockname()[1]}', 1, 1.0)
        self.line = MemcacheConnection(partial(connect, pool), 0.2, lambda: self.now)

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            self.connections.append((connection, spawn(self._answer, connection)))

    def _answer(self, connection):
        with connection.makefile('rb') as lines:
            for question in lines:
                self.asked.append(question.strip())
                answer = self.answers(question.strip())
                if answer is None:
                    connection.close()
                    return
                connection.sendall(answer)

    def get(self, key=b'k', patient=False):
        return self.line.ask((b'get ' + key + b'\r\n', value_of(key)), patient=patient)[0]

    def close(self):
        self.line.close()
        self._serving.kill()
        self._listener.close()
        for connection, serving in self.connections:
            serving.kill()
            connection.close()


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.close()


def value(key, data):
    return b'VALUE %s 2 %d\r\n%s\r\nEND\r\n' % (key, len(data), data)


def echo(question):
    key = question.split()[1]
    return value(key, key * 3)


def test_an_answer_may_be_taken_later_and_in_any_order(peer):
    peer.answers = echo
    first, second, third = peer.get(b'a'), peer.get(b'b'), peer.get(b'c')
    found = [asked.result()[1] for asked in (third, first, second)]
    assert found == [b'ccc', b'aaa', b'bbb']


def test_many_at_once_share_one_connection(peer):
    peer.answers = echo
    keys = [b'%d' % number for number in range(200)]
    found = list(GreenPool(50).imap(lambda key: peer.get(key).result(), keys))
    assert found == [(2, key * 3, b'') for key in keys]
    assert len(peer.connections) == 1


def test_questions_may_go_out_together(peer):
    peer.answers = echo
    asked = peer.line.ask(*((b'get %s\r\n' % key, value_of(key)) for key in (b'a', b'b')))
    assert [one.result() for one in asked] == [(2, b'aaa', b''), (2, b'bbb', b'')]


def test_an_answer_in_pieces_is_waited_for(peer):
    def in_pieces(question):
        for piece in (b'VALUE k 2', b' 5\r\nab', b'cde\r\nEN'):
            peer.connections[0][0].sendall(piece)
            sleep()
        return b'D\r\n'
    peer.answers = in_pieces
    assert peer.get().result() == (2, b'abcde', b'')


def test_a_value_may_look_like_an_end(peer):
    peer.answers = lambda question: value(b'k', b'END\r\nVALUE k 2 1\r\n')
    assert peer.get().result() == (2, b'END\r\nVALUE k 2 1\r\n', b'')


def test_what_was_stored_is_confirmed(peer):
    peer.answers = lambda question: b'STORED\r\n'
    assert peer.line.ask((b'set k 0 0 1\r\n', stored))[0].result() is True


@pytest.mark.parametrize('answer', [
    b'ERROR\r\n', b'SERVER_ERROR out of memory\r\n', b'VALUE other 2 1\r\nx\r\nEND\r\n', b'VALUE k 2 x\r\n',
    b'VALUE k 2 1\r\nxyEND\r\n\r\n', b'\r\n'])
def test_an_answer_in_another_language_ends_the_connection(peer, answer):
    peer.answers = lambda question: answer
    with pytest.raises(MemcacheError):
        peer.get().result()
    peer.answers = echo
    assert peer.get().result() == (2, b'kkk', b'')
    assert len(peer.connections) == 2


def test_a_server_that_closes_is_told_from_one_that_fails(peer):
    peer.answers = lambda question: None
    with pytest.raises(MemcacheClosed):
        peer.get().result()


def test_closing_is_no_strike(peer):
    peer.answers = lambda question: None
    for _ in range(3 * STRIKES):
        with pytest.raises(MemcacheClosed):
            peer.get().result()


def test_silence_fails_all_who_asked_at_once(peer):
    peer.answers = lambda question: b''
    asked = [peer.get() for _ in range(20)]
    for one in asked:
        with pytest.raises(MemcacheError):
            one.result()
    assert len(peer.connections) == 1


def strike(peer):
    peer.answers = lambda question: b''
    for _ in range(STRIKES):
        with pytest.raises(MemcacheError):
            peer.get().result()
    peer.answers = echo


def test_after_some_strikes_nobody_asks_until_the_rest_is_over(peer):
    strike(peer)
    before = len(peer.asked)
    with pytest.raises(MemcacheError):
        peer.get()
    assert len(peer.asked) == before
    peer.now += REST_SECONDS
    assert peer.get().result() == (2, b'kkk', b'')


def test_the_patient_ask_even_then(peer):
    strike(peer)
    assert peer.get(patient=True).result() == (2, b'kkk', b'')


def test_an_answer_makes_good_for_earlier_strikes(peer):
    for _ in range(3):
        peer.answers = lambda question: b''
        with pytest.raises(MemcacheError):
            peer.get().result()
        peer.answers = echo
        assert peer.get().result() == (2, b'kkk', b'')


def test_those_who_wait_for_a_connection_fail_with_it(peer):
    tries = []

    def fail():
        tries.append(1)
        sleep()
        raise OSError('no')
    line = MemcacheConnection(fail, 0.2)

    def ask():
        with pytest.raises(MemcacheError):
            line.ask((b'get k\r\n', value_of(b'k')), patient=True)
    for one in [spawn(ask) for _ in range(20)]:
        one.wait()
    assert len(tries) == 1


def test_what_nobody_took_does_not_come_to_another(peer):
    peer.answers = echo
    peer.get(b'a')
    assert peer.get(b'b').result() == (2, b'bbb', b'')


def test_an_answer_that_came_while_the_loop_was_busy_counts():
    """The time is over then, and the timer is the first to be looked at."""
    ours, theirs = socket.socketpair()
    line = MemcacheConnection(lambda: greenio.GreenSocket(ours), 0.05, lambda: 1000.0)
    asked, = line.ask((b'get k\r\n', value_of(b'k')))

    def answer_and_hold():
        theirs.sendall(echo(b'get k'))
        time.sleep(0.2)

    with ours, theirs:
        spawn(answer_and_hold)
        assert asked.result() == (2, b'kkk', b'')
        line.close()
