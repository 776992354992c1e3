"""Traces, packed and broken files."""
import gzip
import os

import pytest
from helpers.common.accesslogs import Swift, read_one

from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.traces import LogError, read_all


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


# traces

def test_a_trace_with_clients(write):
    path = write('offset_ms,client,object,bytes\n0,a,x,10\n1500,b,"y, z",0\n', 't.csv')
    assert read_one(path).reads == [LogRead(0, 'a', '', '', 'x', 10), LogRead(1.5, 'b', '', '', 'y, z', 0)]


def test_a_trace_without_clients_has_one(write):
    assert {read.client for read in read_one(write('offset_ms,object,bytes\n0,x,1\n5,y,1\n')).reads} == {''}


def test_columns_may_be_in_any_order_and_others_between(write):
    path = write('\ufeffbytes,zone,object,offset_ms\r\n7,1,x,2000\r\n\r\n')
    assert read_one(path).reads == [LogRead(2, '', '', '', 'x', 7)]


def test_traces_are_each_by_themselves(write):
    text = 'offset_ms,object,bytes\n0,x,1\n'
    names = write(text, 'a.csv'), write(text, 'b.csv')
    assert [trace.name for trace in read_all(names, lambda text: None)] == list(names)


def test_a_clock_that_runs_backwards_is_told_and_put_right(write):
    trace = read_one(write('offset_ms,object,bytes\n9000,y,1\n0,x,1\n-5000,z,1\n'))
    assert [read.object for read in trace.reads] == ['z', 'x', 'y']
    assert 'runs backwards 2 times, by 9 s at most' in trace.notes[0]
    trace = read_one(write('offset_ms,object,bytes\n500,y,1\n0,x,1\n'))
    assert 'runs backwards once, by 0.5 s at most' in trace.notes[0]


# files

def test_gzip_is_known_by_its_first_bytes(write):
    path = write(gzip.compress(b'offset_ms,object,bytes\n0,x,1\n'), 'access.log.1')
    assert [read.object for read in read_one(path).reads] == ['x']


@pytest.mark.parametrize('pack', [bytes, gzip.compress])
def test_standard_input(monkeypatch, tmp_path, write, pack):
    with open(write(pack(b'offset_ms,object,bytes\n0,x,1\n'))) as file:
        monkeypatch.setattr('sys.stdin', file)
        assert [read.object for read in read_one('-').reads] == ['x']
        os.fstat(file.fileno())


# bad input

def test_broken_lines_are_counted_and_the_first_is_shown(swift, write):
    swift.get('/v1/AUTH_a/c/one')
    swift.get('/v1/AUTH_a/c/one')
    line, other = swift.lines
    trace = read_one(write(f'{line}\n{line[:80]}\n\x1b[31mrubbish\n\n{other}\n'))
    assert len(trace.reads) == 2
    [note] = trace.notes
    assert f'2 of 4 lines could not be read and are left out, the first is line 2: {line[:80]!r}' in note


@pytest.mark.parametrize('broken', ['soon,x,1', '0,x', '0,x,1,2', '0,,1', '0,x,-1', '0,x,1.5', 'nan,x,1',
                                    f'0,x,{9 * 10**22}', 'inf,x,1', '0,"x,1', '\x00', f'"{"x" * 200_000}",x,1',
                                    '\ufffd'])
def test_broken_lines_of_a_trace(write, broken):
    trace = read_one(write(f'offset_ms,object,bytes\n0,a,1\n{broken}\n1,b,2\n'))
    assert [read.object for read in trace.reads] == ['a', 'b']
    assert '1 of 3 lines could not be read and are left out, the first is line 3: ' in trace.notes[0]


@pytest.mark.parametrize('change', [
    lambda fields: [*fields[:18], 'nan', *fields[19:]], lambda fields: [*fields[:19], 'nan', *fields[20:]],
    lambda fields: [*fields[:18], '-', *fields[19:]],
    lambda fields: [*fields[:6], 'OK', *fields[7:]], lambda fields: [*fields[:11], '-5', *fields[12:]],
    lambda fields: [*fields[:11], '9' * 26, *fields[12:]],
    lambda fields: fields[:15]])
def test_broken_fields_of_an_access_log(swift, write, change):
    swift.get('/v1/AUTH_a/c/one')
    broken = ' '.join(change(swift.lines[0].split(' ')))
    trace = read_one(write(f'{swift.lines[0]}\n{broken}\n'))
    assert len(trace.reads) == 1 and '1 of 2 lines' in trace.notes[0]


def test_bytes_that_are_no_text_break_one_line(swift, write):
    swift.get('/v1/AUTH_a/c/one')
    trace = read_one(write(b'\xff\x00\xfe\n' + swift.log.encode()))
    assert len(trace.reads) == 1 and '1 of 2 lines' in trace.notes[0]


@pytest.mark.parametrize('line', [
    '127.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /x HTTP/1.0" 200 2326',
    '10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /v1/AUTH_a/c/o HTTP/1.1" 200 612 "-" "curl/8.0"',
    'Feb  6 12:14:14 node haproxy[9]: 10.0.1.2:33317 [06/Feb/2026:12:14:14.655] in static/s 10/0/30/69/109 200 27'
    ' - - ---- 1/1/1/1/0 0/0 {} "GET /v1/AUTH_a/c/o HTTP/1.1"',
    'Nov 23 09:43:38 n object-server: 10.0.0.1 - - [23/Nov/2026:09:43:38 +0000] "GET /sda1/1/AUTH_a/c/o" 200 10',
    '{"method": "GET", "path": "/v1/a/c/o"}', 'time,object\n1,x', '0.0,c,o,10', 'offset_ms;object;bytes',
    '\x1b]0;x\x07', '\x7fELF\x02\x01\x01\x00\x00'])
def test_another_format_is_said_in_one_sentence_with_its_first_line(write, line):
    with pytest.raises(LogError) as raised:
        read_one(write(f'{line}\n' * 3))
    said = str(raised.value)
    assert "neither an access log of Swift's proxy-logging in its default format nor a trace" in said
    assert said.endswith(f'the first line is {ascii(line.splitlines()[0])}') and '\n' not in said


def test_a_long_first_line_is_cut(write):
    with pytest.raises(LogError) as raised:
        read_one(write('x' * 10_000_000))
    assert len(str(raised.value)) < 600


def packed(data):
    # its time is in it, and in the test's name
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize('text, rule', [
    ('', 'there are no lines in it'), ('\n \n', 'there are no lines in it'),
    ('offset_ms,object,bytes\n', 'there are no lines in it'),
    ('offset_ms,name,bytes\n1,x,1\n', 'the header has no object; it must be offset_ms'),
    ('offset_ms\n1\n', 'the header has no object and no bytes'),
    ('offset_ms,object,bytes\nx\ny\n', 'no line fits the header .*; the first is line 2: .x.'),
    (packed(b'offset_ms,object,bytes\n0,x,1\n' * 1000)[:-20], 'no whole gzip file, .* end-of-stream'),
    (packed(b'offset_ms,object,bytes\n0,x,1\n') + b'rubbish', 'broken after 1 lines: Not a g'),
    (packed(b'offset_ms')[:10] + b'\xff' * 99, 'Error -3 while decompressing'),
    (b'\x1f\x8brubbish' * 9, 'Unknown compression method')])
def test_a_file_that_is_of_no_use(write, text, rule):
    with pytest.raises(LogError, match=rule):
        read_one(write(text))


@pytest.mark.parametrize('is_log', [True, False])
@pytest.mark.parametrize('nothing', ['', 'offset_ms,object,bytes\n'])
def test_a_file_with_nothing_in_it_beside_others_is_told(swift, write, is_log, nothing):
    swift.get('/v1/AUTH_a/c/one')
    full = write(swift.log if is_log else 'offset_ms,object,bytes\n0,x,1\n', 'full')
    empty = write(nothing, 'empty')
    trace, = read_all([empty, full], lambda text: None)
    assert len(trace.reads) == 1 and trace.notes == [f'{empty}: there are no lines in it']


def test_two_files_with_nothing_in_them_are_of_no_use(write):
    with pytest.raises(LogError, match='there are no lines in it'):
        read_all([write('', 'one'), write('', 'two')], lambda text: None)


def test_a_log_without_reads(swift, write):
    swift.get('/v1/AUTH_a/c/none')
    with pytest.raises(LogError, match='no GET of an object was answered with 200 or 206 in it'):
        read_one(write(swift.log))


@pytest.mark.parametrize('name, rule', [('none', 'No such file'), ('.', 'Is a directory')])
def test_a_file_that_cannot_be_opened(tmp_path, name, rule):
    with pytest.raises(LogError, match=f'{tmp_path}/?{name.strip(".")}: {rule}'):
        read_one(str(tmp_path / name))


@pytest.mark.parametrize('fill', [b'', bytes(512)])
def test_gzip_files_one_behind_the_other_are_one(write, fill):
    whole = gzip.compress(b'offset_ms,object,bytes\n0,x,1\n') + gzip.compress(b'1,y,1\n') + fill
    assert [read.object for read in read_one(write(whole)).reads] == ['x', 'y']


@pytest.mark.parametrize('other', ['{}', '{}/../access.log', 'link'])
def test_a_file_that_is_given_twice_is_refused(write, tmp_path, monkeypatch, other):
    monkeypatch.chdir(tmp_path)
    path = write('offset_ms,object,bytes\n0,x,1\n')
    (tmp_path / 'link').symlink_to(path)
    (tmp_path / 'd').mkdir()
    again = other.format(path if other == '{}' else tmp_path / 'd')
    with pytest.raises(LogError, match=f'{again} is given twice'):
        read_all([path, again], lambda text: None)


@pytest.mark.parametrize('begin, how', [
    (b'BZh91AY&SY', 'bzip2'), (b'\xfd7zXZ\0', 'xz'), (b'\x28\xb5\x2f\xfd', 'zstd'),
    ('offset_ms'.encode('utf-16'), 'UTF-16')])
def test_what_is_packed_otherwise_is_called_by_its_name(write, begin, how):
    with pytest.raises(LogError, match=f'it is {how}; only gzip and plain'):
        read_one(write(begin + b'x' * 99))


def test_a_name_that_would_move_the_terminals_cursor_is_told_harmlessly(write):
    with pytest.raises(LogError) as raised:
        read_one(write('', '\x1b[2J.csv'))
    assert r'\x1b[2J.csv: there are no lines' in str(raised.value)


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr('sys.stdin', None)
    with pytest.raises(LogError, match='standard input is closed'):
        read_one('-')


def test_standard_input_is_there_once():
    with pytest.raises(LogError, match='standard input is given twice'):
        read_all(['-', '-'], lambda text: None)


def test_many_logs_have_a_short_name(swift, write):
    for _ in range(30):
        swift.get('/v1/AUTH_a/c/one')
    trace = read_one(*(write(line, f'{number}.log') for number, line in enumerate(swift.lines)))
    assert trace.name.endswith('1.log and 28 more') and len(trace.reads) == 30


def test_progress_is_told_while_a_long_file_is_read(write):
    told = []
    read_all([write('offset_ms,object,bytes\n' + '0,x,1\n' * 200_000)], told.append)
    assert [text.rsplit(': ')[1] for text in told] == ['100,000 lines', '200,000 lines']
