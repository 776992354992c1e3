"""A1: whoever asks for whatever in whatever way gets from a warm cache what he gets without the filter."""
import json
import os
from functools import partial
from itertools import product
from urllib.parse import quote

import pytest
from helpers.common.pairs import pairwise
from helpers.filter.matrix import (
    ACLS,
    KINDS,
    METHODS,
    READERS,
    Matrix,
    expired,
    half_filtered,
    ip_limited,
    prefixed,
    s3_v2,
    signed,
)
from helpers.lab import clients, labs

BODY = os.urandom(90_000)
TEMPURL_KEY = 'tempurl-key'
# of all cases, which `slow` has: each two that may matter to each other, and of a warm cache each reader, ACL and
# kind of object
FIRST_READS = pairwise(tuple(ACLS), tuple(READERS), KINDS, METHODS)
WARM_READS = [(acl, reader, kind, method) for (acl, reader), kind, method in pairwise(
    tuple(product(ACLS, READERS)), KINDS, METHODS)]


@pytest.fixture(scope='module')
def matrix(tmp_path_factory):
    """A lab of which the second proxy has no filter, with objects of all kinds under each ACL."""
    with half_filtered(tmp_path_factory.mktemp('lab')) as lab:
        yield Matrix(lab)


@pytest.fixture(scope='module')
def objects(matrix):
    """(ACL, kind) -> path; nothing has been read yet."""
    matrix.put_account(TEMPURL_KEY)
    made = {(acl, kind): path for acl in ACLS for kind, path in matrix.make(acl, BODY).items()}
    assert set(made) == set(product(ACLS, KINDS))
    return made


@pytest.fixture(scope='module')
def warm(matrix, objects):
    """The same, all of it in the cache."""
    for path in [path for (_, kind), path in objects.items() if kind != 'missing'] + matrix.parts:
        matrix.warm(path)
    return objects


@pytest.mark.holds('A1')
@pytest.mark.parametrize('acl', ACLS)
def test_the_first_read_is_answered_as_by_swift(matrix, objects, acl):
    assert matrix.differences_in((method, objects[acl, kind], reader)
                                 for own, reader, kind, method in FIRST_READS if own == acl) == []


@pytest.mark.holds('A1')
@pytest.mark.slow
@pytest.mark.parametrize('acl', ACLS)
def test_every_first_read_is_answered_as_by_swift(matrix, objects, acl):
    assert matrix.differences([objects[acl, kind] for kind in KINDS]) == []


@pytest.mark.holds('A1')
@pytest.mark.parametrize('reader', READERS)
def test_a_warm_cache_answers_as_swift_does(matrix, warm, reader):
    assert matrix.differences_in((method, warm[acl, kind], reader)
                                 for acl, own, kind, method in WARM_READS if own == reader) == []


@pytest.mark.holds('A1')
@pytest.mark.slow
@pytest.mark.parametrize('reader', READERS)
def test_a_warm_cache_answers_all_as_swift_does(matrix, warm, reader):
    assert matrix.differences(warm.values(), [reader]) == []


@pytest.mark.holds('A1')
@pytest.mark.parametrize('acl, reader', [
    ('none', 'owner'), ('none', 'reseller admin'), ('user', 'same account'), ('other', 'other account'),
    ('public', 'anonymous'), ('referrer', 'good referrer')])
def test_those_who_may_read_are_answered_from_the_cache(matrix, warm, acl, reader):
    answer = matrix.ask('GET', warm[acl, 'plain'], reader, 0)
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.header('Cache-Status').startswith('swiftahead; hit')


@pytest.mark.holds('A2')
@pytest.mark.holds('A1')
@pytest.mark.parametrize('acl, reader', [
    ('none', 'anonymous'), ('none', 'same account'), ('none', 'other account'), ('none', 'forged token'),
    ('referrer', 'bad referrer'), ('user', 'other account')])
@pytest.mark.parametrize('method', METHODS)
def test_who_may_not_read_is_told_nothing_of_a_cache(matrix, warm, acl, reader, method):
    answer = matrix.ask(method, warm[acl, 'plain'], reader, 0)
    assert answer.status in (401, 403)
    told = {key.lower() for key, _ in answer.headers}
    assert not told & {'cache-status', 'age', 'x-object-prefetched', 'etag'}


@pytest.mark.holds('A1')
def test_the_matrix_has_what_is_allowed_and_what_is_not(matrix, warm):
    """A matrix of denials alone would be equal too."""
    found = {(reader, matrix.ask('GET', warm['none', 'plain'], reader, 1).status) for reader in READERS}
    assert {status for _, status in found} >= {200, 401, 403}


# changes of the ACL between two reads

@pytest.mark.holds('A1')
@pytest.mark.parametrize('before, after', [
    ('.r:*', ''), ('', '.r:*'), ('test2:tester2', ''), ('', 'test:tester3')])
def test_a_change_of_the_acl_counts_from_the_next_read_on(matrix, before, after):
    container = matrix.container(f'changed-{before}-{after}', before)
    path = matrix.put(container, 'o', BODY)
    matrix.warm(path)
    assert matrix.differences([path]) == []
    assert matrix.request('POST', container, {'X-Container-Read': after}).status == 204
    assert matrix.differences([path]) == []
    assert clients.until_hit(matrix.lab, path).body == BODY


@pytest.mark.holds('A1')
@pytest.mark.parametrize('kind', ['slo', 'dlo', 'symlink elsewhere'])
def test_a_change_of_the_acl_of_what_it_is_made_of_counts_too(matrix, warm, kind):
    """Of the container that readers do not ask for themselves."""
    path, hidden = warm['public', kind], f'{clients.account(matrix.lab)}/hidden-public'
    for acl in ('.r:*,.rlistings', 'test2:tester2', ''):
        assert matrix.request('POST', hidden, {'X-Container-Read': acl}).status == 204
        assert matrix.differences([path], ['owner', 'same account', 'other account', 'anonymous']) == []
        assert (matrix.ask('GET', path, 'anonymous', 0).status == 200) is acl.startswith('.r')


@pytest.mark.holds('A1')
@pytest.mark.parametrize('acl', ['none', 'other', 'public'])
def test_symlinks_from_another_account(matrix, warm, acl):
    """Who may read the link is one thing, who may read what it leads to another."""
    target = warm[acl, 'plain'].split('/')
    container = f'/v1/AUTH_test2/links-{acl}'
    headers = {'X-Symlink-Target': '/'.join(target[3:]), 'X-Symlink-Target-Account': target[2]}
    token = clients.token(matrix.lab, 'test2:tester2', 'testing2')
    for path, more in ((container, {'X-Container-Read': '.r:*'}), (f'{container}/link', headers)):
        assert clients.request(matrix.lab, 'PUT', path, more, b'', token=token).status == 201
    assert matrix.differences([f'{container}/link', f'{container}/link?symlink=get']) == []
    answer = matrix.ask('GET', f'{container}/link', 'other account', 0)
    assert (answer.status, answer.is_hit) == ((403, False) if acl == 'none' else (200, True))


@pytest.mark.holds('A1')
def test_a_change_of_the_accounts_acl_counts_from_the_next_read_on(matrix, warm):
    account, path = clients.account(matrix.lab), warm['none', 'plain']
    try:
        for acl, status in (('{"read-only": ["test2:tester2"]}', 200), ('{}', 403)):
            assert matrix.request('POST', account, {'X-Account-Access-Control': acl}).status == 204
            assert matrix.differences([path], ['owner', 'same account', 'other account', 'anonymous']) == []
            assert matrix.ask('GET', path, 'other account', 0).status == status
    finally:
        matrix.request('POST', account, {'X-Account-Access-Control': ''})


@pytest.mark.holds('A1')
def test_what_was_fetched_for_one_is_not_for_another(matrix):
    container = matrix.container('fetched', 'test:tester3')
    paths = [matrix.put(container, f'{number}', BODY) for number in range(3)]
    assert matrix.request('POST', container + '?prefetch=warm').status == 202
    for path in paths:
        clients.until_prefetched(matrix.lab, path)
    assert matrix.differences(paths) == []
    assert matrix.ask('GET', paths[0], 'same account', 0).header('X-Object-Prefetched') == 'True'


# signed URLs

@pytest.mark.holds('A1')
@pytest.mark.parametrize('kind', ['plain', 'slo', 'dlo', 'symlink', 'symlink elsewhere'])
@pytest.mark.parametrize('sign', [
    partial(signed, 'GET'), partial(signed, 'HEAD'), partial(signed, 'PUT'), prefixed, expired,
    partial(ip_limited, '127.0.0.0/8'), partial(ip_limited, '10.0.0.0/8'),
    partial(signed, 'GET', filename='a b.txt'), partial(signed, 'GET', inline=True),
    lambda path, key: signed('GET', path + 'x', key)],
    ids=['GET', 'HEAD', 'PUT', 'prefix', 'expired', 'ip', 'other ip', 'filename', 'inline', 'other object'])
def test_temporary_urls(matrix, warm, kind, sign):
    path = warm['none', kind]
    query = sign(path, TEMPURL_KEY)
    for method in METHODS:
        assert matrix.difference(method, f'{path}?{query}', 'anonymous') == []


@pytest.mark.holds('A1')
def test_a_temporary_url_is_answered_from_the_cache_until_its_key_changes(matrix, warm):
    path = warm['none', 'plain']
    url = f'{path}?{signed("GET", path, TEMPURL_KEY)}'
    answer = matrix.ask('GET', url, 'anonymous', 0)
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.header('Cache-Status').startswith('swiftahead; hit')
    matrix.put_account('another key')
    try:
        assert matrix.difference('GET', url, 'anonymous') == []
        assert matrix.ask('GET', url, 'anonymous', 0).status == 401
    finally:
        matrix.put_account(TEMPURL_KEY)


@pytest.fixture(scope='module')
def bucket(matrix):
    """Of the owner's, made through s3api, which is asked to hold its own ACLs."""
    for path, body in (('/bucket', b''), ('/bucket/o', BODY)):
        query = s3_v2('PUT', path, 'test:tester', 'testing')
        assert labs.request(matrix.lab, 'PUT', f'{path}?{query}', body=body).status == 200
    # s3api tells nothing of a cache
    clients.until_hit(matrix.lab, f'{clients.account(matrix.lab)}/bucket/o')
    return '/bucket/o'


@pytest.mark.holds('A1')
@pytest.mark.parametrize('user, key', [
    ('test:tester', 'testing'), ('test:tester2', 'testing2'), ('test:tester3', 'testing3'),
    ('test2:tester2', 'testing2'), ('test:tester', 'wrong'), ('nobody:x', 'x')])
@pytest.mark.parametrize('seconds', [60, -60])
def test_presigned_s3_urls(matrix, bucket, user, key, seconds):
    for method in METHODS:
        url = f'{bucket}?{s3_v2(method, bucket, user, key, seconds)}'
        assert matrix.difference(method, url, 'anonymous') == []


# what other middleware makes of objects

@pytest.mark.holds('A1')
def test_versions(matrix):
    container = matrix.container('versions', 'test:tester3')
    assert matrix.request('POST', container, {'X-Versions-Enabled': 'true'}).status == 204
    path = [matrix.put(container, 'o', body) for body in (BODY, BODY[::-1])][0]
    listing = json.loads(matrix.request('GET', container + '?versions&format=json').body)
    urls = [path, *(f'{path}?version-id={item["version_id"]}' for item in listing), f'{path}?version-id=null']
    for url in urls[:3]:
        matrix.warm(url)
    assert matrix.differences(urls) == []


@pytest.mark.holds('A1')
@pytest.mark.parametrize('mode', ['X-Versions-Location', 'X-History-Location'])
def test_versions_of_the_older_kind(matrix, mode):
    """They are objects of a container with rights of its own."""
    container, archive = matrix.container(f'{mode}-c', '.r:*'), matrix.container(f'{mode}-archive', '')
    assert matrix.request('POST', container, {mode: archive.rpartition('/')[2]}).status == 204
    path = [matrix.put(container, 'o', body) for body in (BODY, BODY[::-1])][0]
    listing = json.loads(matrix.request('GET', archive + '?format=json').body)
    urls = [path, *(f'{archive}/{quote(item["name"])}' for item in listing)]
    for url in urls:
        matrix.warm(url)
    assert len(urls) == 2 and matrix.differences(urls) == []


@pytest.mark.holds('A1')
def test_static_web(matrix):
    container = matrix.container('site', '.r:*')
    headers = {'X-Container-Meta-Web-Index': 'index.html', 'X-Container-Meta-Web-Error': 'error.html',
               'X-Container-Meta-Web-Listings': 'true'}
    assert matrix.request('POST', container, headers).status == 204
    for name in ('index.html', '404error.html', '401error.html', 'folder/o'):
        matrix.warm(matrix.put(container, name, name.encode() * 100))
    urls = [f'{container}/', f'{container}/index.html', f'{container}/missing', f'{container}/folder/']
    assert matrix.differences(urls, ['anonymous', 'owner', 'other account', 'bad referrer']) == []
    assert matrix.request('POST', container, {'X-Container-Read': ''}).status == 204
    assert matrix.differences(urls, ['anonymous', 'owner', 'other account']) == []
