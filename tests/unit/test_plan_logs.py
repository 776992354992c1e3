"""What is read from access logs."""
from urllib.parse import quote

import pytest
from helpers.common.accesslogs import FIELDS, Swift, large_object, read_one
from helpers.common.builders import close_logs
from swift.common.middleware import slo, symlink

from swiftahead.plan.traces import LogError


@pytest.fixture(autouse=True)
def logs_closed():
    yield
    close_logs()


@pytest.fixture
def write(tmp_path):
    def write(text, name='access.log'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write


@pytest.fixture
def swift():
    return Swift({'/v1/AUTH_a/c/one': (b'x' * 10, {}), '/v1/AUTH_a/c/two': (b'', {})})


def seen(path):
    """All of the reads but the time, and whether it was a part."""
    return [read[1:6] for read in read_one(path).reads]


# access logs

def test_a_get_is_read_with_client_and_size(swift, write):
    swift.get('/v1/AUTH_a/c/one', address='10.0.0.7', user='a:u')
    assert seen(write(swift.log)) == [('10.0.0.7 a:u', 'AUTH_a', 'c', 'one', 10)]


def test_an_anonymous_client_is_its_address(swift, write):
    swift.get('/v1/AUTH_a/c/one', address='10.0.0.7')
    assert [read.client for read in read_one(write(swift.log)).reads] == ['10.0.0.7']


def test_behind_a_balancer_the_client_is_the_one_that_it_names(swift, write):
    swift.get('/v1/AUTH_a/c/one', X_Forwarded_For='192.0.2.1')
    assert [read.client for read in read_one(write(swift.log)).reads] == ['192.0.2.1']


def test_an_object_of_no_bytes_is_a_read(swift, write):
    swift.get('/v1/AUTH_a/c/two')
    assert [read.bytes for read in read_one(write(swift.log)).reads] == [0]


@pytest.mark.parametrize('name', ['a b', 'ü/%41?&', 'x%2Fy', "it's 100%", '-', 'a//b', 'line\nbreak', '{}:'])
def test_names_are_as_they_are(write, name):
    swift = Swift({f'/v1/AUTH_a/c d/{name}'.encode().decode('latin-1'): (b'x', {})})
    swift.get(f'/v1/AUTH_a/c%20d/{quote(name)}?format=json&x=%2F')
    assert seen(write(swift.log)) == [('10.0.0.1', 'AUTH_a', 'c d', name, 1)]


@pytest.mark.parametrize('method, path', [
    ('HEAD', '/v1/AUTH_a/c/one'), ('PUT', '/v1/AUTH_a/c/one'), ('GET', '/v1/AUTH_a/c/none'),
    ('GET', '/v1/AUTH_a/c'), ('GET', '/v1/AUTH_a'), ('GET', '/info'), ('GET', '/auth/v1.0/x/y')])
def test_what_is_no_answered_get_of_an_object_is_no_read(swift, write, method, path):
    swift.objects['/auth/v1.0/x/y'] = (b'x', {})
    swift.get(path, method=method)
    swift.get('/v1/AUTH_a/c/two')
    assert len(swift.lines) == 2
    assert [read.object for read in read_one(write(swift.log)).reads] == ['two']


def test_a_part_counts_with_the_size_of_the_whole(swift, write):
    swift.get('/v1/AUTH_a/c/one', Range='bytes=0-1')
    swift.get('/v1/AUTH_a/c/one')
    assert [(read.bytes, read.part) for read in read_one(write(swift.log)).reads] == [(10, True), (10, False)]


def test_of_an_object_read_in_parts_alone_the_largest_counts(swift, write):
    swift.get('/v1/AUTH_a/c/one', Range='bytes=0-1')
    swift.get('/v1/AUTH_a/c/one', Range='bytes=2-5')
    assert [read.bytes for read in read_one(write(swift.log)).reads] == [4, 4]


@pytest.fixture
def manifest():
    return Swift(large_object('/v1/AUTH_a/c/all', ['p1', 'p2']), slo.filter_factory({}))


def test_segments_are_reads_of_the_client_that_reads_the_manifest(manifest, write):
    assert manifest.get('/v1/AUTH_a/c/all', user='u') == b'1234512345'
    assert sorted(seen(write(manifest.log))) == [
        ('10.0.0.1 u', 'AUTH_a', 'c', 'all', 0), ('10.0.0.1 u', 'AUTH_a', 's', 'p1', 5),
        ('10.0.0.1 u', 'AUTH_a', 's', 'p2', 5)]


def test_a_manifest_is_read_whole_and_has_the_same_size_whatever_is_read_of_what_it_names(manifest, write):
    manifest.get('/v1/AUTH_a/c/all')
    assert len(manifest.get('/v1/AUTH_a/c/all', transaction='tx2', Range='bytes=7-')) == 3
    found = read_one(write(manifest.log)).reads
    # the middleware reads it once more, without a range, and that is what tells its size
    body, _ = manifest.objects['/v1/AUTH_a/c/all']
    assert [(read.bytes, read.part) for read in found if read.object == 'all'] == [(len(body), False)] * 3
    assert sorted((read.bytes, read.part) for read in found if read.object == 'p2') == [(5, False), (5, True)]


def test_a_symlinks_target_is_what_has_the_bytes(write):
    swift = Swift({'/v1/AUTH_a/c/link': (b'', {'X-Object-Sysmeta-Symlink-Target': 'c/one'}),
                   '/v1/AUTH_a/c/one': (b'x' * 10, {})}, symlink.filter_factory({}))
    assert swift.get('/v1/AUTH_a/c/link') == b'x' * 10
    assert sorted(seen(write(swift.log))) == [
        ('10.0.0.1', 'AUTH_a', 'c', 'link', 0), ('10.0.0.1', 'AUTH_a', 'c', 'one', 10)]


def test_a_daemons_reads_are_no_clients(swift, write):
    swift.get('/v1/AUTH_a/c/one', address=None)
    swift.get('/v1/AUTH_a/c/two')
    assert [read.object for read in read_one(write(swift.log)).reads] == ['two']


def test_a_read_by_s3_has_bucket_and_key(write):
    swift = Swift({'/bucket/a/key': (b'x' * 10, {'X-Backend-Storage-Policy-Index': '0'})})
    swift.get('/bucket/a/key?versionId=null', user='u')
    assert seen(write(swift.log)) == [('10.0.0.1 u', '', 'bucket', 'a/key', 10)]


@pytest.mark.parametrize('path', [
    '/bucket', '/bucket/', '/bucket/key?acl', '/bucket/key?uploadId=1&x', '/auth/v1.0'])
def test_what_is_no_object_by_s3_is_no_read(write, path):
    policy = {} if path.startswith('/auth') else {'X-Backend-Storage-Policy-Index': '0'}
    swift = Swift({path.partition('?')[0]: (b'x', policy), '/v1/AUTH_a/c/one': (b'', policy)})
    swift.get(path)
    swift.get('/v1/AUTH_a/c/one')
    assert [read.object for read in read_one(write(swift.log)).reads] == ['one']


@pytest.mark.parametrize('begin', ['Nov 23 09:43:38 node1 proxy-server: ', '09:43:38.123 INFO ',
                                   '<134>1 2026-11-23T09:43:38Z node1 proxy-server 12 - - '])
def test_what_syslog_puts_before_a_line_does_not_matter(swift, write, begin):
    swift.get('/v1/AUTH_a/c/one', user='u')
    assert seen(write(begin + swift.log)) == [('10.0.0.1 u', 'AUTH_a', 'c', 'one', 10)]


@pytest.mark.parametrize('fields', [20, 21, 22])
def test_lines_of_older_versions_have_fewer_fields(swift, write, fields):
    swift.get('/v1/AUTH_a/c/one')
    line = swift.lines[0].split(' ')
    assert len(line) == 22
    assert len(read_one(write(' '.join(line[:fields]))).reads) == 1


TEMPLATE = [f'{{{name}}}' for name in FIELDS[:-1]]


def test_fields_that_are_added_at_the_end_do_not_matter(write):
    swift = Swift({'/v1/AUTH_a/c/one': (b'x' * 10, {})}, template=[*TEMPLATE, '{access_user_id}', '{ttfb}', 'end'])
    swift.get('/v1/AUTH_a/c/one', user='u')
    assert seen(write(swift.log)) == [('10.0.0.1 u', 'AUTH_a', 'c', 'one', 10)]


@pytest.mark.parametrize('lacks', range(len(TEMPLATE) - 1))
def test_a_template_that_lacks_a_field_is_another_format(write, lacks):
    swift = Swift({'/v1/AUTH_a/c/one': (b'x' * 10, {'X-Backend-Storage-Policy-Index': '0'})},
                  template=[*TEMPLATE[:lacks], *TEMPLATE[lacks + 1:]])
    swift.get('/v1/AUTH_a/c/one')
    with pytest.raises(LogError, match='in its default format'):
        read_one(write(swift.log))


def test_logs_of_several_files_are_one_in_the_order_of_time(swift, write):
    for name in ('one', 'two', 'one'):
        swift.get(f'/v1/AUTH_a/c/{name}')
    first, second, third = swift.lines
    trace = read_one(write(f'{third}\n{first}\n', 'a.log'), write(f'{second}\n', 'b.log'))
    assert [read.object for read in trace.reads] == ['one', 'two', 'one']
    assert trace.name.endswith('b.log') and 'a.log, ' in trace.name
