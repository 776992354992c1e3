"""A3: what is said to one client is not said to another who reads the same answer."""
import pytest
from helpers.common.builders import container_info, infocache
from helpers.common.faults import PATH
from helpers.filter.filtered import Proxy, allow
from swift.common.swob import Request

from swiftahead.cache import Store


@pytest.fixture(params=['on', 'off'])
def proxy(request, tmp_path):
    Store.create(tmp_path / 'cache')
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue.db', cache_status=request.param)
    yield proxy
    proxy.close()


def ask(proxy, client):
    """A GET through middleware that adds to the list of headers it is given, as catch_errors does; the
    headers that this client gets."""
    env = Request.blank(PATH, environ={'swift.authorize': allow, 'REMOTE_ADDR': '10.0.0.1',
                                       'swift.infocache': infocache(container_info())}).environ
    told = []

    def start_response(status, headers, exc_info=None):
        headers.append(('X-Trans-Id', client))
        told.extend(headers)

    return proxy.app(env, start_response), told


@pytest.mark.holds('A3')
@pytest.mark.parametrize('size', [100, 500_000])
def test_what_is_added_for_one_client_is_not_for_those_who_read_along(proxy, size):
    proxy.swift.put(PATH, b'x' * size)
    answers = [ask(proxy, client) for client in ('first', 'second', 'third')]
    found = [[value for key, value in told if key == 'X-Trans-Id'] for _, told in answers]
    assert found == [['first'], ['second'], ['third']]
    assert proxy.asked() == 1
    assert {b''.join(body) for body, _ in answers} == {b'x' * size}
    for body, _ in answers:
        getattr(body, 'close', list)()
