"""Attacks on a real cluster: names that look alike (A4), and what can be found out from the outside (A14)."""
import hmac
import json
import time
import uuid
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import quote

import pytest
from helpers.lab import clients
from helpers.lab.processes import children, sockets

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName

ALIKE = ['o', 'o/', '/o', 'o//', './o', '../o', 'a/../o', 'O', 'o ', ' o', 'o\n', 'o?', 'o#', 'o;', 'o%2F',
         'o%252F', '%6f', 'o+', 'é', 'e\u0301', 'ß', 'ss', '\ufeffo', 'o\u200b', 'x' * 1023, 'x' * 1024, '.', '..',
         '%', '%00', 'K', '\u212a', '\u202eo']
LISTENS = '0A'


# A4

@pytest.mark.holds('A4')
def test_objects_with_names_that_look_alike_are_each_their_own(lab, container):
    paths = {f'{container}/{quote(name)}': f'this is {name!r}'.encode() for name in ALIKE}
    for path, body in paths.items():
        assert clients.request(lab, 'PUT', path, body=body).status == 201, path
    for path, body in paths.items():
        assert clients.until_hit(lab, path).body == body, path
    assert {path: clients.request(lab, 'GET', path).body for path in paths} == paths


@pytest.mark.holds('A4')
def test_ways_to_write_one_name_are_one_object(lab, container):
    assert clients.request(lab, 'PUT', f'{container}/a/%C3%A9;', body=b'one').status == 201
    clients.until_hit(lab, f'{container}/a/%C3%A9;')
    for other in ('a%2F%c3%a9%3B', 'a/%C3%A9;?x=y', '%61/%C3%A9%3b'):
        answer = clients.request(lab, 'GET', f'{container}/{other}')
        assert answer.is_hit and answer.body == b'one', other
    assert clients.request(lab, 'GET', container.replace('/v1/', '/v1.0/') + '/a/%C3%A9;').is_hit


@pytest.mark.holds('A4')
@pytest.mark.parametrize('version', ['v2', 'V1', 'v1.00', 'v1%20'])
def test_a_version_that_swift_refuses_is_refused_when_warm(lab, container, version):
    assert clients.request(lab, 'PUT', f'{container}/o', body=b'one').status == 201
    clients.until_hit(lab, f'{container}/o')
    warm, cold = (clients.request(lab, 'GET', f'{container.replace("/v1/", f"/{version}/")}/{name}')
                  for name in ('o', 'other'))
    assert warm.status == cold.status >= 400 and warm.body == cold.body


# A10

@pytest.mark.holds('A10')
def test_who_may_only_read_starts_no_prefetch(lab, container):
    reader = clients.token(lab, 'test2:tester2', 'testing2')
    assert clients.request(lab, 'POST', container, {'X-Container-Read': 'test2:tester2'}).status == 204
    for query in ('prefetch=warm', 'prefetch=forget'):
        for token in (reader, ''):
            plain = clients.request(lab, 'POST', container, token=token)
            asked = clients.request(lab, 'POST', f'{container}?{query}', token=token)
            assert asked.status == plain.status in (401, 403)


# A14

@pytest.fixture
def key(lab):
    """The account's second key for temporary URLs."""
    key, name = uuid.uuid4().hex, 'X-Account-Meta-Temp-URL-Key-2'
    assert clients.request(lab, 'POST', clients.account(lab), {name: key}).status == 204
    yield key
    assert clients.request(lab, 'POST', clients.account(lab), {name: ''}).status == 204


def signed(key, path, method='GET'):
    expires = int(time.time()) + 600
    return hmac.new(key.encode(), f'{method}\n{expires}\n{path}'.encode(), 'sha256').hexdigest(), expires


def spoil(lab, path):
    """Change a byte in the body of the object's entry."""
    store = Store.open(lab.cache_dir)
    with open(store.layout.entry(store.naming.entry(ObjectName(*path.split('/', 4)[2:]))), 'r+b') as file:
        file.seek(4096)
        file.write(b'\0')


def holding(lab, *secrets):
    """Files that hold one of these: logs, the cache folder, the queue."""
    folders = (lab.layout.logs, lab.cache_dir, lab.layout.queue.parent)
    files = {path for folder in folders for path in folder.rglob('*') if path.is_file()}
    assert len(files) > 10
    found = set()
    for path in files:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            # evicted or admitted meanwhile
            continue
        if any(secret.encode() in data for secret in secrets):
            found.add(path)
    return found


@pytest.mark.holds('A14')
def test_tokens_and_signatures_are_in_no_log_and_no_file(lab, container, key):
    path, token = f'{container}/o', clients.token(lab)
    sig, expires = signed(key, path)
    temp = f'{path}?temp_url_sig={sig}&temp_url_expires={expires}'
    wrong, s3 = f'AUTH_tk{uuid.uuid4().hex}', f'AWS test:tester:{uuid.uuid4().hex}'
    assert clients.request(lab, 'PUT', path, body=b'x' * 100).status == 201
    clients.until_hit(lab, path)
    for asked, headers, own in [
            (temp, {}, ''), (f'{temp}&prefetch=warm', {}, ''), (f'{path}?temp_url_sig={sig}', {}, ''),
            (path, {}, wrong), (path, {'X-Storage-Token': token}, ''), (f'{path}/none', {}, token),
            (path, {'Range': 'bytes=9-3'}, token), (path, {'Authorization': s3}, ''),
            (path, {'X-Newest': 'true'}, token), (path, {'If-Match': 'no'}, token)]:
        for method in ('GET', 'HEAD', 'POST', 'OPTIONS'):
            clients.request(lab, method, asked, headers, token=own)
    clients.until_hit(lab, path)
    spoil(lab, path)
    # what is wrong with an entry is said in the log
    assert clients.request(lab, 'GET', temp, token='').body == b'x' * 100
    clients.until(lambda: f'entry of {path[3:]} is damaged' in lab.log('proxy1').read_text(), 'the damage is told')
    assert clients.request(lab, 'POST', f'{container}?prefetch=warm').status == 202
    clients.until_hit(lab, path)
    assert lab.log('proxy1') in holding(lab, path[3:])
    assert holding(lab, token, sig, key, wrong, s3) == set()


@pytest.mark.holds('A14')
def test_nothing_is_open_to_other_users(lab, container):
    assert clients.request(lab, 'PUT', f'{container}/o', body=b'body').status == 201
    clients.until_hit(lab, f'{container}/o')
    found = {path for folder in (lab.cache_dir, lab.layout.queue.parent) for path in [folder, *folder.rglob('*')]}
    modes = {path: path.lstat().st_mode & 0o077 for path in found if path.exists()}
    assert lab.layout.queue in modes and {path for path, mode in modes.items() if mode} == set()


@pytest.mark.holds('A14')
def test_info_tells_what_a_client_may_know(lab):
    told = json.loads(clients.request(lab, 'GET', '/info', token='').body)['prefetch']
    assert set(told) == {'freshness'}


def listening_on(lab, name):
    """Addresses, as the kernel's table has them."""
    pids = [lab.pid(name), *children(lab.pid(name))]
    own = {inode for pid in pids for inode in sockets(pid)}
    lines = [line for table in ('tcp', 'tcp6') for line in Path('/proc/net', table).read_text().splitlines()[1:]]
    rows = [line.split() for line in lines]
    return {row[1] for row in rows if row[3] == LISTENS and int(row[9]) in own}


@pytest.mark.holds('A14')
def test_the_sidecar_listens_on_loopback_alone(lab):
    conf = ConfigParser()
    conf.read(lab.conf_path('sidecar'))
    found = clients.until(lambda: listening_on(lab, 'sidecar'), 'the status app listens')
    assert found == {f'0100007F:{conf.getint("status", "bind_port"):04X}'}


@pytest.mark.holds('A14')
def test_who_is_refused_is_not_told_of_a_cache(lab, container):
    assert clients.request(lab, 'PUT', f'{container}/o', body=b'body').status == 201
    clients.until_hit(lab, f'{container}/o')
    for token in ('', clients.token(lab, 'test2:tester2', 'testing2')):
        answer = clients.request(lab, 'GET', f'{container}/o', token=token)
        assert answer.status in (401, 403)
        assert {'age', 'cache-status', 'x-object-prefetched'} & set(answer.headers) == set()


@pytest.mark.holds('A14')
def test_no_name_is_readable_in_the_cache_folders_names(lab, container):
    name = f'secret-{uuid.uuid4().hex}'
    assert clients.request(lab, 'PUT', f'{container}/{name}', body=b'body').status == 201
    clients.until_hit(lab, f'{container}/{name}')
    assert [path for path in lab.cache_dir.rglob('*') if name in path.name or container[-10:] in path.name] == []
