"""What the benchmarks compute and read; nothing is timed here."""
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bench import common, floor, hits, load, million, profile, stall, variant
from bench.common import BenchError, Sample, Spread, Table
from bench.load import Request, parse_report
from helpers.common.builders import NAME, FakeSwift, container_info, infocache
from swift.common.swob import Request as SwiftRequest

from swiftahead.cache import Store
from swiftahead.cache.entry import BLOCK

pytestmark = pytest.mark.tools

REPORT = {'requests': 400, 'bytes': 4_000_000, 'microseconds': 2_000_000, 'connect': 0, 'read': 0, 'write': 0,
          'status': 0, 'timeout': 0, 'p50': 1500, 'p99': 3000, 'p99.9': 4000, 'max': 5000}
SAMPLES = [Sample('small', 'plain', 0, {'rate': 100}), Sample('small', 'filter', 0, {'rate': 300}),
           Sample('small', 'plain', 1, {'rate': 200}), Sample('small', 'filter', 1, {'rate': 400}),
           Sample('small', 'plain', 2, {'rate': 100}), Sample('small', 'filter', 2, {'rate': 900}, {'status': 1})]


def said(**more):
    return f'Running 2s test\nreport {json.dumps(REPORT | more)}\n'


# -- load --------------------------------------------------------------------------------------------------

def test_report_gives_rates_and_latencies():
    run = parse_report(said())
    assert (run.rate, run.rate_of(1_000_000), run.p50, run.p999, run.failures) == (200, 2, 1.5, 4, {})


@pytest.mark.parametrize('kind', load.ERRORS)
def test_report_tells_each_kind_of_failure(kind):
    assert parse_report(said(**{kind: 3})).failures == {kind: 3}


def test_no_report_is_an_error():
    with pytest.raises(BenchError, match='unable to connect'):
        parse_report('unable to connect to 127.0.0.1:1')


@pytest.mark.parametrize('share, expected', [(50, 2), (75, 3), (76, 4), (100, 4), (0.1, 1)])
def test_percentile_is_a_value_that_was_measured(share, expected):
    assert load.percentile([1, 2, 3, 4], share) == expected


def test_percentile_of_nothing():
    assert load.percentile([], 99) == 0


def test_refused_requests_are_failures(unused_port):
    run, hits = load.send(f'http://127.0.0.1:{unused_port}', [Request('GET', '/')] * 3, 2, {})
    assert (run.requests, run.failures, hits) == (0, {'ConnectionRefusedError': 3}, 0)


@pytest.fixture
def unused_port():
    with socket.socket() as holder:
        holder.bind(('127.0.0.1', 0))
        yield holder.getsockname()[1]


def test_cpu_time_counts_children():
    burn = 'import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()'
    parent = f'import subprocess, sys\nsubprocess.call([sys.executable, "-c", {burn!r}])'
    with subprocess.Popen([sys.executable, '-c', parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        used = load.cpu_seconds(child.pid)
        child.communicate(b'\n')
    assert used >= 0.3


def test_memory_of_this_process():
    assert 1_000_000 < load.rss_bytes(os.getpid()) <= load.peak_bytes(os.getpid())


# -- statistics --------------------------------------------------------------------------------------------

def test_sides_take_turns():
    order = []
    common.interleaved(2, [('c', 'a'), ('c', 'b')], lambda case, side: (order.append(side) or {}, {}))
    assert order == ['a', 'b', 'a', 'b']


def test_spread():
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3, 3)


def test_spread_of_nothing():
    assert Spread.of([]) is None


def test_ratios_are_taken_round_by_round():
    # 300 / 100 and 400 / 200; the third round does not count
    assert common.ratio(SAMPLES, 'small', 'filter', 'plain', 'rate') == Spread(2.5, 2, 3, 2)


def test_differences_are_taken_round_by_round():
    assert common.difference(SAMPLES, 'small', 'filter', 'plain', 'rate') == Spread(200, 200, 200, 2)


def test_runs_with_failures_do_not_count():
    assert common.spread(SAMPLES, 'small', 'filter', 'rate').high == 400


@pytest.mark.parametrize('bound, expected', [
    ({'least': 2.5}, '>= 2.5: met'), ({'least': 2.6}, '>= 2.6: MISSED'),
    ({'most': 2.5}, '<= 2.5: met'), ({'most': 2.4}, '<= 2.4: MISSED'), ({}, '')])
def test_verdict(bound, expected):
    assert common.judged(2.5, **bound) == expected


def test_what_was_not_measured_meets_nothing():
    assert common.verdict(None, least=1) == '>= 1: not measured'


# -- tables ------------------------------------------------------------------------------------------------

def test_text_table_has_columns():
    assert common.text_table(('a', 'bb'), [(1, None), (1234, 0.5)]) == (
        'a      bb\n-----  -----\n1      -\n1,234  0.500')


def test_json_has_tables_and_samples(tmp_path, capsys):
    args = common.parser('Something.', rounds=3).parse_args(['--json', str(tmp_path / 'found')])
    common.show(args, {'cores': '2'}, [Table('Title', ('a',), [(1,)])], SAMPLES)
    found = json.loads((tmp_path / 'found').read_text())
    assert (found['tables'][0]['rows'], found['samples'][0]['values'], found['rounds']) == (
        [[1]], {'rate': 100}, 3)
    assert 'Title\na\n-\n1' in capsys.readouterr().out


def test_a_row_of_a_table_is_a_line():
    text = common.compact({'rows': [['a' * 40, 1, None]] * 9, 'rounds': 3})
    assert json.loads(text)['rows'][8] == ['a' * 40, 1, None] and text.count('"a') == len(text.splitlines()) - 5


def test_missing_programs_are_named_with_their_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(common, 'find_program', lambda name: None)
    with pytest.raises(BenchError, match=r'wrk, nginx not found; .*apt-get install wrk nginx-light'):
        common.need_programs('wrk', 'nginx')


def test_bounds_of_hits():
    tables = hits.tables([Sample('10 kB', side, 0, dict.fromkeys(('cpu_us', 'sidecar_us', 'p50', 'p99'), 1)
                                 | {'rate': rate}) for side, rate in (('plain', 1), ('filter', 3), ('floor', 4))],
                         ['10 kB'], ['plain', 'filter', 'floor'])
    assert [row[-1] for row in tables[1].rows][:2] == ['>= 3: met', '>= 0.85: MISSED']


@pytest.mark.parametrize('script', ['hits', 'misses', 'stall', 'million', 'profile', 'eviction', 'agreement',
                                    'sync'])
def test_each_script_runs_by_its_path(script):
    done = subprocess.run([sys.executable, common.BENCH / f'{script}.py', '--help'], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0 and '--json FILE' in done.stdout, done.stderr


# -- the floor ---------------------------------------------------------------------------------------------

@pytest.fixture
def floor_app(tmp_path):
    swift = FakeSwift()
    floor.store(tmp_path, '/v1' + NAME.path, {'Content-Length': '5', 'Etag': 'x'}, b'floor')
    return floor.filter_factory({}, folder=str(tmp_path))(swift)


def ask(app, info, authorize, **headers):
    env = {'swift.infocache': infocache(info), 'swift.authorize': authorize}
    return SwiftRequest.blank('/v1' + NAME.path, environ=env, headers=headers).get_response(app)


def test_floor_answers_from_its_file(floor_app):
    answer = ask(floor_app, container_info(), lambda req: None)
    assert (answer.status_int, answer.body, answer.headers['X-Floor']) == (200, b'floor', 'hit')


def test_floor_heeds_the_containers_acl(floor_app):
    info = container_info(**{'x-container-read': 'them'})
    answer = ask(floor_app, info, lambda req: None if req.acl == 'them' else 403)
    assert answer.body == b'floor'


def test_floor_gives_nothing_to_those_who_may_not_read(floor_app):
    answer = ask(floor_app, container_info(), lambda req: 403)
    assert answer.status_int == 403 and b'floor' not in answer.body


# -- the large folder --------------------------------------------------------------------------------------

def test_made_entries_are_whole(tmp_path):
    store = Store.create(tmp_path)
    million.make_entries(store, 'AUTH_test', 3)
    assert (len(list(store.linked())), list(store.check())) == (3, [])


def test_made_entries_are_used_one_after_the_other(tmp_path):
    store = Store.create(tmp_path)
    million.make_entries(store, 'AUTH_test', 2)
    first, second = (store.layout.entry(store.naming.entry(million.name_of(f'/v1/AUTH_test/bench/entry-{number}')))
                     for number in range(2))
    assert second.stat().st_mtime - first.stat().st_mtime == pytest.approx(1)


def test_eviction_of_the_oldest_is_right():
    before = {'old': (10, 1.0), 'middle': (10, 2.0), 'new': (10, 3.0)}
    found = million.judge_eviction(before, {'middle': (10, 2.0), 'new': (10, 3.0)}, 25)
    assert (found['evicted'], found['evicted_though_newer'], found['bytes']) == (1, 0, 20)


def test_eviction_of_a_newer_one_is_seen():
    before = {'old': (10, 1.0), 'new': (10, 3.0)}
    assert million.judge_eviction(before, {'old': (10, 1.0)}, 15)['evicted_though_newer'] == 1


# -- stall and profile -------------------------------------------------------------------------------------

def test_variant_changes_a_constant(monkeypatch):
    monkeypatch.setattr('swiftahead.cache.entry.BLOCK', BLOCK)
    variant.change(f'cache.entry.BLOCK={2 * BLOCK}')
    assert sys.modules['swiftahead.cache.entry'].BLOCK == 2 * BLOCK


@pytest.mark.parametrize('wrong', ['cache.entry.NOTHING=1', 'cache.nothing.BLOCK=1', 'cache.entry.BLOCK=x', 'x'])
def test_variant_of_nothing_is_an_error(wrong):
    with pytest.raises(BenchError, match=wrong):
        variant.change(wrong)


def test_large_entries_alone_are_dropped(tmp_path, monkeypatch):
    dropped = []
    monkeypatch.setattr(os, 'posix_fadvise', lambda file, *_: dropped.append(os.fstat(file).st_size))
    (tmp_path / '00').mkdir()
    for name, size in (('large', stall.SIZE + 1), ('small', 10)):
        with open(tmp_path / '00' / name, 'w') as file:
            file.truncate(size)
    stall.drop_entries(tmp_path)
    assert dropped == [stall.SIZE + 1]


STACKS = """\
_ (swift/common/middleware/slo.py:9);_ (swift/common/middleware/tempauth.py:5);_ (eventlet/greenio/base.py:1) 3
main (x.py:1);hit (/srv/swiftahead/middleware/hit.py:5);dumps (json/encoder.py:7) 2
main (x.py:1);write (/usr/lib/python3/site-packages/eventlet/wsgi.py:5) 5
main (x.py:1) 1
"""


def test_profile_by_innermost_code():
    own, _ = profile.shares(profile.parse_stacks(STACKS))
    assert own == {'eventlet': 8, 'filter: middleware': 2, 'other': 1}


def test_profile_by_who_asked_for_it():
    _, charged = profile.shares(profile.parse_stacks(STACKS))
    assert charged == {'middleware: tempauth': 3, 'filter: middleware': 2, 'server': 6}


@pytest.mark.parametrize('file, expected', [
    ('swift/proxy/server.py', 'proxy-server'), ('swift/proxy/controllers/base.py', 'container info'),
    ('swift/common/middleware/s3api/s3api.py', 'middleware: s3api'), ('cache/reader.py', 'filter: cache'),
    ('queues/sqlite/queue.py', 'filter: queues'),
    ('swift/common/utils/base.py', 'swift, other'), ('json/decoder.py', None)])
def test_groups(file, expected):
    assert profile.group_of(file) == expected


def test_py_spy_is_asked_for(monkeypatch):
    monkeypatch.setattr(profile.shutil, 'which', lambda name: None)
    monkeypatch.setattr(sys, 'executable', str(Path('/nowhere/python')))
    with pytest.raises(BenchError, match='pip install py-spy'):
        profile.find_py_spy()
