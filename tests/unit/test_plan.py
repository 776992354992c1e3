"""`swiftahead plan`, from files to what it prints."""
import gzip
import json
import subprocess
import sys
from collections import OrderedDict
from functools import partial
from re import MULTILINE, sub

import pytest
from helpers.common.accesslogs import LOOP, Swift, read_one, write_trace
from helpers.common.builders import close_logs

from swiftahead.cache.entry import expected_disk_bytes
from swiftahead.cli import main
from swiftahead.plan.listing import Listing
from swiftahead.plan.sample import parts_of

KEYS = ['trace', 'cache_bytes', 'eviction', 'prefetch', 'pass', 'requests', 'object_hit_ratio', 'byte_hit_ratio',
        'precision', 'wasted_bytes_ratio', 'late', 'backend_gets']


@pytest.fixture
def write(tmp_path):
    return partial(write_trace, tmp_path)


@pytest.fixture
def plan(capsys):
    """The rows of --json, and what was told on standard error."""
    def plan(*arguments):
        assert main(['plan', '--json', *arguments]) == 0
        said = capsys.readouterr()
        return json.loads(said.out), said.err
    return plan


def refused(capsys, *arguments):
    assert main(['plan', *arguments]) == 2
    said = capsys.readouterr()
    assert not said.out
    return said.err


def in_one_line(text):
    return ' '.join(text.split())


# JSON

def test_each_row_has_what_it_is_of_and_what_came_out(plan, write):
    rows, _ = plan(write(LOOP), '--passes', '2')
    assert all(list(row) == KEYS for row in rows)
    assert {row['pass'] for row in rows} == {1, 2} and {row['requests'] for row in rows} == {300}


def test_all_evictions_are_tried_with_and_without_prefetching(plan, write):
    rows, _ = plan(write(LOOP), '--cache-size', '50%')
    assert [(row['eviction'], row['prefetch']) for row in rows] == [
        (eviction, prefetch) for eviction in ('lru', 'lfu', 'gdsf', 's3fifo') for prefetch in (False, True)]


def test_options_choose_the_rows(plan, write):
    rows, _ = plan(write(LOOP), '--cache-size', '50%', '--cache-size', '1 KiB', '--eviction', 'gdsf', '--eviction',
                   'lru')
    assert [(row['cache_bytes'], row['eviction']) for row in rows if row['prefetch']] == [
        (1024, 'gdsf'), (1024, 'lru'), (43151, 'gdsf'), (43151, 'lru')]


def test_without_prefetching_nothing_is_late_or_wasted(plan, write):
    rows, _ = plan(write(LOOP))
    assert {(row['precision'], row['wasted_bytes_ratio'], row['late'])
            for row in rows if not row['prefetch']} == {(None, 0, 0)}


def test_several_traces_are_told_apart(plan, write):
    names = write(LOOP, 'a.csv'), write(LOOP[:50], 'b.csv')
    rows, _ = plan(*names, '--cache-size', '50%', '--eviction', 'lru')
    assert [(row['trace'], row['requests']) for row in rows] == [
        (names[0], 300), (names[0], 300), (names[1], 50), (names[1], 50)]


def test_the_recommendation_goes_to_standard_error(plan, write):
    _, told = plan(write(LOOP))
    assert 'recommended: ' in told and '    [sidecar]\n    cache_size = ' in told


# figures

def lru(reads, size):
    """Hits of entries on disk: where they pass 95 percent, what was read longest ago goes, down to 90."""
    cache, hits, used = OrderedDict(), 0, 0
    for _, _, name, length in reads:
        taken = expected_disk_bytes(length)
        if name in cache:
            hits += 1
            cache.move_to_end(name)
        if name in cache or taken > size * .95:
            continue
        if used + taken > size * .95:
            while cache and used + taken > size * .90:
                used -= cache.popitem(last=False)[1]
        cache[name], used = taken, used + taken
    return hits / len(reads)


def mixed(count):
    return [(second, f'c{second % 3}', f'o{(second * second + second // 7) % 61}', 50 + second * second % 61)
            for second in range(count)]


@pytest.mark.parametrize('size', [50_000, 300_000, 900_000])
def test_lru_is_what_the_sidecar_keeps(plan, write, size):
    reads = [(at, client, name, 10 + 700 * int(name[1:])) for at, client, name, _ in mixed(1000)]
    [row, _], _ = plan(write(reads), '--cache-size', str(size), '--eviction', 'lru')
    assert row['object_hit_ratio'] == lru(reads, size) > 0
    assert row['backend_gets'] == 1000 - 1000 * row['object_hit_ratio']


def test_prefetching_answers_what_no_eviction_can(plan, write):
    rows, _ = plan(write(LOOP), '--cache-size', '50%', '--eviction', 'lru', '--passes', '2')
    off, on = [row for row in rows if row['pass'] == 2]
    assert off['object_hit_ratio'] == 0
    assert on['object_hit_ratio'] > 0.95 and on['byte_hit_ratio'] > 0.95 and on['precision'] > 0.95


def test_a_second_pass_follows_the_first(plan, write):
    rows, _ = plan(write([(second, '', f'o{second}', 100) for second in range(40)]), '--cache-size', '25%',
                   '--eviction', 'lru', '--passes', '3')
    first, *_, third = [row['object_hit_ratio'] for row in rows if row['prefetch']]
    assert first == 0 and third > 0.8


def test_a_listing_lets_first_reads_be_foreseen(plan, write, tmp_path):
    # in the order of their names, every other one small
    reads = [(second, '', f'n{second:04}', 10 + second % 2 * 1000) for second in range(300)]
    (tmp_path / 'names').write_text(''.join(f'{name}\n' for _, _, name, _ in reads))
    options = write(reads), '--cache-size', '20%', '--eviction', 'lru'
    without, _ = plan(*options)
    known, _ = plan(*options, '--listing', str(tmp_path / 'names'))
    assert without[1]['object_hit_ratio'] == 0 and known[1]['object_hit_ratio'] > 0.3
    assert without[0] == known[0]


# samples

def loops(clients):
    """Each client reads ten objects of its own again and again."""
    return [(second, f'c{second % clients}', f'c{second % clients}-{second // clients % 10}', 100)
            for second in range(100 * clients)]


def test_a_long_log_is_learned_from_in_part_and_the_error_told(plan, write):
    options = write(loops(40)), '--cache-size', '50%', '--eviction', 'lru'
    exact, _ = plan(*options)
    rows, told = plan(*options, '--sample', '2000')
    learned = int(in_one_line(told).partition('learned from ')[2].partition(' of 4,000')[0].replace(',', ''))
    assert learned == sum(parts_of(read_one(options[0]).reads, 2000)[0].flags) and 900 < learned < 2000
    assert ' points of hits, ' in in_one_line(told) and ' of what is in vain, as far as ' in in_one_line(told)
    assert exact[0] == rows[0] and exact[1] != rows[1]
    assert exact[1]['object_hit_ratio'] > 0.5 and rows[1]['requests'] == 4000
    assert rows[1]['object_hit_ratio'] == pytest.approx(exact[1]['object_hit_ratio'], abs=0.1)


def test_of_one_client_too_parts_are_learned_from(plan, write):
    rows, told = plan(write(loops(1) * 30), '--cache-size', '50%', '--eviction', 'lru', '--sample', '1500')
    assert rows[1]['object_hit_ratio'] > rows[0]['object_hit_ratio'] and 'off by about 100.0' not in told


def test_each_setting_is_tried_once(plan, write):
    twice = '--cache-size', '50%', '--eviction', 'lru'
    assert len(plan(write(LOOP), *twice, *twice)[0]) == 2


def test_a_hit_of_a_part_has_the_bytes_that_are_cached(plan, tmp_path):
    swift = Swift({'/v1/AUTH_a/c/o': (b'x' * 100, {})})
    swift.get('/v1/AUTH_a/c/o')
    swift.get('/v1/AUTH_a/c/o', Range='bytes=0-49')
    swift.objects['/v1/AUTH_a/c/o'] = b'x' * 2000, {}
    swift.get('/v1/AUTH_a/c/o')
    (tmp_path / 'log').write_text(swift.log)
    close_logs()
    # the part counts with the largest whole read: 100, 2000 and 2000 are read, and 100 of it were there
    rows, _ = plan(str(tmp_path / 'log'), '--cache-size', '100%', '--eviction', 'lru')
    assert rows[0]['byte_hit_ratio'] == pytest.approx(100 / 4100)


@pytest.mark.parametrize('output, said', [('> /dev/full', 'standard output: No space left on device'),
                                          ('>&-', 'standard output is closed')])
@pytest.mark.parametrize('more', ['', '--json'])
def test_what_cannot_be_printed_is_said_in_one_line(write, output, said, more):
    program = 'import sys; from swiftahead.cli import main; sys.exit(main())'
    command = ['sh', '-c', f'exec "$@" {more} {output}', '', sys.executable, '-c', program, 'plan', write(LOOP)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f'swiftahead: {said}')
    assert 'Traceback' not in done.stderr


def test_standard_input_is_no_listing_and_log_at_once(capsys):
    assert 'given twice, as a log and as the listing' in refused(capsys, '-', '--listing', '-')


@pytest.mark.parametrize('size, rule', [
    ('99999999TiB', 'must be a size of less than'), ('0%', 'above 0 % and at most 100 %'),
    ('nan%', 'above 0 % and'), ('50gib', 'must be a size such as')])
def test_a_size_that_is_none_is_refused_with_its_rule(capsys, size, rule):
    with pytest.raises(SystemExit):
        main(['plan', 'x', '--cache-size', size])
    assert rule in capsys.readouterr().err


@pytest.mark.parametrize('text, size', [('o1,\n', None), ('o1,5\n\n', 5), ('o1 , 5 \n', 5)])
def test_a_listing_may_lack_bytes_and_have_blank_lines(tmp_path, write, text, size):
    (tmp_path / 'l.csv').write_text(' object , bytes\no3,7\n' + text)
    sizes = Listing(str(tmp_path / 'l.csv'))._sizes
    assert size in sizes.values() and len(sizes) == 2


@pytest.mark.parametrize('line', ['o1,x', 'o1', ',5', f'o1,{9 * 10**20}'])
def test_a_line_of_a_listing_that_does_not_fit_is_shown(capsys, tmp_path, write, line):
    (tmp_path / 'l.csv').write_text(f'object,bytes\n{line}\n')
    said = refused(capsys, write(LOOP), '--listing', f'{tmp_path}/l.csv')
    assert f"line 2 does not fit the header object,bytes: '{line}'; bytes are a whole number" in said


def test_a_damaged_listing_is_refused(capsys, tmp_path, write):
    packed = bytearray(gzip.compress(b''.join(b'o%d\n' % number for number in range(10_000))))
    packed[1000:1004] = b'\xff' * 4
    (tmp_path / 'l.gz').write_bytes(packed)
    said = refused(capsys, write(LOOP), '--listing', f'{tmp_path}/l.gz')
    assert said.startswith(f'swiftahead: {tmp_path}/l.gz: ') and said.count('\n') == 1


def test_a_short_log_is_not_sampled(plan, write):
    assert 'learned from' not in plan(write(LOOP))[1]


# bad input

def test_another_format_is_one_sentence(capsys, tmp_path):
    (tmp_path / 'x.log').write_text('127.0.0.1 - - [10/Oct/2026] "GET / HTTP/1.0" 200 1\n' * 5)
    said = refused(capsys, f'{tmp_path}/x.log')
    assert said.startswith(f'swiftahead: {tmp_path}/x.log: neither an access log of ') and said.count('\n') == 1


def test_a_listing_that_is_not_there(capsys, write, tmp_path):
    assert 'none: No such file' in refused(capsys, write(LOOP), '--listing', f'{tmp_path}/none')


@pytest.mark.parametrize('option, value', [
    ('--cache-size', '0%'), ('--cache-size', '101%'), ('--cache-size', 'nan%'), ('--cache-size', '5 apples'),
    ('--cache-size', '-1'), ('--eviction', 'magic'), ('--passes', '0'), ('--passes', '1.5'), ('--sample', '0')])
def test_a_wrong_option_is_2_and_says_the_rule(capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        main(['plan', 't.csv', option, value])
    assert ended.value.code == 2
    assert f'argument {option}: ' in capsys.readouterr().err


def test_objects_of_no_bytes_and_of_5_gb(plan, write):
    sizes = 0, 5_000_000_000, 10
    rows, _ = plan(write([(second, '', f'o{second % 9}', sizes[second % 3]) for second in range(300)]),
                   '--cache-size', '10%', '--cache-size', '100', '--cache-size', '20GiB')
    assert all(0 <= row[key] <= 1 for row in rows for key in KEYS[6:8])
    assert max(row['object_hit_ratio'] for row in rows) > 0.9


def test_objects_of_no_bytes_alone(plan, write):
    rows, _ = plan(write([(second, '', f'o{second % 9}', 0) for second in range(300)]), '--cache-size', '100%')
    assert {row['byte_hit_ratio'] for row in rows} == {0}
    # each is a page on disk
    assert {(row['cache_bytes'], row['object_hit_ratio']) for row in rows} == {(38840, 0.97)}


def test_a_clock_that_runs_backwards(plan, write):
    _, told = plan(write([*LOOP[100:], *LOOP[:100]]))
    assert 'the clock runs backwards once, by 299 s at most' in in_one_line(told)
    [(forwards, _), (backwards, _)] = [plan(write(reads), '--eviction', 'gdsf') for reads in (LOOP, LOOP[::-1])]
    assert forwards == backwards


def test_all_at_the_same_moment(plan, write):
    rows, _ = plan(write([(0, '', name, size) for _, _, name, size in LOOP]), '--passes', '2')
    assert len(rows) == 64


def test_one_read_alone(plan, write):
    rows, told = plan(write(LOOP[:1]))
    assert {row['object_hit_ratio'] for row in rows} == {0} and 'recommended: no cache' in told


def test_names_that_never_repeat_want_no_cache(plan, write):
    reads = [(second, f'c{second % 5}', f'o{second * 7919 % 10007}', 100) for second in range(3000)]
    rows, told = plan(write(reads), '--cache-size', '10%')
    assert {row['object_hit_ratio'] for row in rows} == {0}
    assert 'recommended: no cache\nbecause the best of these settings answers 0.0 % of the reads' in told


AWKWARD = {
    'line ends of Windows': lambda text: text.replace('\n', '\r\n'),
    'a byte order mark': lambda text: '\ufeff' + text,
    'blank lines': lambda text: f'\n{text}\n\r\n  \n',
    'no line end': lambda text: text[:-1],
    'quotes': lambda text: sub(r'([^,\n]+)', r'"\1"', text),
    'fractions': lambda text: text.replace('000,', '000.0,').replace('0.0,', '0.000,', 3),
    'offsets from 1970 on': lambda text: sub(r'^\d+', lambda at: str(1_700_000_000_000 + int(at[0])), text,
                                             flags=MULTILINE),
    'later columns': lambda text: ''.join(f'{line},{"x" * number}\n' for number, line in
                                          enumerate(text.splitlines())),
    'the last first': lambda text: '\n'.join([(lines := text.splitlines())[0], *lines[:0:-1]])}


@pytest.mark.parametrize('change', AWKWARD.values(), ids=AWKWARD.keys())
def test_awkward_traces_are_read_as_they_are_meant(plan, write, tmp_path, change):
    options = '--passes', '2', '--cache-size', '50%', '--cache-size', '10%', '--eviction', 'gdsf'
    expected, _ = plan(write(LOOP), *options)
    (tmp_path / 't.csv').write_bytes(change((tmp_path / 't.csv').read_text()).encode())
    rows, _ = plan(str(tmp_path / 't.csv'), *options)
    assert len(rows) == 8 and rows == expected


def test_a_client_that_reads_one_pair_forever(plan, write):
    reads = [(second, '', 'ab'[second % 2], 100) for second in range(1000)]
    rows, told = plan(write(reads), '--cache-size', '100%')
    assert all(row['object_hit_ratio'] > 0.99 for row in rows)
    assert {row['wasted_bytes_ratio'] for row in rows} == {0}
    assert ' learner = off' in told
