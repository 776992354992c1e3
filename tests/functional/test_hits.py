"""Hits on a real cluster: the same answer as Swift's, for those who may read, current at once."""
import json
import os
import time

import pytest
from helpers.lab import clients

BODY = bytes(range(256)) * 1000


def put(lab, path, body=BODY, **headers):
    sent = {key.replace('_', '-'): value for key, value in headers.items()}
    assert clients.request(lab, 'PUT', path, headers=sent, body=body).status == 201


@pytest.mark.parametrize('proxy', [0, 1])
def test_a_write_ends_the_cached_versions_life_at_once(lab, container, proxy):
    """Written through one proxy, read through the other: they share nothing but memcached and the disk."""
    path = container + '/o'
    put(lab, path, b'0')
    for number in range(1, 6):
        clients.until_hit(lab, path, proxy=1 - proxy)
        body = str(number).encode()
        assert clients.request(lab, 'PUT', path, body=body, proxy=proxy).status == 201
        assert clients.request(lab, 'GET', path, proxy=1 - proxy).body == body


def test_a_post_shows_at_once(lab, container):
    path = container + '/o'
    put(lab, path)
    clients.until_hit(lab, path)
    assert clients.request(lab, 'POST', path, headers={'X-Object-Meta-A': 'b'}).status == 202
    assert clients.request(lab, 'GET', path, proxy=1).headers['x-object-meta-a'] == 'b'


def test_a_deleted_object_is_gone_at_once(lab, container):
    path = container + '/o'
    put(lab, path)
    clients.until_hit(lab, path)
    assert clients.request(lab, 'DELETE', path).status == 204
    for method in ('GET', 'HEAD'):
        assert clients.request(lab, method, path, proxy=1).status == 404


def test_an_object_past_its_time_is_not_served(lab, container):
    path = container + '/o'
    put(lab, path, X_Delete_After='3')
    hit = clients.until_hit(lab, path)
    expires_at = int(hit.headers['x-delete-at'])

    def gone():
        asked_at = time.time()
        answer = clients.request(lab, 'GET', path)
        assert answer.status in (200, 404)
        assert answer.status == 404 or asked_at < expires_at + 1
        return answer.status == 404

    clients.until(gone, 'the object has expired')


def test_a_write_that_is_refused_changes_nothing(lab, container):
    path = container + '/o'
    put(lab, path)
    clients.until_hit(lab, path)
    stranger = clients.token(lab, 'test2:tester2', 'testing2')

    def is_plain_hit():
        assert clients.request(lab, 'PUT', path, body=b'mine', token=stranger).status == 403
        answer = clients.request(lab, 'GET', path)
        assert answer.body == BODY
        return answer.headers['cache-status'] == 'swiftahead; hit'
    clients.until(is_plain_hit, 'a hit is not validated after a refused write')


def test_who_may_not_read_may_not_read_from_the_cache(lab, container):
    path = container + '/o'
    put(lab, path)
    clients.until_hit(lab, path)
    stranger = clients.token(lab, 'test2:tester2', 'testing2')
    user = clients.token(lab, 'test:tester3', 'testing3')
    for token, status in ((stranger, 403), (user, 403), ('', 401)):
        for method in ('GET', 'HEAD'):
            for case in ({}, {'Range': 'bytes=0-0'}, {'If-None-Match': '*'}):
                answer = clients.request(lab, method, path, headers=case, token=token)
                assert (answer.status, answer.headers.get('cache-status')) == (status, None)
    assert clients.request(lab, 'POST', container, headers={'X-Container-Read': 'test:tester3'}).status == 204
    assert clients.request(lab, 'GET', path, token=user).is_hit
    assert clients.request(lab, 'POST', container, headers={'X-Container-Read': ''}).status == 204
    assert clients.request(lab, 'GET', path, token=user).status == 403


def test_a_manifests_reader_gets_no_segments_that_he_may_not_read(lab, container):
    """The filter right of slo: the manifest's readers need the right to read the segments too."""
    segments = container + '-segments'
    clients.request(lab, 'PUT', segments)
    put(lab, segments + '/1', b'a' * 1000)
    manifest = json.dumps([{'path': f'/{segments.rpartition("/")[2]}/1'}])
    path = container + '/slo'
    assert clients.request(lab, 'PUT', path + '?multipart-manifest=put', body=manifest.encode()).status == 201
    assert clients.request(lab, 'POST', container, headers={'X-Container-Read': '.r:*'}).status == 204
    for _ in range(2):
        assert clients.request(lab, 'GET', path).body == b'a' * 1000
        clients.until_hit(lab, segments + '/1')
        assert clients.request(lab, 'GET', path, token='').status in (401, 403, 409)
    again = clients.request(lab, 'GET', path + '?multipart-manifest=get')
    assert again.headers['content-type'].startswith('application/json')


def test_no_prefetch_leaves_nothing(lab, container):
    path = container + '/o'
    put(lab, path)
    for _ in range(3):
        answer = clients.request(lab, 'GET', path, headers={'X-No-Prefetch': 'true'})
        assert answer.headers['cache-status'] == 'swiftahead; fwd=miss'


def test_names_that_are_alike_are_kept_apart(lab, container):
    names = ['a', 'A', 'a/', '/a', 'a//b', 'a/./b', 'a/../b', 'a%2Fb', 'a%252Fb', 'a%0Ab', 'a%3Fb', 'a%23b',
             'a%3Bb', '%C3%A9', 'e%CC%81', 'x' * 1024, '%20', '..', 'a%25']
    for name in names:
        put(lab, f'{container}/{name}', name.encode())
    for name in names:
        answer = clients.until_hit(lab, f'{container}/{name}')
        assert answer.body == name.encode()


def test_large_objects_are_read_along_while_they_come(lab, container):
    body = os.urandom(20_000_000)
    path = container + '/large'
    put(lab, path, body)
    first = clients.request(lab, 'GET', path)
    assert (first.body, first.headers['cache-status']) == (body, 'swiftahead; fwd=miss; stored')
    assert clients.until_hit(lab, path).body == body
