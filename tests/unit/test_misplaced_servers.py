"""Asking the servers that hold object and container, over real sockets."""
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers.common.builders import NAME, ListLogger
from swift.common.concurrency import listen, sleep, spawn, wsgi
from swift.common.utils import Timestamp

from swiftahead.misplaced import servers as asking
from swiftahead.misplaced.verdict import Copy, Replicas

NOW = 1_800_000_000.0
ZERO = Timestamp.zero()
# of a 404 where there is no database
NOTHING = {'X-Backend-Timestamp': '0000000000.00000', 'X-Backend-PUT-Timestamp': '0000000000.00000',
           'X-Backend-DELETE-Timestamp': '0000000000.00000', 'X-Backend-Status-Changed-At': '0000000000.00000',
           'X-Backend-Storage-Policy-Index': '0'}


def facts(asked):
    """None where too few told, and where there is no such container."""
    try:
        found = asked.container_facts(NAME.account, NAME.container)
    except asking.Unknown:
        return None
    return found if found.exists else None


class Backend:
    """Many servers on one port, told apart by the device in the path; keeps what it was asked."""

    def __init__(self):
        self.answers: dict[str, tuple] = {}
        self.asked: list[dict] = []
        self._socket = listen(('127.0.0.1', 0))
        self.port = self._socket.getsockname()[1]
        self._thread = spawn(wsgi.server, self._socket, self, log=ListLogger(), log_output=False, keepalive=False)

    def __call__(self, env, start_response):
        self.asked.append(env)
        status, headers, rows = self.answers.get(env['PATH_INFO'].split('/')[1], ('404 Not Found', {}, []))
        if status is None:
            sleep(60)
        start_response(status, list(headers.items()))
        return [json.dumps(rows).encode()] if rows else []

    def close(self):
        self._thread.kill()
        self._socket.close()


class Ring:
    def __init__(self, port, names, handoffs=()):
        self._nodes, self._handoffs = ([{'ip': '127.0.0.1', 'port': port, 'device': name} for name in some]
                                       for some in (names, handoffs))

    def get_nodes(self, *name):
        return 7, self._nodes

    def get_more_nodes(self, part):
        return iter(self._handoffs)


@pytest.fixture
def backend():
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture
def asked(backend):
    ring = Ring(backend.port, ('o1', 'o2', 'o3'), ('h1', 'h2', 'h3', 'h4'))
    return asking.StorageServers.of_proxy(SimpleNamespace(get_object_ring=lambda index: ring,
                                                   container_ring=Ring(backend.port, ('c1', 'c2', 'c3'))))


def at(seconds):
    return Timestamp(NOW + seconds).internal


def tombstone(seconds):
    return '404 Not Found', {'X-Backend-Timestamp': at(seconds)}, []


BROKEN = '503 Service Unavailable', {}, []


def container(policy=1, created=-100.0, put=-100.0, deleted=None, changed=None, status='204 No Content'):
    headers = {'X-Backend-Timestamp': at(created), 'X-Backend-PUT-Timestamp': at(put),
               'X-Backend-DELETE-Timestamp': at(deleted) if deleted is not None else '0000000000.00000',
               'X-Backend-Status-Changed-At': at(created if changed is None else changed),
               'X-Backend-Storage-Policy-Index': str(policy)}
    return status, headers, []


def test_servers_that_have_nothing_have_no_tombstone(asked):
    assert asked.replicas(NAME, 1) == Replicas(3, 3, False, ZERO)


def test_the_newest_tombstone_counts(asked, backend):
    backend.answers = {'o1': tombstone(1), 'o3': tombstone(3), 'o2': tombstone(2)}
    assert asked.replicas(NAME, 1).deleted_at == Timestamp(NOW + 3)


def test_a_handoffs_tombstone_counts_too(asked, backend):
    backend.answers = {'h3': tombstone(3)}
    assert asked.replicas(NAME, 1) == Replicas(3, 3, False, Timestamp(NOW + 3))


def test_no_more_handoffs_are_asked_than_there_are_primaries(asked, backend):
    backend.answers = {'h4': tombstone(3)}
    assert asked.replicas(NAME, 1).deleted_at == ZERO
    assert len(backend.asked) == 6


def test_who_fails_has_not_answered(asked, backend):
    backend.answers = {'o1': BROKEN, 'o2': ('507 Insufficient Storage', {}, []), 'h1': BROKEN}
    assert asked.replicas(NAME, 1).answered == 1


def test_what_any_has_is_there(asked, backend):
    backend.answers = {'o2': ('200 OK', {'X-Backend-Timestamp': at(9)}, [])}
    assert asked.replicas(NAME, 1) == Replicas(3, 3, True, ZERO, Timestamp(NOW + 9))


def test_who_does_not_listen_has_not_answered(asked, backend):
    backend.close()
    assert asked.replicas(NAME, 1).answered == 0
    assert facts(asked) is None


def test_who_talks_nonsense_has_not_answered(asked, backend):
    backend.close()
    listening = listen(('127.0.0.1', backend.port))
    talking = spawn(talk_nonsense, listening)
    assert asked.replicas(NAME, 1).answered == 0
    talking.kill()
    listening.close()


def talk_nonsense(listening):
    while True:
        client, _ = listening.accept()
        client.recv(10_000)
        client.sendall(b'what?\r\n\r\n')
        client.close()


def test_who_is_silent_is_not_waited_for_longer_than_it_takes(asked, backend):
    asked = replace(asked, answer_seconds=0.05)
    backend.answers = {'o1': (None, {}, [])}
    assert asked.replicas(NAME, 1).answered == 2


def test_the_policy_is_asked_for(asked, backend):
    asked.replicas(NAME, 5)
    assert {env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] for env in backend.asked} == {'5'}
    assert {env['REQUEST_METHOD'] for env in backend.asked} == {'HEAD'}


def test_the_containers_policy_is_the_best_of_all(asked, backend):
    backend.answers = {'c1': container(2, created=-50), 'c2': container(1), 'c3': container(2, created=-50)}
    assert facts(asked).policy_index == 1


def test_a_server_without_the_container_has_no_say(asked, backend):
    backend.answers = {'c1': ('404 Not Found', NOTHING, []), 'c2': container(1), 'c3': container(1)}
    assert facts(asked).policy_index == 1


@pytest.mark.parametrize('answers', [
    {'c1': container(), 'c2': BROKEN, 'c3': BROKEN},
    {'c1': container(status='404 Not Found', deleted=-50), 'c2': BROKEN, 'c3': container(status='404 Not Found')},
    {}])
def test_without_a_majority_or_a_container_nothing_is_known(asked, backend, answers):
    backend.answers = answers
    assert facts(asked) is None


def test_two_of_three_are_a_majority(asked, backend):
    backend.answers = {'c1': container(), 'c2': BROKEN, 'c3': container()}
    assert facts(asked).created_at == Timestamp(NOW - 100)


@pytest.mark.parametrize('answers, created', [
    # a container that was never deleted
    ({'c1': container(created=-100), 'c2': container(created=-50), 'c3': container(created=-100)}, -50),
    # later PUTs and POSTs of it, and what replicators changed, are no creation
    ({'c1': container(put=-1, changed=-1), 'c2': container(put=-1), 'c3': container(changed=-2)}, -100),
    # made again: after its deletion
    ({'c1': container(deleted=-30, put=-20), 'c2': container(), 'c3': container()}, -30),
    # deleted, as one of them knows alone
    ({'c1': container(), 'c2': container(deleted=-10, status='404 Not Found'), 'c3': container()}, -10)])
def test_when_the_container_was_made(asked, backend, answers, created):
    backend.answers = answers
    assert facts(asked).created_at == Timestamp(NOW + created)


def row(name=NAME.object, modified_at=-1.0):
    return {'name': name, 'last_modified': Timestamp(NOW + modified_at).isoformat, 'hash': 'x', 'bytes': 1}


def listing(*rows):
    return ('200 OK', {}, list(rows)) if rows else ('204 No Content', {}, [])


@pytest.mark.parametrize('answers, named', [
    ([listing(row())] * 3, True),
    ([listing(row()), BROKEN, listing(row())], True),
    ([listing(row()), BROKEN, BROKEN], False),
    ([listing(row()), listing(), listing(row())], False),
    ([listing(row('o1'))] * 3, False),
    ([listing(row(modified_at=0))] * 3, False),
    ([listing()] * 3, False)])
def test_rows_name_what_all_of_a_majority_list_in_this_version(asked, backend, answers, named):
    backend.answers = dict(zip(('c1', 'c2', 'c3'), answers, strict=True))
    # a version is what it is, whatever the offset of a move
    copy = Copy(4, Timestamp(NOW - 1, offset=3), Timestamp(NOW - 1))
    assert asked.is_named(NAME, copy, 4) is named


def test_rows_of_one_policy_are_asked_for(asked, backend):
    asked.is_named(NAME, Copy(4, Timestamp(NOW), Timestamp(NOW)), 5)
    assert {env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] for env in backend.asked} == {'5'}
    assert all('prefix=o' in env['QUERY_STRING'] and 'limit=1' in env['QUERY_STRING'] for env in backend.asked)
