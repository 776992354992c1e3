"""A4, key confusion: what is one object to Swift is one entry, and what is two objects is two.

Requests go over a socket to Swift's own HTTP server, and on to the real proxy app: it says which object a
request line means, or refuses it. Every object there could be exists; its body is its name.
"""
import json
from itertools import count
from types import SimpleNamespace

import pytest
from helpers.common.builders import ListLogger, container_info, headers_for, make_swift_dir
from helpers.common.trying import tries
from helpers.filter.filtered import Proxy, allow
from hypothesis import given
from hypothesis import strategies as st
from swift.common.concurrency import listen, socket, spawn, wsgi
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.middleware.gatekeeper import GatekeeperMiddleware
from swift.common.swob import Response
from swift.proxy.controllers.obj import ReplicatedObjectController
from swift.proxy.server import Application

from swiftahead.cache import Store

OBJECT = b'/v1/AUTH_test/c/'


class Quiet(ListLogger):
    name = 'proxy-server'


class Named(ReplicatedObjectController):
    """Every object: its body is its name, as proxy-server understood it."""

    def GETorHEAD(self, req):
        name = json.dumps([self.account_name, self.container_name, self.object_name]).encode()
        return Response(request=req, body=name, headers=dict(headers_for(name)))


class AnyContainer(dict):
    """`swift.infocache` that knows every container."""

    def __contains__(self, key):
        return key.startswith('container/') or super().__contains__(key)

    def __getitem__(self, key):
        return container_info() if key.startswith('container/') else super().__getitem__(key)

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default


class World:
    """One proxy app behind two servers, one of them with the filter."""

    def __init__(self, folder):
        Store.create(folder / 'cache')
        swift = Application({'swift_dir': str(folder)}, logger=Quiet())
        swift.obj_controller_router = dict.fromkeys(swift.obj_controller_router.policy_to_controller_cls, Named)
        self.proxy = Proxy(folder / 'cache', folder / 'queue.db', backend=swift, begin=False)
        # as Swift's loader leaves it: where there is none, the filter does not answer in front of a real proxy app
        self.proxy.app._pipeline = [GatekeeperMiddleware(self.proxy.app, {}), self.proxy.app, swift]
        self.proxy.ready()
        self.known: set[bytes] = set()
        self.numbers = count()
        self._servers = [self._serve(app) for app in (swift, self.proxy.app)]

    def _serve(self, app):
        def front(env, start_response):
            return app({**env, 'swift.authorize': allow, 'swift.infocache': AnyContainer()}, start_response)

        listening = listen(('127.0.0.1', 0))
        return listening, spawn(wsgi.server, listening, front, log=ListLogger(), log_output=False, debug=False,
                                protocol=SwiftHttpProtocol)

    def plain(self, target, *headers):
        return ask(self._servers[0][0], target, *headers)

    def filtered(self, target, *headers):
        """The filter's answer; what it captured is admitted."""
        answer = ask(self._servers[1][0], target, *headers)
        self.proxy.settle()
        for item in list(self.store.spool_files()):
            self.store.admit(item.entry_name)
        return answer

    @property
    def store(self):
        return self.proxy.runtime.store()

    def close(self):
        for listening, server in self._servers:
            server.kill()
            listening.close()
        self.proxy.close()


def ask(listening, target, *headers):
    with socket.socket() as client:
        client.settimeout(30)
        client.connect(listening.getsockname())
        client.sendall(b'\r\n'.join([b'GET ' + target + b' HTTP/1.1', b'Host: h', b'Connection: close', *headers,
                                     b'', b'']))
        data = b''.join(iter(lambda: client.recv(65536), b''))
    head, _, body = data.partition(b'\r\n\r\n')
    return SimpleNamespace(status=int(head.split()[1]), body=body, is_hit=b'Cache-Status: swiftahead; hit' in head)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('a4')
    with pytest.MonkeyPatch.context() as patched:
        make_swift_dir(folder, patched)
        world = World(folder)
        yield world
        world.close()


# alike in one way or another: to a human, to a file system, to a server that decodes once too often or too little
PIECES = [b'', b'\xc3\xa9', b'\xe9', b'\xc0\xaf', *(
    rb'o O %6f %6F . .. %2e %2E%2e % %25 %2f %2F %252f %25252f %00 %01 %0a %0d%0a %20 + %2B ;v %3Bv %3F %23 # & '
    rb'= \ %5c %C3%A9 %c3%a9 e%CC%81 %E9 %C0%AF %C0%80 %ED%A0%80 %ED%B3%A9 %EF%BB%BF %E2%80%AE %C5%BF s K '
    rb'%E2%84%AA ~ * %u002f').split()]
VERSIONS = [b'v1', b'v1', b'v1', b'v1.0', b'v1%2e0', b'%761', b'V1', b'v2', b'v1.00', b'v', b'']
ACCOUNTS = [b'AUTH_test', b'AUTH_test', b'AUTH%5Ftest', b'auth_test', b'AUTH_test%2Fc', b'AUTH_t%C3%A9st',
            b'AUTH_te%CC%81st', b'AUTH_test%20', b'.shards_AUTH_test', b'.', b'%00AUTH', b'AUTH_%E9', b'']
CONTAINERS = [b'c', b'c', b'C', b'%63', b'c%2Fo', b'c%252Fo', b'..', b'%00c', b'c%00', b'c;', b'']
SEPARATORS = [b'/', b'/', b'/', b'//', b'%2F', b'/./', b'/../', b'%252F']
QUERIES = [b'', b'', b'', b'?', b'?x', b'?multipart-manifest=get', b'?/../o', b'#o']
RESERVED = [(), (b'X-Backend-Allow-Reserved-Names: true',)]


NAMES = st.builds(lambda first, more: first + b''.join(more), st.sampled_from(PIECES), st.lists(
    st.builds(bytes.__add__, st.sampled_from(SEPARATORS), st.sampled_from(PIECES)), max_size=3))


@st.composite
def requests(draw):
    """Targets and headers of several requests, of which some mean one object."""
    names, asked = draw(st.lists(NAMES, min_size=1, max_size=2)), []
    for _ in range(draw(st.integers(2, 5))):
        path = draw(st.sampled_from([b'/', b'/', b'/', b'//', b'http://h/']))
        path += b'/'.join(draw(st.sampled_from(pool)) for pool in (VERSIONS, ACCOUNTS, CONTAINERS, names))
        asked.append((path + draw(st.sampled_from(QUERIES)), draw(st.sampled_from(RESERVED))))
    return asked


def is_cacheable(answer):
    return answer.status == 200 and not json.loads(answer.body)[0].startswith('.')


@pytest.mark.holds('A4')
@tries(80)
@given(asked=requests())
def test_one_object_is_one_entry_and_two_are_two(world, asked):
    for target, headers in asked + asked:
        plain, answer = world.plain(target, *headers), world.filtered(target, *headers)
        assert (answer.status, answer.body) == (plain.status, plain.body)
        assert answer.is_hit == (plain.body in world.known)
        if is_cacheable(plain):
            world.known.add(plain.body)


@pytest.fixture
def container(world):
    """A container of its own for each test, so that nothing of it is cached; quoted."""
    return b'/v1/AUTH_test/%d/' % next(world.numbers)


def warm(world, target, *headers):
    """Read it until it is a hit; the object's name."""
    plain = world.plain(target, *headers)
    assert plain.status == 200 and not world.filtered(target, *headers).is_hit
    answer = world.filtered(target, *headers)
    assert answer.is_hit and answer.body == plain.body
    return plain.body


@pytest.mark.holds('A4')
@pytest.mark.parametrize('one, other', [
    (b'a/b', b'a%2Fb'), (b'a/b', b'a%2fb'), (b'o', b'%6F'), (b'o', b'%6f'), (b'o', b'o?x=y'), (b'o', b'o?'),
    (b'o', b'o?/../p'), (b'\xc3\xa9', b'%C3%A9'), (b'%C3%A9', b'%c3%a9'), (b'a//b', b'a/%2Fb'), (b'a#b', b'a%23b'),
    (b'a;b', b'a%3Bb'), (b'a&b', b'a%26b'), (b'+', b'%2B'), (b'~', b'%7E'), (b'%', b'%25'), (b'%zz', b'%25zz')])
def test_two_ways_to_write_one_object(world, container, one, other):
    name = warm(world, container + one)
    answer = world.filtered(container + other)
    assert answer.is_hit and answer.body == name == world.plain(container + other).body


@pytest.mark.holds('A4')
@pytest.mark.parametrize('one, other', [
    (b'a/b', b'a//b'), (b'o', b'/o'), (b'o', b'o/'), (b'o/', b'o//'), (b'o', b'./o'), (b'a/o', b'a/./o'),
    (b'o', b'a/../o'), (b'o', b'..%2Fo'), (b'a%2Fb', b'a%252Fb'), (b'a%252Fb', b'a%25252Fb'), (b'o', b'o%20'),
    (b'o', b'%20o'), (b'+', b'%20'), (b'o', b'o;'), (b'o', b'o%3F'), (b'o', b'o%23'), (b'o', b'O'),
    (b'o', b'o%0A'), (b'o', b'o%01'), (b'%C3%A9', b'e%CC%81'), (b'%C3%9F', b'ss'), (b's', b'%C5%BF'),
    (b'K', b'%E2%84%AA'), (b'o', b'%EF%BB%BFo'), (b'\\', b'/'), (b'x' * 1023, b'x' * 1024), (b'%2e', b'.%2e'),
    (b'a', b'a%2F'), (b'0' * 48, b'0' * 47)])
def test_two_objects_that_look_alike(world, container, one, other):
    names = {warm(world, container + one), warm(world, container + other)}
    assert len(names) == 2
    assert names == {world.filtered(container + one).body, world.filtered(container + other).body}


@pytest.mark.holds('A4')
@pytest.mark.parametrize('start', [b'/v1.0/', b'/v1%2E0/', b'/%761/', b'http://h/v1/'])
def test_every_name_of_the_version_is_the_same_object(world, container, start):
    name = warm(world, container + b'o')
    answer = world.filtered(container.replace(b'/v1/', start, 1) + b'o')
    assert answer.is_hit and answer.body == name


@pytest.mark.holds('A4')
@pytest.mark.parametrize('start', [b'/v2/', b'/V1/', b'/v1.00/', b'/v1%20/', b'/v/', b'/%C0%AF/', b'//v1/'])
def test_a_version_that_swift_refuses_is_refused_when_warm(world, container, start):
    warm(world, container + b'o')
    target = container.replace(b'/v1/', start, 1) + b'o'
    plain, answer = world.plain(target), world.filtered(target)
    assert (answer.status, answer.is_hit) == (plain.status, False) and plain.status >= 400


@pytest.mark.holds('A4')
@pytest.mark.parametrize('name', [b'%E9', b'\xe9', b'o%C0%AF', b'%C0%80', b'%ED%A0%80', b'%ED%B3%A9', b'o%00'])
def test_a_name_that_swift_refuses_is_no_entry(world, container, name):
    before = sorted(item.entry_name for item in world.store.linked())
    assert [world.filtered(container + name).status for _ in range(2)] == [412, 412]
    assert sorted(item.entry_name for item in world.store.linked()) == before


@pytest.mark.holds('A4')
def test_a_reserved_name_is_not_the_name_without_its_zero(world, container):
    reserved = container.replace(b'test/', b'test/%00') + b'%00o'
    allowed = RESERVED[1][0]
    assert warm(world, reserved, allowed) != warm(world, container + b'o')
    assert (world.filtered(reserved).status, world.filtered(reserved).is_hit) == (412, False)


@pytest.mark.holds('A4')
@pytest.mark.parametrize('account, other', [
    (b'AUTH_test', b'auth_test'), (b'AUTH_t%C3%A9st', b'AUTH_te%CC%81st'), (b'AUTH_test', b'AUTH_test%20')])
def test_accounts_that_look_alike(world, container, account, other):
    one = warm(world, container.replace(b'AUTH_test', account) + b'o')
    two = world.filtered(container.replace(b'AUTH_test', other) + b'o')
    assert not two.is_hit and two.body != one


@pytest.mark.holds('A4')
def test_a_quoted_slash_ends_an_account_as_a_plain_one(world, container):
    one = warm(world, container + b'a/o')
    two = world.filtered(container.replace(b'AUTH_test/', b'AUTH_test%2F') + b'a/o')
    assert two.is_hit and two.body == one
