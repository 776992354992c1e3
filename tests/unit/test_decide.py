from email.utils import formatdate
from types import SimpleNamespace

import pytest
from helpers.common.builders import NOW, meta_for

from swiftahead.cache import Stamp
from swiftahead.cache.headers import is_older, objects_headers, uncacheable_reason, wishes_of
from swiftahead.freshness import Token
from swiftahead.middleware.decide import (
    Action,
    bypass_container_reason,
    bypass_name_reason,
    bypass_reason,
    judge,
)

META = meta_for(b'abc')
OLD, NEW = '1799999998.00000', '1800000000.00000'


def settings(freshness='coherent'):
    return SimpleNamespace(freshness=freshness, max_age=600.0)


# stamps are made in the tests: one made at collection is old by its uptime when the tests before took minutes
@pytest.mark.parametrize('stamp, token, action, reason', [
    (('t', NOW), Token('t'), Action.SERVE, 'fresh'),
    (('t', NOW - 599), Token('t'), Action.SERVE, 'fresh'),
    (('t', NOW - 600), Token('t'), Action.VALIDATE, 'age'),
    (('t', NOW + 1), Token('t'), Action.VALIDATE, 'age'),
    (('t', NOW), Token('t', pending=True), Action.VALIDATE, 'write-pending'),
    (('t', NOW), Token('u'), Action.VALIDATE, 'token'),
    (('t', NOW), Token('u', timestamp=OLD), Action.VALIDATE, 'token'),
    (('t', NOW), Token('u', timestamp=NEW), Action.MISS, 'written'),
    (None, Token('t'), Action.VALIDATE, 'token'),
    (('t', NOW), None, Action.VALIDATE, 'no-token'),
    (('', NOW), None, Action.VALIDATE, 'no-token'),
])
def test_coherent(stamp, token, action, reason):
    found = judge(META, stamp and Stamp(*stamp), token, settings(), 0, NOW)
    assert (found.action, found.reason) == (action, reason)


@pytest.mark.parametrize('stamp, now, action', [
    (None, NOW + 599, Action.SERVE), (None, NOW + 600, Action.VALIDATE), (None, NOW - 1, Action.VALIDATE),
    (('', NOW + 500), NOW + 900, Action.SERVE)])
def test_max_age(stamp, now, action):
    assert judge(META, stamp and Stamp(*stamp), None, settings('max-age'), 0, now).action is action


@pytest.mark.parametrize('age, wanted, reason', [
    (9, 600, 'fresh'), (10, 600, 'lifetime'), (4, 5, 'fresh'), (5, 5, 'request-max-age'),
    (0, 0, 'request-max-age')])
@pytest.mark.parametrize('freshness', ['coherent', 'max-age'])
def test_owner_and_client_can_shorten_trust(freshness, age, wanted, reason):
    meta, stamp = meta_for(b'abc', Cache_Control='max-age=10'), Stamp('t', NOW - age)
    assert judge(meta, stamp, Token('t'), settings(freshness), 0, NOW, wanted).reason == reason


def test_neither_can_lengthen_it():
    meta = meta_for(b'abc', Cache_Control='max-age=10000')
    assert judge(meta, Stamp('t', NOW - 600), Token('t'), settings(), 0, NOW, 10000).reason == 'age'


def test_validate_always_asks():
    assert judge(META, Stamp('t', NOW), Token('t'), settings('validate'), 0, NOW).action is Action.VALIDATE


@pytest.mark.parametrize('freshness', ['coherent', 'validate', 'max-age'])
def test_an_expired_object_is_not_served(freshness):
    meta = meta_for(b'abc', X_Delete_At=str(int(NOW)))
    found = judge(meta, Stamp('t', NOW), Token('t'), settings(freshness), 0, NOW)
    assert (found.action, found.reason) == (Action.MISS, 'expired')
    assert judge(meta, Stamp('t', NOW - 2), Token('t'), settings(freshness), 0, NOW - 1).action is not Action.MISS


def test_an_entry_of_another_policy_is_not_served():
    assert judge(META, Stamp('t', NOW), Token('t'), settings(), 1, NOW).reason == 'policy'


ENV = {'swift.authorize': lambda req: None, 'REQUEST_METHOD': 'GET'}


@pytest.mark.parametrize('more, reason', [
    ({}, None),
    ({'HTTP_X_BACKEND_ETAG_IS_AT': 'X-Object-Sysmeta-Crypto-Etag'}, None),
    ({'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES': 'true'}, None),
    ({'HTTP_X_NEWEST': 'false', 'HTTP_X_OPEN_EXPIRED': 'no'}, None),
    ({'HTTP_CACHE_CONTROL': 'max-age=0'}, None),
    ({'CONTENT_LENGTH': '0'}, None),
    ({'HTTP_X_NEWEST': 'true'}, 'newest'),
    ({'HTTP_ORIGIN': 'http://x'}, 'origin'),
    ({'HTTP_X_OPEN_EXPIRED': 'true'}, 'open-expired'),
    ({'HTTP_X_BACKEND_STORAGE_POLICY_INDEX': '1'}, 'backend-header'),
    ({'HTTP_X_BACKEND_REPLICATION': 'true'}, 'backend-header'),
    ({'HTTP_CACHE_CONTROL': 'No-Cache'}, 'request-cache-control'),
    ({'HTTP_CACHE_CONTROL': 'max-age=3, no-store'}, 'request-cache-control'),
    ({'CONTENT_LENGTH': '5'}, 'request-body'),
    ({'HTTP_TRANSFER_ENCODING': 'chunked'}, 'request-body'),
])
def test_the_bypass_list(more, reason):
    wishes = wishes_of(more.get('HTTP_CACHE_CONTROL'))
    assert bypass_reason({**ENV, **more}, wishes=wishes) == reason


@pytest.mark.parametrize('host, reason', [('bad', 'denied-host'), ('bad:8080', 'denied-host'), ('good', None)])
def test_a_host_that_proxy_server_denies(host, reason):
    assert bypass_reason({**ENV, 'HTTP_HOST': host}, ['bad']) == reason


def test_a_request_that_nobody_authorises_is_not_answered():
    assert bypass_reason({'REQUEST_METHOD': 'GET'}) == 'no-authorize'


@pytest.mark.parametrize('account, path, allowed, reason', [
    ('AUTH_a', '/AUTH_a/c/o', False, None),
    ('.expiring_objects', '/.expiring_objects/c/o', False, 'system-account'),
    ('AUTH_a', '/AUTH_a/\x00versions\x00c/o', False, 'reserved-name'),
    ('AUTH_a', '/AUTH_a/\x00versions\x00c/o', True, None),
    ('AUTH_a', '/AUTH_a/c/\udcff', False, 'not-utf8'),
])
def test_names(account, path, allowed, reason):
    assert bypass_name_reason(account, path, allowed) == reason


@pytest.mark.parametrize('info, reason', [
    ({'status': 200}, None), ({'status': 204, 'meta': {'prefetch': 'on'}}, None),
    ({'status': 200, 'meta': {'prefetch': 'off'}}, 'container-opt-out'),
    ({'status': 404}, 'container'), ({'status': 0}, 'container'), ({}, 'container')])
def test_containers(info, reason):
    assert bypass_container_reason(info) == reason


def headers(**more):
    found = {'Content-Length': '3', 'Etag': '"x"', 'X-Backend-Timestamp': OLD}
    found.update({key.replace('_', '-'): value for key, value in more.items()})
    return [(key, value) for key, value in found.items() if value is not None]


@pytest.mark.parametrize('more, reason', [
    ({}, None), ({'Content_Length': None}, 'no-length'), ({'Content_Length': '100001'}, 'too-large'),
    ({'Etag': None}, 'no-version'), ({'X_Backend_Timestamp': None}, 'no-version'),
    ({'Cache_Control': 'max-age=3'}, None), ({'Cache_Control': 'private'}, 'stored-cache-control'),
    ({'Cache_Control': 'max-age=1, No-Store'}, 'stored-cache-control'), ({'Age': '0'}, 'stored-age'),
    ({'Cache_Control': 'no-cache'}, 'validated-each-time'),
    ({'Cache_Control': 'no-cache', 'Content_Length': '65537'}, None),
    ({'Expires': formatdate(NOW, usegmt=True)}, 'validated-each-time'),
    ({'Expires': formatdate(NOW + 1, usegmt=True)}, None)])
def test_what_is_not_kept(more, reason):
    assert uncacheable_reason(headers(**more), 100_000, NOW) == reason


def test_only_the_objects_own_headers_are_kept():
    kept = objects_headers(headers(Date='now', X_Trans_Id='t', Access_Control_Allow_Origin='*', Vary='Accept',
                                   X_Object_Meta_A='b', X_Object_Sysmeta_B='c'))
    assert [key for key, _ in kept] == ['Content-Length', 'Etag', 'X-Backend-Timestamp',
                                        'Access-Control-Allow-Origin', 'Vary', 'X-Object-Meta-A',
                                        'X-Object-Sysmeta-B']


@pytest.mark.parametrize('own, write, older', [
    (OLD, NEW, True), (NEW, OLD, False), (OLD, OLD, False), (OLD, '', False),
    (OLD, OLD + '_0000000000000001', True)])
def test_an_answer_is_older_than_a_write(own, write, older):
    assert is_older([('X-Backend-Timestamp', own)], write) is older
