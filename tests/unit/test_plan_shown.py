"""What `swiftahead plan` shows: the table, the recommendation, progress and pictures."""
import os
import random
import sys
from configparser import ConfigParser
from functools import partial
from io import StringIO
from textwrap import dedent

import pytest
from helpers.common.accesslogs import LOOP, Swift, read_one, write_trace
from helpers.common.builders import close_logs

from swiftahead.cache.entry import expected_disk_bytes
from swiftahead.cli import main
from swiftahead.cli import plan as plan_command
from swiftahead.conf import PREFETCHER, SIDECAR, casts
from swiftahead.eviction.admission import ADMISSIONS
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.grid import GridSpec, cells, fetch_seconds, requests
from swiftahead.plan.output import in_units, room_for, written
from swiftahead.plan.replay import ReplaySettings, replay
from swiftahead.plan.traces import read_all
from swiftahead.predict import SequenceLearner

# for the ten objects of LOOP, of two pages each
ROOM = in_units(room_for(10 * 2 * 4096))


@pytest.fixture
def write(tmp_path):
    return partial(write_trace, tmp_path)


def run(capsys, *arguments):
    assert main(['plan', *arguments]) == 0
    return capsys.readouterr().out


def in_one_line(text):
    return ' '.join(text.split())


def refused(capsys, *arguments):
    assert main(['plan', *arguments]) == 2
    said = capsys.readouterr()
    assert not said.out
    return said.err


@pytest.mark.parametrize('count', [4096, 86_318, 1_234_567, 10**9, 5 * 10**12 + 1])
def test_a_cache_with_room_for_all_has_it_and_is_written_as_it_is(count):
    whole = room_for(count)
    assert count <= whole * .95 < count * 1.003
    assert casts.size(written(whole)) == whole and casts.size(written(count)) == count


# the table

def test_the_table_shows_the_bound_beside_what_was_reached(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '50%', '--eviction', 'lru')
    lines = [line.split() for line in said.splitlines()]
    assert ['42.14', 'KiB', '50.0', '%', '1', 'bound', 'off'] in [line[:7] for line in lines]
    assert ['42.14', 'KiB', '50.0', '%', '1', 'lru', 'off', '0.0', '%'] in [line[:9] for line in lines]


def test_one_setting_is_recommended_with_the_reason(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '50%', '--eviction', 'lru')
    assert said.count('recommended: 42.14 KiB, lru, prefetch on; ') == said.count('recommended: ') == 1
    assert '    cache_size = 42.14 KiB\n' in said and '    learner = sequence\n' in said and '\nbecause ' in said


def test_how_much_room_all_objects_take_is_told(capsys, write):
    # ten entries of two pages, within the high water mark
    assert f'1000 B altogether, for which a cache_size of {ROOM} has room' in in_one_line(run(capsys, write(LOOP)))


@pytest.mark.parametrize('share', ['50%', '73.3%', '100%'])
def test_what_is_recommended_is_a_conf_of_the_sidecar(capsys, write, share):
    said = run(capsys, write(LOOP), '--cache-size', share, '--eviction', 'gdsf')
    conf = ConfigParser()
    conf.read_string(dedent(said.partition('sidecar.conf:')[2].partition('because')[0]))
    required = {'cache_dir': '/x', 'queue': 'sqlite:/x/q'}
    assert SIDECAR.read({**conf['sidecar'], **required}).eviction == 'gdsf'
    assert PREFETCHER.read(conf['prefetcher']).learner in ('sequence', 'off')


def replayed(path, conf):
    """Hits of a replay of just what the conf says, in percent."""
    sidecar = SIDECAR.read({**conf['sidecar'], 'cache_dir': '/x', 'queue': 'sqlite:/x/q'})
    learner = SequenceLearner if PREFETCHER.read(conf['prefetcher']).learner != 'off' else None
    reads = read_one(path).reads
    found = replay(requests(reads, 0), ReplaySettings(
        sidecar.cache_size, POLICIES[sidecar.eviction], learner, fetch_seconds, disk_bytes=expected_disk_bytes,
        admission=ADMISSIONS[sidecar.admit], high=sidecar.high_water, low=sidecar.low_water))
    return f'{found.hits / len(reads):.1%} of the reads are hits, with {found.backend_gets / len(reads):.3f}'


@pytest.mark.parametrize('sizes', [('7%',), ('50%',), ('81234',), ('3%', '20%', '40%'), ('1GiB',)])
def test_what_is_told_of_the_recommended_setting_is_what_its_conf_does(capsys, write, sizes):
    chance = random.Random(7)
    numbers = [int(60 * chance.random()**2) if second % 3 else 60 + second % 40 for second in range(1500)]
    path = write([(second, '', f'o{number}', 100 + number * 97 % 9000) for second, number in enumerate(numbers)])
    said = run(capsys, path, *(f'--cache-size={size}' for size in sizes))
    conf = ConfigParser()
    conf.read_string(dedent(said.partition('sidecar.conf:')[2].partition('because')[0]))
    assert f'because {replayed(path, conf)} GETs' in in_one_line(said).replace(' %', '%')


def test_what_is_printed_fits_a_narrow_window(capsys, write, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    reads = [(second, f'c{second % 50}', f'o{second % 1009}', 10**9 + second) for second in range(5000)]
    write([*reads, (0, '', 'x', 'rubbish')])
    said = run(capsys, 't.csv', '--sample', '3000', '--cache-size', '10%')
    assert max(map(len, said.splitlines())) <= 100


def test_admission_is_recommended_where_most_is_read_once(capsys, write):
    # twenty that are read every minute, and two between any two of them that nobody reads again
    reads = [(second, '', f'o{second // 3 % 20}' if second % 3 == 0 else f'once{second}', 100)
             for second in range(1200)]
    said = run(capsys, write(reads), '--cache-size', '4%', '--eviction', 'lru')
    assert 'admit = second_hit\n' in said
    assert '; it has 0.0 % where all misses are kept at their first read' in in_one_line(said)


def test_where_all_fits_the_simplest_is_recommended(capsys, write):
    assert ' learner = off\n' in run(capsys, write(LOOP), '--cache-size', '100%')


def test_what_is_not_worth_its_bytes_is_not_recommended(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '100%', '--cache-size', '1GiB', '--eviction', 'lru')
    assert f'cache_size = {ROOM} eviction = lru admit = all [prefetcher] learner = off ' in in_one_line(said)
    assert '12,440 times the cache has 96.7 % with lru at best, 0.0 points more' in in_one_line(said)


def test_no_more_room_is_recommended_than_all_that_is_read_takes(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '1GiB', '--eviction', 'lru')
    assert f'recommended: {ROOM}, lru, ' in said and f'cache_size = {ROOM} eviction = lru' in in_one_line(said)
    assert 'because 96.7 % of the reads are hits, with 0.033 GETs' in in_one_line(said)


def test_broken_lines_are_shown_with_the_result(capsys, write):
    path = write([*LOOP, (301, '', 'x', 'rubbish')])
    said = in_one_line(run(capsys, path))
    assert '1 of 301 lines could not be read and are left out, the first is line 302' in said


def test_where_too_many_neighbours_are_fetched_in_vain_the_rest_of_prefetching_is_recommended(
        capsys, write, tmp_path):
    # of fifty pairs one after the other, each name among eight that nobody reads
    chance, reads = random.Random(1), []
    for second in range(0, 36_000, 120):
        pair = chance.randrange(50)
        reads += [(second, '', f'a{pair:02}', 100), (second + 10, '', f'z{pair * 37 % 50:02}', 100)]
    listing = tmp_path / 'names'
    listing.write_text(''.join(f'{name}{more}\n' for name in {read[2] for read in reads} for more in '_bcdefghi'))
    listing.write_text(listing.read_text().replace('_', ''))
    said = run(capsys, write(reads), '--cache-size', '20%', '--eviction', 'lru', '--listing', str(listing))
    assert 'learner = sequence\n    neighbours = off\n' in said
    assert '; with neighbours it has ' in in_one_line(said)


def test_neighbours_are_recommended_where_their_names_were_told(capsys, write, tmp_path):
    listing = tmp_path / 'names'
    reads = [(second, '', f'n{second:04}', 100) for second in range(300)]
    listing.write_text(''.join(f'{name}\n' for _, _, name, _ in reads))
    said = run(capsys, write(reads), '--cache-size', '20%', '--eviction', 'lru', '--listing', str(listing))
    assert 'learner = sequence\n    neighbours = on\n' in said


def test_of_neighbours_nothing_is_recommended_where_no_names_were_told(capsys, write):
    said = run(capsys, write(LOOP), '--cache-size', '50%', '--eviction', 'lru')
    assert 'learner = sequence\n    # neighbours were not tried, since no --listing tells their names; ' in said
    assert 'neighbours =' not in said


@pytest.mark.parametrize('size, option, wanted', [
    (5 * 10**9, (), 5 * 2**30), (5 * 10**9, ('--max-object-size', '5000000000'), 5 * 10**9),
    (100, ('--max-object-size', '1 MiB'), 2**20)])
def test_larger_objects_than_are_kept_where_nothing_is_said_come_with_the_limit(
        capsys, write, size, option, wanted):
    reads = [(second, '', f'o{second % 10}', size) for second in range(300)]
    said = run(capsys, write(reads), '--cache-size', '100%', '--eviction', 'lru', *option)
    sidecar = ConfigParser()
    sidecar.read_string(dedent(said.partition('sidecar.conf:')[2].partition('because')[0]))
    assert PREFETCHER.read(sidecar['prefetcher']).max_object_size == wanted


def test_of_objects_that_the_cache_has_no_room_for_the_conf_files_need_not_know(capsys, write):
    reads = [*LOOP, (300, '', 'large', 5 * 10**9), (301, '', 'large', 5 * 10**9)]
    said = run(capsys, write(reads), '--cache-size', '1000', '--eviction', 'lru')
    assert 'max_object_size' not in said.partition('recommended')[2]
    assert '2 reads of 302 are of objects that none of these caches has room for' in in_one_line(said)


def test_what_is_too_large_to_be_kept_is_told(capsys, write):
    said = run(capsys, write(LOOP), '--max-object-size', '99')
    assert '300 reads of 300 are of objects above max_object_size, 99 B, and never hits' in in_one_line(said)
    assert 'recommended: no cache' in said


def test_parts_that_have_nothing_fetched_are_told(capsys, tmp_path):
    swift = Swift({'/v1/AUTH_a/c/o': (b'x' * 1000, {})})
    for number in range(20):
        swift.get('/v1/AUTH_a/c/o', transaction=f'tx{number}', Range='bytes=0-99')
    log = tmp_path / 'log'
    log.write_text(swift.log)
    close_logs()
    said = in_one_line(run(capsys, str(log), '--cache-size', '100%', '--fetch-whole', '50'))
    assert '20 reads of 20 are of parts of objects above fetch_whole, 50 B' in said and 'no cache' in said
    said = in_one_line(run(capsys, str(log), '--cache-size', '100%', '--fetch-whole', '100'))
    assert '[filter:prefetch] fetch_whole = 100 B because 95.0 % of the reads are hits' in said


# progress

class Terminal(StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal(capsys, write, monkeypatch):
    monkeypatch.setattr('sys.stderr', Terminal())
    run(capsys, write(LOOP), '--cache-size', '10%', '--cache-size', '20%')
    assert 'cache 2 of 2: gdsf, prefetching, 0 %' in sys.stderr.getvalue()


def test_progress_is_one_line_of_the_terminal(write, monkeypatch, tmp_path):
    monkeypatch.setenv('COLUMNS', '60')
    (tmp_path / ('long' * 20)).mkdir()
    stream = Terminal()
    read_all([write(LOOP, f'{"long" * 20}/t.csv')], plan_command.Teller(stream))
    list(cells(read_one(write(LOOP)), GridSpec([100], ['lru'], 1, 1000, None), plan_command.Teller(stream)))
    shown = [part.partition('\x1b[K')[2] for part in stream.getvalue().split('\r')]
    assert max(map(len, shown)) == 59 and shown[-1].endswith('cache 1 of 1: lru, prefetching, 0 %')


def test_progress_is_not_written_to_a_file(capsys, write):
    assert main(['plan', '--json', write(LOOP)]) == 0
    assert 'cache 1 of' not in capsys.readouterr().err


# pictures

@pytest.mark.parametrize('suffix, begin', [('png', b'\x89PNG'), ('svg', b'<?xml'), ('SVG', b'<?xml')])
def test_a_picture(capsys, write, tmp_path, suffix, begin):
    picture = tmp_path / f'curves.{suffix}'
    run(capsys, write(LOOP), '--passes', '2', '--eviction', 'lru', '--plot', str(picture))
    assert picture.read_bytes().startswith(begin)


def test_the_picture_has_all_curves(capsys, write, tmp_path):
    run(capsys, write(LOOP), '--eviction', 'lru', '--plot', f'{tmp_path}/curves.svg')
    drawn = (tmp_path / 'curves.svg').read_text()
    assert all(f'<!-- {label} -->' in drawn for label in ('lru', 'lru, prefetching', 'bound without prefetching'))


@pytest.mark.parametrize('name, title', [
    ('caf\udce9.csv', 'caf?.csv'), ('a$^$b.csv', 'a$^$b.csv'), (f'{"n" * 99}.csv', f'{"n" * 57}...')])
def test_a_picture_of_a_trace_with_an_odd_name(capsys, write, tmp_path, name, title):
    said = run(capsys, write(LOOP, name), '--eviction', 'lru', '--plot', f'{tmp_path}/curves.svg')
    assert said.encode() and f'<!-- {title} -->' in (tmp_path / 'curves.svg').read_text()


@pytest.mark.parametrize('name, rule', [
    ('x.gif', 'the name must end in .png or .svg'), ('no/x.png', 'no such folder')])
def test_a_picture_that_cannot_be_drawn_is_said_before_the_work(capsys, write, tmp_path, name, rule):
    said = refused(capsys, write(LOOP), '--plot', f'{tmp_path}/{name}')
    assert rule in said and said.count('\n') == 1


def test_a_picture_that_cannot_be_written(capsys, write, tmp_path):
    (tmp_path / 'x.png').mkdir()
    assert refused(capsys, write(LOOP), '--eviction', 'lru', '--plot', f'{tmp_path}/x.png').endswith(
        'x.png: Is a directory\n')


def test_a_picture_that_becomes_impossible_meanwhile(capsys, write, monkeypatch):
    monkeypatch.setattr(plan_command, 'draw', lambda path, found: os.remove('/none/x.png'))
    assert main(['plan', write(LOOP), '--eviction', 'lru', '--plot', 'x.png']) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith('x.png: No such file or directory')


def test_without_matplotlib_it_is_said_how_to_get_it(capsys, write, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'matplotlib', None)
    assert "pip install 'swiftahead[plan]'" in refused(capsys, write(LOOP), '--plot', 'x.png')
