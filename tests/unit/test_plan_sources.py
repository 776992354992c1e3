"""Which GETs of a log are a cache's business, and that each is counted once."""
import re
from pathlib import Path

import pytest
import swift
from helpers.common.accesslogs import Swift, large_object, read_one
from helpers.common.builders import close_logs
from swift.common.middleware import slo

from swiftahead.plan.traces import LogError, read_all


@pytest.fixture(autouse=True)
def logs_closed():
    yield
    close_logs()


@pytest.fixture
def write(tmp_path):
    def write(text, name='access.log'):
        path = tmp_path / name
        path.write_text(text)
        return str(path)
    return write


@pytest.fixture
def cluster():
    return Swift({f'/v1/AUTH_a/c/{name}': (b'x' * 10, {'X-Backend-Storage-Policy-Index': '0'})
                  for name in ('one', 'two', 'link')})


def names(path):
    return [read.object for read in read_one(path).reads]


# who makes requests on behalf of a client

# ordinary reads of objects
READ = {'SLO': 'segments, and manifests once more', 'DLO': 'segments', 'SYM': "links' targets",
        'SW': "a page, with the client's own address", 'S3': "the client's own, under its Swift name"}
# with X-Newest, so that the filter passes them by
NEWEST = {'SSC': 'what is copied', 'VW': 'what is kept as an older version', 'OV': 'what is kept as a version'}
# none of objects
NO_READ = {
    'AQ': 'infos', 'BD': 'DELETEs', 'CQ': 'infos', 'CS': 'infos', 'EA': 'PUTs', 'FP': 'PUTs', 'LE': 'infos',
    'RL': 'infos', 'RO': 'infos', 'SH': "shards' listings", 'TA': 'infos', 'TU': 'infos'}
CODE = re.compile(r"""swift[._]source['"]?\]?\s*=\s*['"]([A-Z0-9]+)['"]""")


def codes():
    """All that this Swift has."""
    files = Path(swift.__path__[0]).rglob('*.py')
    return {code for file in files for code in CODE.findall(file.read_text())}


def test_it_is_known_of_each_code_of_this_swift_whether_it_reads_objects():
    assert {'SLO', 'SSC', 'VW', 'OV', 'SYM'} <= codes() <= READ.keys() | NEWEST.keys() | NO_READ.keys()


@pytest.mark.parametrize('source', [*READ, 'XX'])
def test_an_ordinary_read_on_behalf_of_a_client_is_counted(cluster, write, source):
    cluster.get('/v1/AUTH_a/c/one', source=source, address='')
    assert names(write(cluster.log)) == ['one']


@pytest.mark.parametrize('source', NEWEST)
def test_a_read_with_x_newest_is_not_counted_and_that_is_told(cluster, write, source):
    cluster.get('/v1/AUTH_a/c/one', source=source, address='')
    cluster.get('/v1/AUTH_a/c/two', transaction='tx2')
    trace = read_one(write(cluster.log))
    assert [read.object for read in trace.reads] == ['two']
    assert 'none for a cache; 1 were left out' in trace.notes[0]


@pytest.mark.parametrize('source', NEWEST)
def test_a_link_that_is_followed_for_a_copy_is_read_with_x_newest_too(cluster, write, source):
    cluster.get('/v1/AUTH_a/c/link', source=source, address='')
    cluster.get('/v1/AUTH_a/c/one', source='SYM', address='')
    cluster.get('/v1/AUTH_a/c/two', source='SYM', address='', transaction='tx2')
    assert names(write(cluster.log)) == ['two']


def test_segments_that_are_read_for_a_copy_are_ordinary_reads_of_nobody_else(cluster, write):
    cluster.get('/v1/AUTH_a/c/link', source='SSC', address='')
    cluster.get('/v1/AUTH_a/c/one', source='SLO', address='')
    assert [(read.object, read.client) for read in read_one(write(cluster.log)).reads] == [('one', 'tx1')]


def test_a_log_of_copies_alone_has_nothing_for_a_cache(cluster, write):
    cluster.get('/v1/AUTH_a/c/one', source='SSC', address='')
    with pytest.raises(LogError, match='200 or 206 in it, but of those by which Swift copies'):
        read_one(write(cluster.log))


def test_of_s3_with_its_swift_requests_logged_too_each_read_is_counted_once(write):
    policy = {'X-Backend-Storage-Policy-Index': '0'}
    cluster = Swift({'/v1/AUTH_a/b/key': (b'x' * 10, policy), '/b/key': (b'x' * 10, policy)})
    cluster.get('/v1/AUTH_a/b/key', source='S3', user='u')
    cluster.get('/b/key', user='u')
    assert read_one(write(cluster.log)).reads[0][1:6] == ('10.0.0.1 u', 'AUTH_a', 'b', 'key', 10)
    assert len(read_one(write(cluster.log)).reads) == 1


@pytest.mark.parametrize('path, headers', [
    ('/v1/.expiring_objects/c/one', {}), ('/v1/AUTH_a/c/one', {'Content_Length': '2'})])
def test_what_the_filter_passes_by_is_not_counted(cluster, write, path, headers):
    cluster.objects['/v1/.expiring_objects/c/one'] = b'x', {}
    cluster.get('/v1/AUTH_a/c/two')
    cluster.get(path, transaction='tx2', **headers)
    lines = cluster.log.splitlines()
    if headers:
        lines[1] = received(lines[1], 2)
    assert names(write('\n'.join(lines))) == ['two']


def received(line, count):
    fields = line.split(' ')
    fields[10] = str(count)
    return ' '.join(fields)


# each once

def test_what_stands_in_two_logs_is_counted_once_and_that_is_told(cluster, write):
    for number, name in enumerate(['one', 'two', 'one']):
        cluster.get(f'/v1/AUTH_a/c/{name}', transaction=f'tx{number}')
    own = write(''.join(f'Nov 14 22:13:20 p1 swift: {line}\n' for line in cluster.lines), 'own.log')
    syslog = write(''.join(f'2026-11-14T22:13:20+00:00 p1 swift: {line}\n' for line in cluster.lines), 'syslog')
    trace = read_one(own, syslog)
    assert trace.reads == read_one(own).reads and len(trace.reads) == 3
    assert 'more than once are counted once; 3 were left out' in trace.notes[0]


def test_what_stands_twice_in_one_log_is_counted_once(cluster, write):
    cluster.get('/v1/AUTH_a/c/one')
    assert names(write(cluster.log * 3)) == ['one']


def test_segments_of_a_log_that_is_given_twice_have_their_manifest(write):
    """Were they counted twice, the manifest would have been sent less than nothing."""
    cluster = Swift(large_object('/v1/AUTH_a/c/all', ['p1', 'p2']), slo.filter_factory({}))
    cluster.get('/v1/AUTH_a/c/all')
    once = read_one(write(cluster.log)).reads
    assert read_one(write(cluster.log), write(cluster.log, 'other.log')).reads == once


def test_the_same_segment_twice_in_a_transaction_is_two_reads(write):
    cluster = Swift(large_object('/v1/AUTH_a/c/all', ['p1', 'p2', 'p1']), slo.filter_factory({}))
    cluster.get('/v1/AUTH_a/c/all')
    twice = read_one(write(cluster.log, 'a'), write(cluster.log, 'b')).reads
    assert sorted(read.object for read in twice) == ['all', 'p1', 'p1', 'p2']


def test_the_same_object_at_the_same_moment_by_others_is_read_by_each(cluster, write):
    cluster.get('/v1/AUTH_a/c/one')
    line = cluster.lines[0]
    others = line.replace('10.0.0.1', '10.0.0.2'), line.replace(' tx1 ', ' tx2 '), line.replace('/one', '/two')
    assert len(read_one(write('\n'.join([line, *others]))).reads) == 4


def test_proxy_logging_that_stands_twice_in_the_pipeline_logs_a_read_once(cluster):
    cluster.get('/v1/AUTH_a/c/one')
    assert len(cluster.lines) == 1


def test_a_trace_may_have_the_same_read_twice(write):
    trace = write('offset_ms,object,bytes\n0,x,1\n0,x,1\n', 't.csv')
    assert len(read_all([trace], str)[0].reads) == 2


# fields that are a hyphen

@pytest.mark.parametrize('field, name', list(enumerate([
    'client_ip', 'remote_addr', 'date', 'method', 'path', 'protocol', 'status', 'referer', 'user_agent', 'token',
    'received', 'sent', 'etag', 'transaction', 'headers', 'time', 'source', 'log_info', 'start', 'end', 'policy',
    'user'])))
def test_a_field_that_is_a_hyphen_breaks_no_line_where_swift_may_write_one(cluster, write, field, name):
    cluster.get('/v1/AUTH_a/c/one', user='u')
    fields = cluster.lines[0].split(' ')
    fields[field] = '-'
    text = write(f'{cluster.lines[0]}\n{" ".join(fields)}'.replace(' tx1 ', ' tx2 ', 1))
    never = 'date', 'method', 'path', 'status', 'time', 'start', 'end'
    assert len(read_one(text).reads) == (1 if name in never else 2)


def test_who_logged_in_without_an_address_is_a_client_for_each_transaction_as_in_the_filter(cluster, write):
    for transaction in ('tx1', 'tx2'):
        cluster.get('/v1/AUTH_a/c/one', address='', user='u', transaction=transaction)
    assert [read.client for read in read_one(write(cluster.log)).reads] == ['tx1 u', 'tx2 u']
