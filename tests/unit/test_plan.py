"""`swiftahead plan`, from files to what it prints."""
import json

import pytest
from cachetools import LRUCache

from swiftahead.cli import main

KEYS = ['trace', 'cache_bytes', 'eviction', 'prefetch', 'pass', 'requests', 'object_hit_ratio', 'byte_hit_ratio',
        'precision', 'wasted_bytes_ratio', 'late']
# ten objects in a row, a second apart, again and again: no eviction keeps them all in half of their bytes
LOOP = [(second, '', f'o{second % 10}', 100) for second in range(300)]


@pytest.fixture
def write(tmp_path):
    def write(reads, name='t.csv'):
        path = tmp_path / name
        path.write_text('offset_ms,client,object,bytes\n' + ''.join(
            f'{at * 1000},{client},{name},{size}\n' for at, client, name, size in reads))
        return str(path)
    return write


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
        (500, 'gdsf'), (500, 'lru'), (1024, 'gdsf'), (1024, 'lru')]


def test_without_prefetching_nothing_is_late_or_wasted(plan, write):
    rows, _ = plan(write(LOOP))
    assert {(row['precision'], row['wasted_bytes_ratio'], row['late'])
            for row in rows if not row['prefetch']} == {(None, 0, 0)}


def test_several_traces_are_told_apart(plan, write):
    names = write(LOOP, 'a.csv'), write(LOOP[:50], 'b.csv')
    rows, _ = plan(*names, '--cache-size', '50%', '--eviction', 'lru')
    assert [(row['trace'], row['requests']) for row in rows] == [
        (names[0], 300), (names[0], 300), (names[1], 50), (names[1], 50)]


def test_the_recommendation_and_progress_go_to_standard_error(plan, write):
    _, told = plan(write(LOOP))
    assert 'recommended: cache_size = ' in told and 'cache 1 of 4' in told


# figures

def lru(reads, size):
    cache, hits = LRUCache(size, getsizeof=lambda length: length), 0
    for _, _, name, length in reads:
        hits += cache.get(name) is not None
        if length <= size:
            cache[name] = length
    return hits / len(reads)


def mixed(count):
    return [(second, f'c{second % 3}', f'o{(second * second + second // 7) % 61}', 50 + second * second % 61)
            for second in range(count)]


@pytest.mark.parametrize('size', [100, 1000, 3000])
def test_lru_is_what_it_is(plan, write, size):
    reads = [(at, client, name, 10 + 7 * int(name[1:])) for at, client, name, _ in mixed(1000)]
    [row, _], _ = plan(write(reads), '--cache-size', str(size), '--eviction', 'lru')
    assert row['object_hit_ratio'] == pytest.approx(lru(reads, size))


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


# the table

def run(capsys, *arguments):
    assert main(['plan', *arguments]) == 0
    return capsys.readouterr().out


def test_the_table_shows_the_bound_beside_what_was_reached(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '500', '--eviction', 'lru')
    lines = [line.split() for line in said.splitlines()]
    assert ['500', 'B', '50.0', '%', '1', 'bound', 'off'] in [line[:7] for line in lines]
    assert ['500', 'B', '50.0', '%', '1', 'lru', 'off', '0.0', '%'] in [line[:9] for line in lines]


def test_one_setting_is_recommended_with_the_reason(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '50%', '--eviction', 'lru')
    assert said.count('recommended: ') == 1
    assert ', learn = on\n  because ' in said


def test_admission_is_recommended_where_most_is_read_once(capsys, write):
    # twenty that are read every minute, and two between any two of them that nobody reads again
    reads = [(second, '', f'o{second // 3 % 20}' if second % 3 == 0 else f'once{second}', 100)
             for second in range(1200)]
    said = run(capsys, write(reads), '--cache-size', '4%', '--eviction', 'lru')
    assert 'eviction = lru, admit = second_hit, ' in said and 'read a second time alone gains another' in said


def test_where_all_fits_the_simplest_is_recommended(capsys, write):
    assert ', learn = off\n' in run(capsys, write(LOOP), '--cache-size', '100%')


def test_what_is_not_worth_its_bytes_is_not_recommended(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '100%', '--cache-size', '1GiB', '--eviction', 'lru')
    # ten entries of two pages, of which the water marks keep 92.5 % on average
    assert 'recommended: cache_size = 86.49 KiB, eviction = lru, admit = all, learn = off\n' in said
    assert '1.07e+06 times the cache would gain 0.0 points' in said


def test_broken_lines_are_shown_with_the_result(capsys, write):
    path = write([*LOOP, (301, '', 'x', 'rubbish')])
    assert '1 of 301 lines could not be read and are left out, the first is line 302' in run(capsys, path)


# samples

def loops(clients):
    """Each client reads ten objects of its own again and again."""
    return [(second, f'c{second % clients}', f'c{second % clients}-{second // clients % 10}', 100)
            for second in range(100 * clients)]


def test_a_long_log_is_learned_from_in_part_and_the_error_told(plan, write):
    options = write(loops(40)), '--cache-size', '50%', '--eviction', 'lru'
    exact, _ = plan(*options)
    rows, told = plan(*options, '--sample', '2000')
    assert 'learned from 2,000 of 4,000 reads; the hit ratios with prefetching are estimates, off by ' in told
    assert exact[0] == rows[0] and exact[1] != rows[1]
    assert exact[1]['object_hit_ratio'] > 0.5 and rows[1]['requests'] == 4000
    assert rows[1]['object_hit_ratio'] == pytest.approx(exact[1]['object_hit_ratio'], abs=0.1)


def test_a_short_log_is_not_sampled(plan, write):
    assert 'learned from' not in plan(write(LOOP))[1]


# pictures

@pytest.mark.parametrize('suffix, begin', [('png', b'\x89PNG'), ('svg', b'<?xml'), ('SVG', b'<?xml')])
def test_a_picture(plan, write, tmp_path, suffix, begin):
    picture = tmp_path / f'curves.{suffix}'
    plan(write(LOOP), '--passes', '2', '--eviction', 'lru', '--plot', str(picture))
    assert picture.read_bytes().startswith(begin)


def test_the_picture_has_all_curves(plan, write, tmp_path):
    plan(write(LOOP), '--eviction', 'lru', '--plot', f'{tmp_path}/curves.svg')
    drawn = (tmp_path / 'curves.svg').read_text()
    assert all(f'<!-- {label} -->' in drawn for label in ('lru', 'lru, prefetching', 'bound without prefetching'))


@pytest.mark.parametrize('name, rule', [
    ('x.gif', 'the name must end in .png or .svg'), ('no/x.png', 'no such folder')])
def test_a_picture_that_cannot_be_drawn_is_said_before_the_work(capsys, write, tmp_path, name, rule):
    said = refused(capsys, write(LOOP), '--plot', f'{tmp_path}/{name}')
    assert rule in said and said.count('\n') == 1


def test_a_picture_that_cannot_be_written(capsys, write, tmp_path):
    (tmp_path / 'x.png').mkdir()
    assert main(['plan', write(LOOP), '--eviction', 'lru', '--plot', f'{tmp_path}/x.png']) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith('x.png: Is a directory')


def test_without_matplotlib_it_is_said_how_to_get_it(capsys, write, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'matplotlib', None)
    assert "pip install 'swiftahead[plan]'" in refused(capsys, write(LOOP), '--plot', 'x.png')


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
    rows, _ = plan(write([(second, '', f'o{second % 9}', 0) for second in range(300)]))
    assert {(row['cache_bytes'], row['byte_hit_ratio']) for row in rows} == {(0, 0)}


def test_a_clock_that_runs_backwards(plan, write):
    _, told = plan(write([*LOOP[100:], *LOOP[:100]]))
    assert 'the clock runs backwards 1 times, by 299 s at most' in told
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
    assert 'recommended: no cache\n  because the best of these settings answers 0.0 % of the reads' in told


def test_a_client_that_reads_one_pair_forever(plan, write):
    reads = [(second, '', 'ab'[second % 2], 100) for second in range(1000)]
    rows, told = plan(write(reads), '--cache-size', '100%')
    assert all(row['object_hit_ratio'] > 0.99 for row in rows)
    assert ', learn = off' in told
