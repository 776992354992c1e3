"""What `swiftahead plan` reads in a lab's own proxy log is what was read from the lab."""
import json
import uuid
from typing import NamedTuple
from urllib.parse import quote

import pytest
from helpers.common.accesslogs import read_one
from helpers.filter.matrix import s3_v2
from helpers.lab import clients, labs

from swiftahead.lab import Lab

END = 'last of all'


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """As before the purchase: no filter, no sidecar."""
    with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies=('gold',), filter=False,
             sidecar=False) as lab:
        yield lab


class LoggedContainer(NamedTuple):
    lab: Lab
    path: str

    def ask(self, method, name, headers=None, body=None, token=None):
        """:param name: quoted, with its query"""
        return clients.request(self.lab, method, f'{self.path}/{name}', headers, body, token=token)

    def put(self, name, body, headers=None):
        assert self.ask('PUT', name, headers, body).status == 201

    def get(self, name, headers=None, status=200, token=None):
        answer = self.ask('GET', name, headers, token=token)
        assert answer.status == status
        return answer.body

    def reads(self):
        """What plan finds in the log of what came to this container, in the order of time."""
        account, container = self.path.split('/')[2:]
        return [read for read in self.all_reads() if read.container == container and read.account in ('', account)]

    def all_reads(self):
        """Each read that was asked for so far, and one that the others are logged before."""
        self.put(quote(END), b'')
        count = self._ends()
        self.get(quote(END))
        clients.until(lambda: self._ends() > count, 'the last read is logged')
        return [read for read in read_one(str(self.lab.log('proxy1'))).reads if read.object != END]

    def _ends(self):
        # of reads that ended: the log has its line when the answer is closed
        return sum(' GET ' in line and quote(quote(END)) in line for line in self.log().splitlines())

    def log(self):
        return self.lab.log('proxy1').read_text()

    def found(self):
        return [(read.object, read.bytes) for read in self.reads()]


@pytest.fixture
def container(lab):
    name = f'c-{uuid.uuid4().hex}'
    path = f'{clients.account(lab)}/{name}'
    assert clients.request(lab, 'PUT', path).status == 201
    return LoggedContainer(lab, path)


def test_each_read_is_found_with_its_size(container):
    sizes = {'a': 1000, 'b': 0, 'c': 100_000}
    for name, size in sizes.items():
        container.put(name, b'x' * size)
    for name in 'abcabaa':
        container.get(name)
    assert container.found() == [(name, sizes[name]) for name in 'abcabaa']


@pytest.mark.parametrize('name', ['a b', 'ü/%41?&', 'x%2Fy', "it's 100%", '-', '日本', 'a//b', '{}:', '"q"',
                                  'tab\there'])
def test_names_are_as_they_were_put(container, name):
    container.put(quote(name), b'x')
    container.get(f'{quote(name)}?format=json&x=%2F')
    assert container.found() == [(name, 1)]


def test_what_is_no_read_is_not_counted(container):
    container.put('a', b'xyz')
    assert container.ask('HEAD', 'a').status == 200
    etag = container.ask('HEAD', 'a').headers['etag']
    container.get('none', status=404)
    container.get('a', status=401, token='')
    container.get('a', {'If-None-Match': etag}, status=304)
    container.get('a', {'Range': 'bytes=9-'}, status=416)
    container.get('?prefix=a')
    assert container.found() == []


def test_ranges_are_reads_of_the_whole(container):
    container.put('a', b'x' * 1000)
    container.get('a', {'Range': 'bytes=0-9'}, status=206)
    container.get('a')
    container.get('a', {'Range': 'bytes=0-1,5-6'}, status=206)
    assert container.found() == [('a', 1000)] * 3


def test_a_part_alone_counts_as_it_was_sent(container):
    container.put('a', b'x' * 1000)
    container.get('a', {'Range': 'bytes=100-149'}, status=206)
    assert container.found() == [('a', 50)]


def test_clients_are_told_apart_by_address_and_user(container):
    container.put('a', b'x')
    other = labs.token(container.lab, 'test:tester2', 'testing2')
    for address, token in (('192.0.2.1', None), ('192.0.2.2', None), ('192.0.2.1', other), ('192.0.2.1', None)):
        container.get('a', {'X-Forwarded-For': address}, token=token)
    first, second, third, fourth = (read.client for read in container.reads())
    assert len({first, second, third}) == 3 and first == fourth


def large(container, names):
    """A large object of segments beside it; what is asked for without it is told."""
    for number, name in enumerate(names):
        container.put(name, b'x' * (100 + number))
    listed = [{'path': f'/{container.path.split("/")[3]}/{name}'} for name in names]
    container.put('all?multipart-manifest=put', json.dumps(listed).encode())


def test_segments_are_reads_of_who_asked_for_the_manifest(container):
    large(container, ['p1', 'p2'])
    assert len(container.get('all', {'X-Forwarded-For': '192.0.2.7'})) == 201
    reads = container.reads()
    assert sorted((read.object, read.bytes) for read in reads) == [('all', 0), ('p1', 100), ('p2', 101)]
    assert len({read.client for read in reads}) == 1 and reads[0].client.startswith('192.0.2.7')


def test_segments_of_a_range_are_those_that_were_asked_for(container):
    large(container, ['p1', 'p2', 'p3'])
    container.get('all', {'Range': 'bytes=110-120'}, status=206)
    assert sorted({read.object for read in container.reads()}) == ['all', 'p2']


def test_segments_of_a_dynamic_large_object(container):
    container.put('d/1', b'x' * 10)
    container.put('d/2', b'x' * 20)
    container.put('dlo', b'', {'X-Object-Manifest': f'{container.path.split("/")[3]}/d/'})
    assert len(container.get('dlo')) == 30
    assert sorted(container.found()) == [('d/1', 10), ('d/2', 20), ('dlo', 0)]


def test_a_symlinks_target_has_the_bytes(container):
    container.put('a', b'x' * 10)
    container.put('link', b'', {'X-Symlink-Target': f'{container.path.split("/")[3]}/a'})
    assert container.get('link') == b'x' * 10
    assert sorted(container.found()) == [('a', 10), ('link', 0)]


# what Swift reads to copy it, with X-Newest, so that the filter passes it by

def copied(container, name):
    target = f'{container.path.split("/")[3]}/copy'
    assert container.ask('COPY', name, {'Destination': target}).status == 201
    assert container.ask('PUT', 'copy', {'X-Copy-From': f'{container.path.split("/")[3]}/{name}'}).status == 201


def test_what_a_copy_reads_is_no_read(container):
    container.put('a', b'x' * 1000)
    copied(container, 'a')
    container.get('a')
    assert container.found() == [('a', 1000)]


def test_a_link_that_a_copy_follows_is_no_read(container):
    container.put('a', b'x' * 1000)
    container.put('link', b'', {'X-Symlink-Target': f'{container.path.split("/")[3]}/a'})
    copied(container, 'link')
    assert container.found() == []


def test_segments_of_what_is_copied_are_reads(container):
    large(container, ['p1', 'p2'])
    copied(container, 'all')
    assert sorted(name for name, _ in container.found()) == ['p1', 'p1', 'p2', 'p2']


@pytest.mark.parametrize('header', ['X-Versions-Location', 'X-History-Location'])
def test_what_is_kept_as_an_older_version_is_no_read(container, header):
    versions = f'v-{uuid.uuid4().hex}'
    older = f'{clients.account(container.lab)}/{versions}'
    for path, headers in (older, {}), (container.path, {header: versions}):
        assert clients.request(container.lab, 'PUT', path, headers).status in (201, 202)
    for body in (b'x', b'y', b'z'):
        container.put('a', body)
    assert container.ask('DELETE', 'a').status == 204
    assert container.found() == []


def test_what_is_kept_as_a_version_is_no_read(container):
    container.put('a', b'x')
    enabled = clients.request(container.lab, 'POST', container.path, {'X-Versions-Enabled': 'true'})
    assert enabled.status == 204
    container.put('a', b'yy')
    assert container.found() == []
    assert container.get('a') == b'yy' and container.found()[0] == ('a', 0)


def test_a_page_that_staticweb_finds_for_a_container_is_not_in_the_log(container):
    container.put('index.html', b'x' * 10)
    meta = {'X-Container-Meta-Web-Index': 'index.html'}
    assert clients.request(container.lab, 'POST', container.path, meta).status == 204
    assert container.get('', {'X-Web-Mode': 'true'}) == b'x' * 10
    assert container.found() == []


def by_s3(lab, method, path, body=None):
    query = s3_v2(method, path, labs.USER, labs.KEY)
    answer = labs.request(lab, method, f'{path}?{query}', body=body)
    assert answer.status == 200, (method, path, answer)


def test_reads_by_s3_have_bucket_and_key(container):
    bucket = f'b-{uuid.uuid4().hex}'
    path = f'/{bucket}/k%20y'
    by_s3(container.lab, 'PUT', f'/{bucket}')
    by_s3(container.lab, 'PUT', path, b'x' * 10)
    for method, asked in (('GET', path), ('HEAD', path), ('GET', f'/{bucket}'), ('GET', path)):
        by_s3(container.lab, method, asked)
    found = [read for read in container.all_reads() if read.container == bucket]
    assert [(read.account, read.object, read.bytes) for read in found] == [('', 'k y', 10)] * 2


def test_the_command_counts_what_was_read(container, tmp_path):
    sizes = {f'o{number}': 1000 + number for number in range(5)}
    for name, size in sizes.items():
        container.put(name, b'x' * size)
    for name in [*sizes, *sizes]:
        container.get(name, {'X-Forwarded-For': f'192.0.2.{name[1]}'})
    container.reads()
    lines = [line for line in container.log().splitlines(True) if f'{container.path}/o' in line]
    (tmp_path / 'access.log').write_text(''.join(lines))
    done = clients.run('swiftahead', 'plan', '--json', '--cache-size', '100%', tmp_path / 'access.log')
    assert {row['requests'] for row in json.loads(done.stdout)} == {10}
    told = ' '.join(done.stderr.split())
    assert 'access.log: 10 reads of 5 objects by 5 clients, 4.893 KiB altogether' in told


@pytest.fixture
def s3_logged_too(lab):
    """s3api's own requests are logged beside the client's."""
    conf = lab.conf_path('proxy1')
    before = conf.read_text()
    conf.write_text(before.replace('[filter:s3api]', '[filter:s3api]\nforce_swift_request_proxy_log = yes'))
    lab.restart('proxy1')
    yield
    conf.write_text(before)
    lab.restart('proxy1')


def test_with_s3s_swift_requests_logged_too_each_read_is_one_of_the_account(container, s3_logged_too):
    bucket = f'b-{uuid.uuid4().hex}'
    for method, path, body in ('PUT', f'/{bucket}', None), ('PUT', f'/{bucket}/k', b'x' * 10), (
            'GET', f'/{bucket}/k', None):
        by_s3(container.lab, method, path, body)
    found = [read for read in container.all_reads() if read.container == bucket]
    assert [(read.account, read.object, read.bytes) for read in found] == [('AUTH_test', 'k', 10)]
    assert f' GET /{bucket}/k' in container.log()
