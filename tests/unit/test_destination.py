"""Upstream's own middleware takes what a destination signs."""
import pytest
from helpers.sync.patched import REALM_KEY, USER_KEY
from swift.common.middleware.container_sync import ContainerSync
from swift.common.swob import Request, Response, str_to_wsgi

from swiftahead.sidecar.syncer.remote import Destination

NAMES = (*map(chr, range(1, 256)), '.', '..', 'a/../b', 'a//b/', '%41', '\u2028', '\U0001f600', 'e\u0301', ' a ')
METHODS = ('HEAD', 'PUT', 'POST', 'DELETE', 'GET')
CONTAINER = '/v1/AUTH_a/c%C3%A9%20%25'
NOW = '1700000000.12345'


def cluster(env, start_response):
    """Be the rest of the other cluster's pipeline: tell whether the request is let in."""
    let_in = env.get('swift.authorize_override', False)
    headers = {'X-Container-Sync-Key': USER_KEY, 'X-Let-In': str(let_in), 'X-Path': env['PATH_INFO']}
    return Response(status=204, headers=headers)(env, start_response)


@pytest.fixture(params=('key', 'key2'))
def receiver(request, tmp_path):
    """Give the middleware, which has our key as its first or its second."""
    keys = {'key': 'another', 'key2': 'another'} | {request.param: REALM_KEY}
    lines = ['[REALM]', *(f'{name} = {key}' for name, key in keys.items()), 'cluster_there = http://127.0.0.1/v1/']
    (tmp_path / 'container-sync-realms.conf').write_text('\n'.join(lines))
    return ContainerSync(cluster, {'swift_dir': str(tmp_path)})


def destination(realm='realm', realm_key=REALM_KEY, user_key=USER_KEY):
    return Destination(f'http://127.0.0.1:8080{CONTAINER}', realm, realm_key, user_key)


def asked(receiver, method, name, to, query='', **more):
    headers = {**to.headers(method, name, NOW), **more}
    return Request.blank(to.path(name) + query, method=method, headers=headers).get_response(receiver)


@pytest.mark.holds('S2', 'S3')
@pytest.mark.parametrize('method', METHODS)
def test_upstream_takes_the_signature_of_any_name(receiver, method):
    for name in NAMES:
        answer = asked(receiver, method, name, destination())
        assert answer.headers.get('X-Let-In') == 'True', (method, name)
        assert answer.headers['X-Path'].endswith(f'%/{str_to_wsgi(name)}')


@pytest.mark.holds('S2')
def test_upstream_takes_the_signature_of_a_listing(receiver):
    answer = asked(receiver, 'GET', None, destination(), query='?format=json&limit=1')
    assert answer.headers['X-Let-In'] == 'True'


@pytest.mark.holds('S2')
def test_the_signature_has_no_query(receiver):
    answer = asked(receiver, 'HEAD', 'o', destination(), query='?symlink=get&multipart-manifest=get')
    assert answer.headers['X-Let-In'] == 'True'


@pytest.mark.holds('S2', 'S3')
def test_a_proxy_has_set_the_timestamp_aside(receiver):
    to = destination()
    headers = to.headers('PUT', 'o', NOW)
    headers['x-backend-inbound-x-timestamp'] = headers.pop('x-timestamp')
    answer = Request.blank(to.path('o'), method='PUT', headers=headers).get_response(receiver)
    assert answer.headers['X-Let-In'] == 'True'


@pytest.mark.holds('S3')
@pytest.mark.parametrize('wrong', ({'realm_key': 'wrong'}, {'user_key': 'wrong'}, {'realm': 'other'}))
def test_upstream_refuses_other_keys(receiver, wrong):
    assert asked(receiver, 'PUT', 'o', destination(**wrong)).status_int == 401


@pytest.mark.holds('S2', 'S3')
def test_a_signature_is_of_one_time_and_one_method(receiver):
    assert asked(receiver, 'PUT', 'o', destination(), **{'x-timestamp': '1700000000.12346'}).status_int == 401
    headers = destination().headers('HEAD', 'o', NOW)
    answer = Request.blank(destination().path('o'), method='PUT', headers=headers).get_response(receiver)
    assert answer.status_int == 401


@pytest.mark.holds('S2')
def test_no_nonce_comes_twice():
    assert len({destination().headers('PUT', 'o', NOW)['x-container-sync-auth'] for _ in range(100)}) == 100


@pytest.mark.holds('S1', 'S2')
@pytest.mark.parametrize('to', (destination(None, None), destination('realm', None), destination(None, 'key')))
def test_without_a_realm_the_containers_key_is_sent(to):
    assert to.headers('PUT', 'o', NOW) == {'x-timestamp': NOW, 'x-container-sync-key': USER_KEY}


def test_keys_are_in_no_text():
    to = destination()
    assert REALM_KEY not in f'{to} {to!r} {to.shown("o")}' and USER_KEY not in f'{to} {to!r} {to.shown("o")}'


def test_a_login_in_the_url_is_not_shown():
    to = Destination('http://me:hidden@[::1]:8080/v1/a/c', None, None, USER_KEY)
    assert to.shown('a\nb') == 'http://[::1]:8080/v1/a/c/a%0Ab'
