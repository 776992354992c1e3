"""Access logs as log shippers and container runtimes hand them on, and of older versions of Swift."""
import json
from itertools import combinations

import pytest
from helpers.common.accesslogs import FIELDS, Swift, large_object, read_one
from helpers.common.builders import close_logs
from swift.common.middleware import slo

from swiftahead.plan.traces import LogError


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


def lines():
    """Of clients of all kinds, whole objects and parts, none and many bytes, a manifest and its segments."""
    swift = Swift({'/v1/AUTH_a/c/one': (b'x' * 10, {}), '/v1/AUTH_a/c/two': (b'', {}),
                   **large_object('/v1/AUTH_a/c/all', ['p1', 'p2'])}, slo.filter_factory({}))
    swift.get('/v1/AUTH_a/c/one', user='a:u', transaction='tx1')
    swift.get('/v1/AUTH_a/c/one?temp_url_sig=%22x%22', address='::ffff:192.0.2.1', transaction='tx2')
    swift.get('/v1/AUTH_a/c/two', address='2001:db8::1', user='a:u', transaction='tx3', User_Agent='{"a b"}')
    swift.get('/v1/AUTH_a/c/one', user='a:"ü"', transaction='tx4', Range='bytes=2-4')
    swift.get('/v1/AUTH_a/c/one', X_Forwarded_For='unknown', transaction='tx5')
    swift.get('/v1/AUTH_a/c/all', transaction='tx6')
    close_logs()
    return list(swift.lines)


LINES = lines()


def journal(line):
    return {'__CURSOR': 's=0;i=1', '_PID': '7', 'SYSLOG_IDENTIFIER': 'swift', 'MESSAGE': line, '_UID': '160'}


def export(line, **more):
    return ''.join(f'{key}={value}\n' for key, value in {**journal(line), **more}.items())


def escaped(text):
    return json.dumps(text).replace('/', r'\/')


WRAPPERS = {
    'nothing': lambda line: line,
    'rsyslog, traditional': lambda line: f'Nov  3 09:43:38 node1 proxy-server: {line}',
    'rsyslog, with its process': lambda line: f'Nov  3 09:43:38 node1 proxy-server[12]: {line}',
    'rsyslog, with ISO times': lambda line: f'2026-11-03T09:43:38.123456+01:00 node1 proxy-server: {line}',
    'RFC 3164': lambda line: f'<134>Nov  3 09:43:38 node1 proxy-server: {line}',
    'a priority alone': lambda line: f'<134>{line}',
    'RFC 5424': lambda line: f'<134>1 2026-11-23T09:43:38Z node1 proxy-server 12 - [m x="1"] \ufeff{line}',
    'RFC 5424 without a mark': lambda line: f'<134>1 2026-11-23T09:43:38Z node1 proxy-server 12 - - {line}',
    'a NUL that Python sends': lambda line: f'Nov  3 09:43:38 node1 proxy-server: {line}\0',
    'a NUL that rsyslog writes': lambda line: f'Nov  3 09:43:38 node1 proxy-server: {line}#000',
    'journalctl': lambda line: f'Nov 23 09:43:38 node1 proxy-server[12]: {line}',
    'journalctl short-iso': lambda line: f'2026-11-23T09:43:38+0000 node1 proxy-server[12]: {line}',
    'journalctl short-precise': lambda line: f'Nov 23 09:43:38.123456 node1 proxy-server[12]: {line}',
    'journalctl short-unix': lambda line: f'1795427018.123456 node1 proxy-server[12]: {line}',
    'journalctl short-monotonic': lambda line: f'[   17.123456] node1 proxy-server[12]: {line}',
    'journalctl with-unit': lambda line: f'Mon 2026-11-23 09:43:38 UTC node1 a@b.service[12]: {line}',
    'journalctl json': lambda line: json.dumps(journal(line), separators=(',', ':')),
    'journalctl json-sse': lambda line: f'data: {json.dumps(journal(line))}',
    'journalctl json-seq': lambda line: f'\x1e{json.dumps(journal(line))}',
    'journalctl json-pretty': lambda line: json.dumps(journal(line), indent=8, separators=(',', ' : ')),
    'journalctl export': export,
    'journalctl export, with what came': lambda line: export(line, SYSLOG_RAW=f'<134>proxy-server: {line}'),
    'journalctl verbose': lambda line: 'Mon 2026-11-23 09:43:38.123456 UTC [s=0;i=1]\n' + ''.join(
        f'    {field}\n' for field in export(line).splitlines()),
    'docker json-file': lambda line: json.dumps({'log': f'{line}\n', 'stream': 'stdout', 'time': '2026-11-23T0Z'},
                                                separators=(',', ':')),
    'docker json-file of syslog': lambda line: json.dumps({'log': f'Nov 23 09:43:38 c7 swift: {line}\r\n'}),
    'docker logs -t': lambda line: f'2026-11-23T09:43:38.123456789Z {line}',
    'CRI': lambda line: f'2026-11-23T09:43:38.123456789+00:00 stdout F {line}',
    'docker-compose': lambda line: f'proxy_1  | {line}',
    'docker-compose in colour': lambda line: f'\x1b[36mproxy-1  |\x1b[0m {line}\x1b[0m',
    'kubectl logs --prefix': lambda line: f'[pod/swift-proxy-0/proxy] {line}',
    'Fluentd': lambda line: '2026-11-23 09:43:38 +0000 kube.x: ' + json.dumps(
        {'kubernetes': {'labels': ['a', {'b': 1}]}, 'stream': 'stdout', 'message': line}),
    'Fluent Bit': lambda line: json.dumps({'time': 1.5, 'log': f'2026-11-23T09:43:38.1Z stdout F {line}'}),
    'Logstash': lambda line: json.dumps({'@version': '1', 'event': {'original': line}, 'tags': []}),
    'slashes quoted': lambda line: f'{{"MESSAGE":{escaped(line)},"x":1}}',
    'JSON in JSON': lambda line: json.dumps({'message': json.dumps({'log': f'{line}\n'})}),
    'JSON in syslog': lambda line: 'Nov 23 09:43:38 node1 docker[1]: ' + json.dumps({'log': f'{line}\n'}),
    'logcli': lambda line: f'2026-11-23T09:43:38Z {{app="swift", pod="{{x}}"}} {line}',
    'logfmt': lambda line: f'time="2026-11-23T09:43:38Z" level=info msg="{line}" stream=stdout',
    'logfmt without quotation marks': lambda line: f'level=info msg={line}',
    'CSV': lambda line: f'"2026-11-23","node1","{line}","stdout"',
    'CSV without quotation marks': lambda line: f'2026-11-23,node1,{line},stdout',
    'semicolons': lambda line: f'node1;{line};stdout',
    'brackets': lambda line: f'({line})',
    'XML': lambda line: f'<m>node1</m><l>{line}</l>',
    "Python's repr": lambda line: f"{{'log': '{line}\\n', 'stream': 'stdout'}}",
}
# as versions of Swift wrote it: without log_info, without times, without policy, without user
COUNTS = 17, 18, 20, 21, 22


@pytest.mark.parametrize('count', COUNTS)
@pytest.mark.parametrize('wrapper', WRAPPERS.values(), ids=WRAPPERS.keys())
def test_reads_are_the_same_whatever_is_put_around_a_line(write, wrapper, count):
    cut = [' '.join(line.split(' ')[:count]) for line in LINES]
    bare = read_one(write('\n'.join(cut)))
    wrapped = read_one(write('\n'.join(map(wrapper, cut)), 'wrapped.log'))
    assert wrapped.reads == bare.reads and len(bare.reads) == len(LINES) == 8


def test_lines_are_understood_as_they_were_meant(write):
    """What the others are compared with."""
    found = [(read.client, read.object, read.bytes, read.part) for read in read_one(write('\n'.join(LINES))).reads]
    assert found == [
        ('10.0.0.1 a:u', 'one', 10, False), ('::ffff:192.0.2.1', 'one', 10, False),
        ('2001:db8::1 a:u', 'two', 0, False), ('10.0.0.1 a:"ü"', 'one', 10, True), ('unknown', 'one', 10, False),
        ('10.0.0.1', 'all', 0, False), ('10.0.0.1', 'p1', 5, False), ('10.0.0.1', 'p2', 5, False)]


@pytest.mark.parametrize('count, digits', [(17, 0), (18, 0), (20, 6), (21, 6), (22, 6)])
def test_of_versions_that_wrote_no_times_the_second_counts_in_which_a_read_ended(write, count, digits):
    whole, = read_one(write(LINES[0])).reads
    read, = read_one(write(' '.join(LINES[0].split(' ')[:count]))).reads
    assert abs(read.at - whole.at) < (1 if not digits else 1e-6) and (read.at % 1 == 0) is (not digits)


def test_of_the_same_second_the_order_is_that_of_the_log(write):
    cut = [' '.join(line.split(' ')[:18]).replace('one', name) for line, name in zip(LINES[:2], 'zy', strict=True)]
    assert [read.object for read in read_one(write('\n'.join(cut))).reads] == ['z', 'y']


def test_a_client_that_an_older_version_quoted_otherwise_is_the_same(write):
    quoted = LINES[1].replace('::ffff:', '%3A%3Affff%3A').replace('one', 'two')
    assert len({read.client for read in read_one(write(f'{LINES[1]}\n{quoted}')).reads}) == 1


@pytest.mark.parametrize('tag', ['swift:', 'proxy-server[12]:', 'swift/proxy:'])
def test_a_syslog_tag_without_a_blank_behind_it_is_no_part_of_the_client(write, tag):
    text = f'Nov 23 09:43:38 node1 {tag}{LINES[0]}'
    assert read_one(write(text)).reads == read_one(write(LINES[0], 'bare.log')).reads


UNKNOWN = {
    'tabs': lambda line: line.replace(' ', '\t'),
    'commas': lambda line: line.replace(' ', ','),
    'quoted once more': lambda line: line.replace(' ', '%20'),
    'fields by name': lambda line: json.dumps(dict(zip(FIELDS, line.split(' '), strict=False))),
}


@pytest.mark.parametrize('count', COUNTS)
@pytest.mark.parametrize('wrapper', UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_put_around_a_line_and_not_known_is_refused_in_one_sentence(write, wrapper, count):
    cut = [' '.join(line.split(' ')[:count]) for line in LINES]
    with pytest.raises(LogError, match='within what syslog, journald or a container runtime puts') as raised:
        read_one(write('\n'.join(map(wrapper, cut))))
    assert str(raised.value).count('\n') == 0


def test_of_a_journal_other_entries_fields_break_no_line(write):
    trace = read_one(write(f'{export(LINES[0])}\n{export("Started proxy-server, 1/1.")}\n'))
    assert len(trace.reads) == 1 and trace.notes == []


def test_where_nearly_each_read_has_a_client_of_its_own_that_is_told(write):
    many = [LINES[0].replace('10.0.0.1', f'10.0.0.{number}').replace('one', f'o{number}') for number in range(200)]
    assert 'nearly each read has a client of its own' in read_one(write('\n'.join(many))).notes[0]
    few = [line.replace('10.0.0.1', '10.0.0.') for line in many]
    assert read_one(write('\n'.join(few))).notes == []


# other templates

def one_line(template):
    swift = Swift({'/v1/AUTH_a/c/one': (b'x' * 10, {'X-Backend-Storage-Policy-Index': '0'})},
                  template=[f'{{{name}}}' for name in template])
    swift.get('/v1/AUTH_a/c/one', user='a:u', X_Auth_Token='AUTH_tk1', Referer='http://x/', User_Agent='curl/8.0',
              Etag='0123')
    return swift.log


# what has no form of its own: an address may be any text, as X-Forwarded-For has it, and so may a user
FORMLESS = {'client_ip', 'access_user_id'}
# and what has the form of bytes, or a hyphen for none
LIKE_BYTES = {'client_etag', 'headers', 'source', 'log_info', 'policy_index'}
SWAPS = [(one, other) for one, other in combinations(FIELDS, 2)
         if not {one, other} & FORMLESS and not ('bytes_sent' in (one, other) and {one, other} & LIKE_BYTES)]


@pytest.mark.parametrize('swap', SWAPS, ids='-'.join)
def test_a_template_with_another_order_is_refused_or_makes_no_difference(write, swap):
    one, other = swap
    template = [{one: other, other: one}.get(name, name) for name in FIELDS]
    expected = read_one(write(one_line(FIELDS))).reads[0][1:]
    try:
        found = read_one(write(one_line(template))).reads[0][1:]
    except LogError as error:
        assert 'in its default format' in str(error) or 'no GET of an object' in str(error)
    else:
        assert found == expected
