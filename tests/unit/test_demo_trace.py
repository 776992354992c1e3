"""What the demonstration reads, records and concludes."""
import signal

import pytest

from demo import recording, tracefile
from demo.main import main
from demo.outcome import PassFigures, outcome, shortfalls, table, wrongs
from demo.replay import TimedRead, is_hit, source_address
from demo.systems import PIECE, made_up_bodies
from demo.tracefile import Step, TraceError, TraceRead, read_trace

pytestmark = pytest.mark.tools


@pytest.fixture
def trace(tmp_path):
    def write(text):
        path = tmp_path / 'trace.csv'
        path.write_text(text, encoding='utf-8')
        return path
    return write


def test_trace_with_clients(trace):
    path = trace('offset_ms,client,object,bytes\n0,a,x,10\n1500,b,"y, z",0\n')
    assert read_trace(path) == [TraceRead(0, 'a', 'x', 10), TraceRead(1.5, 'b', 'y, z', 0)]


def test_trace_without_clients_has_one(trace):
    assert {read.client for read in read_trace(trace('offset_ms,object,bytes\n0,x,1\n5,y,1\n'))} == {''}


def test_trace_is_put_in_order_of_time(trace):
    assert [read.object for read in read_trace(trace('offset_ms,object,bytes\n9,y,1\n0,x,1\n'))] == ['x', 'y']


@pytest.mark.parametrize('text, rule', [
    ('time,object\n1,x\n', 'the header has no bytes and no offset_ms'),
    ('offset_ms,object,bytes\n', 'no reads in it'),
    ('offset_ms,object,bytes\nsoon,x,1\n', 'line 2: offset_ms and bytes must be numbers'),
    ('offset_ms,object,bytes\n0,x\n', 'line 2: offset_ms and bytes must be numbers'),
    ('offset_ms,object,bytes\n0,x,1\n0,x,-1\n', 'line 3: offset_ms and bytes must not be negative'),
    ('offset_ms,object,bytes\nnan,x,1\n', 'line 2: offset_ms and bytes must not be negative'),
    ('offset_ms,object,bytes\n0,,1\n', 'object not empty'),
    (f'offset_ms,object,bytes\n0,x,{tracefile.LARGEST + 1}\n', 'line 2: bytes must be at most 268,435,456'),
])
def test_bad_trace_says_where_and_why(trace, text, rule):
    with pytest.raises(TraceError, match=rule):
        read_trace(trace(text))


def test_missing_trace(tmp_path):
    with pytest.raises(TraceError, match='No such file'):
        read_trace(tmp_path / 'none.csv')


def test_an_object_is_made_at_its_largest_size():
    assert tracefile.sizes([TraceRead(at, '', 'x', size) for at, size in enumerate((5, 7, 6))]) == {'x': 7}


def test_waits_are_per_client_and_divided_by_speed():
    reads = [TraceRead(0, 'a', 'x', 1), TraceRead(2, 'b', 'y', 1), TraceRead(6, 'a', 'z', 1)]
    assert tracefile.steps(reads, speed=2) == {'a': [Step(0, 'x'), Step(3, 'z')], 'b': [Step(1, 'y')]}


def test_recording_is_of_real_library_files():
    reads = recording.record_here(50)
    root = recording.library()
    assert len(reads) == 50
    assert all((root / read.object).stat().st_size == read.size for read in reads)
    assert [read.offset for read in reads] == sorted(read.offset for read in reads)
    assert reads[0].offset == 0


def test_only_library_sources_are_kept(tmp_path):
    for name in ('a.py', 'b.txt', 'site-packages/c.py'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('xx')
    opened = [(1.0, '/etc/hosts'), (2.0, f'{tmp_path}/a.py'), (3.0, f'{tmp_path}/b.txt'),
              (4.0, f'{tmp_path}/gone.py'), (5.0, f'{tmp_path}/site-packages/c.py'),
              (6.5, f'{tmp_path}/a.py')]
    assert recording.reads_of(opened, tmp_path, 9) == [TraceRead(0, '', 'a.py', 2), TraceRead(4.5, '', 'a.py', 2)]


@pytest.mark.parametrize('value, hit', [
    ('swiftahead; hit', True), ('swiftahead;hit;detail=x', True), ('swiftahead; fwd=miss; stored', False),
    ('other; hit', False), ('swiftahead; detail=hit', False), ('', False)])
def test_hit_is_read_from_cache_status(value, hit):
    assert is_hit(value) is hit


def test_clients_have_addresses_of_their_own():
    addresses = {source_address(number) for number in range(2000)}
    assert len(addresses) == 2000
    assert not any(address.endswith(('.0', '.255')) for address in addresses)


def test_outcome_counts_and_p95():
    readings = [TimedRead('x', seconds / 1000, hit=seconds <= 50, prefetched=seconds <= 40, right=seconds != 7)
                for seconds in range(1, 101)]
    expected = PassFigures('s', 2, 100, hits=50, prefetched=40, wrong=1, mean=50.5, p95=95)
    assert outcome('s', 2, readings) == expected


def second(system, prefetched, mean, wrong=0):
    return PassFigures(system, 2, 100, prefetched, prefetched, wrong, mean, mean)


@pytest.mark.parametrize('off, learned, expected', [
    (second('off', 0, 30), second('on', 30, 29), []),
    (second('off', 0, 30), second('on', 29, 10), ['pass 2 has 29% prefetched hits']),
    (second('off', 0, 30), second('on', 90, 30), ['pass 2 takes 30.0 ms on average']),
    (second('off', 0, 30, wrong=1), second('on', 90, 10, wrong=2), ['3 answers were not what']),
])
def test_verdict(off, learned, expected):
    failures = wrongs([off, learned]) + shortfalls([off, learned], 'off', 'on')
    assert len(failures) == len(expected)
    assert all(found.startswith(text) for found, text in zip(failures, expected, strict=True))


def test_table_has_a_line_per_pass():
    lines = table([second('off', 0, 30), second('on', 45, 9.25)]).splitlines()
    assert ' '.join(lines[0].split()) == 'system pass reads hits prefetched hits mean ms p95 ms'
    assert lines[-1].split() == ['on', '2', '100', '45', '45%', '45', '45%', '9.2', '9.2']


# what cannot work is said before minutes are spent on it

def told(capsys, *args):
    assert main(list(args)) == 2
    return capsys.readouterr().err


@pytest.fixture
def signals():
    """As they were: the demo takes them for itself."""
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


def test_objects_that_the_disk_has_no_room_for(trace, capsys, signals):
    rows = ''.join(f'0,{number},{tracefile.LARGEST}\n' for number in range(100_000))
    said = told(capsys, '--trace', str(trace('offset_ms,object,bytes\n' + rows)))
    assert said.startswith('demo: the objects take 87') and 'TMPDIR names another place' in said


def test_a_place_for_the_figures_that_cannot_be_written(trace, capsys, signals, tmp_path):
    path = trace('offset_ms,object,bytes\n0,x,1\n')
    said = told(capsys, '--trace', str(path), '--json', str(tmp_path / 'none' / 'x.json'))
    assert said.startswith('demo: [Errno 2] No such file or directory')


@pytest.mark.parametrize('size', [0, 1, PIECE, PIECE + 1])
def test_bytes_are_made_up_the_same_each_time(size):
    body = made_up_bodies({'x': size})['x']
    assert len(body()) == size and body() == body()
