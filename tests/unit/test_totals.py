"""Adding up: real processes, forks, kills at every point, other versions, and what is no file of counts."""
import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest
from helpers.common.counting import (  # noqa: F401 - fixtures
    Killer,
    counts_folder,
    files,
    in_child,
    limited,
    make_counters,
    own_counters,
    told,
)

from swiftahead.metrics import Counters, totals
from swiftahead.metrics.counters import encode
from swiftahead.metrics.table import COUNTERS, Metric
from swiftahead.metrics.totals import NEW_SECONDS, fold, read_all

BEGIN = '''
import os, sys
from pathlib import Path
from swiftahead.metrics import Counters
counters = Counters(Path(sys.argv[1]))
'''
NOW = 1_800_000_000.0
OLDER = (Metric('hits', 'counter', 'as ever'), Metric('gone', 'counter', 'of an older version'))


@pytest.fixture
def processes(folder):
    """Starts a process that counts; each is killed at the end."""
    begun = []

    def start(code):
        begun.append(subprocess.Popen([sys.executable, '-c', BEGIN + textwrap.dedent(code), str(folder)],
                                      text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE))
        return begun[-1]
    yield start
    for process in begun:
        process.kill()
        process.communicate()


# several processes

def test_the_living_are_added_up(make, folder):
    for counters in (make(), make()):
        counters.count('hits', 2)
        counters.flush()
    assert fold(folder) == 0
    assert told(folder) == {'hits': 4}


def test_a_fork_begins_at_zero_with_a_file_of_its_own(counters, folder):
    counters.count('hits', 10)
    counters.flush()
    counters.count('hits')

    def work():
        counters.count('misses', 7)
        return not (counters.flush() and counters.values[counters.slot('hits')] == 0)
    assert in_child(work) == 0
    counters.flush()
    assert told(folder) == {'hits': 11, 'misses': 7}
    assert fold(folder) == 1
    assert told(folder) == {'hits': 11, 'misses': 7}


def test_what_is_killed_is_dead_and_its_counts_are_kept(processes, folder):
    process = processes('counters.count("hits", 3); counters.flush(); print("done", flush=True); input()')
    assert process.stdout.readline() == 'done\n'
    assert fold(folder) == 0
    process.kill()
    process.wait()
    assert told(folder) == {'hits': 3}
    assert fold(folder) == 1
    assert told(folder) == {'hits': 3}


def test_a_hundred_generations_leave_one_file(folder):
    for number in range(100):
        def work():
            counters = Counters(folder)
            counters.count('hits')
            counters.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        assert in_child(work) == -signal.SIGKILL
        if number % 7 == 0:
            fold(folder)
    fold(folder)
    assert (told(folder), files(folder)) == ({'hits': 100}, [])
    assert len(list(folder.iterdir())) == 2


def test_what_is_read_never_goes_back_while_processes_die_and_are_folded(processes, folder):
    """Each process counts 50, one by one, with the flush of each; what is told last is all of it."""
    running = [processes('''
        for _ in range(10):
            pid = os.fork()
            if not pid:
                for _ in range(5):
                    counters.count('hits')
                    counters.flush()
                os._exit(0)
            os.waitpid(pid, 0)
        ''') for _ in range(3)]
    last = 0
    while any(process.poll() is None for process in running):
        found = read_all(folder)['hits']
        assert found >= last
        last = found
        fold(folder)
    assert read_all(folder)['hits'] == 150
    assert fold(folder) >= 0 and read_all(folder)['hits'] == 150


def test_a_file_that_is_folded_while_all_are_read_is_in_the_sum(make, folder, monkeypatch):
    for counters in (make(), make()):
        counters.count('hits')
        counters.close()
    real, folding = totals.decode, [True]

    def decode(data):
        if folding and folding.pop():
            fold(folder)
        return real(data)
    monkeypatch.setattr(totals, 'decode', decode)
    assert told(folder) == {'hits': 2}


def test_a_file_that_is_replaced_while_it_is_looked_at_stays_with_the_living(counters, folder, monkeypatch):
    counters.count('hits')
    counters.flush()
    real = totals.try_lock

    def try_lock(file):
        counters.count('hits')
        counters.flush()
        return real(file)
    monkeypatch.setattr(totals, 'try_lock', try_lock)
    assert fold(folder) == 0
    assert told(folder) == {'hits': 3} and len(files(folder)) == 1


def test_a_process_that_flushes_all_the_time_is_never_taken_for_dead(processes, folder):
    process = processes('''
        for _ in range(2000):
            counters.count('hits')
            counters.flush()
        print('done', flush=True)
        input()
        ''')
    folded = last = 0
    while process.poll() is None and last < 2000:
        folded += fold(folder)
        before, last = last, read_all(folder)['hits']
        assert last >= before and not folded
    assert (folded, last, len(files(folder))) == (0, 2000, 1)


def test_totals_that_never_rest_are_not_waited_for(counters, folder, monkeypatch):
    numbers = iter(range(1000))
    monkeypatch.setattr(totals, '_read_total', lambda folder: totals.Total({'hits': next(numbers)}, set()))
    with pytest.raises(OSError, match='change too fast'):
        read_all(folder)


def test_a_sidecar_killed_anywhere_in_folding_counts_all_once(tmp_path):
    """Killed at the first system call, at the second, and so on until it comes to its end."""
    for number in range(1, 50):
        folder = tmp_path / str(number)
        for earlier in (True, False, False):
            counters = Counters(folder)
            counters.count('hits')
            counters.close()
            if earlier:
                fold(folder)
        ended = in_child(lambda number=number, folder=folder: Killer(number) and fold(folder) and 0)
        assert told(folder) == {'hits': 3}
        fold(folder)
        assert (files(folder), told(folder)) == ([], {'hits': 3})
        if ended == 0:
            break
    assert number > 8 and ended == 0


def test_a_worker_killed_anywhere_in_its_first_and_second_flush_harms_nobody(folder, counters):
    counters.count('misses', 5)
    counters.flush()

    def work():
        own = Counters(folder)
        for _ in range(2):
            own.count('hits')
            own.flush()
    for number in range(1, 20):
        before = told(folder).get('hits', 0)
        ended = in_child(lambda number=number: Killer(number) and work() or 0)
        assert told(folder)['misses'] == 5
        assert told(folder).get('hits', 0) - before in (0, 1, 2)
        if ended == 0:
            break
    assert number > 5 and told(folder)['hits'] - before == 2
    fold(folder, lambda: os.stat(folder).st_mtime + 2 * NEW_SECONDS)
    assert sorted(path.suffix for path in folder.iterdir()) == ['', '.counts', '.json']


def test_two_sidecars_do_not_fold_at_once(counters, folder):
    counters.count('hits')
    counters.close()

    def hold():
        lock = os.open(folder / 'lock', os.O_RDONLY | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock
    lock = hold()
    assert fold(folder) == 0
    os.close(lock)
    assert fold(folder) == 1


# other versions, other files

def test_an_older_version_with_other_names_is_added(make, folder):
    new, old = make(), make(OLDER + COUNTERS[-1:])
    for counters in (new, old):
        counters.count('hits', 2)
        counters.count('gone', 1)
        counters.close()
    fold(folder)
    found = told(folder)
    assert (found['hits'], found['gone'], found['unknown']) == (4, 1, 1)


def foreign(folder, data, age=0.0):
    folder.mkdir(exist_ok=True)
    path = folder / '1-1-x.counts'
    path.write_bytes(data)
    os.utime(path, (NOW - age, NOW - age))
    return path


@pytest.mark.parametrize('data', [b'', b'rubbish' * 1000, encode({'hits': 1})[:-1]])
def test_a_damaged_file_is_skipped_and_removed(counters, folder, data):
    counters.count('hits')
    counters.flush()
    path = foreign(folder, data)
    assert told(folder) == {'hits': 1}
    fold(folder)
    assert not path.exists() and told(folder) == {'hits': 1}


@pytest.mark.parametrize('plant', [
    lambda path: os.mkfifo(path), lambda path: path.mkdir(), lambda path: path.symlink_to('/etc/passwd'),
    lambda path: path.symlink_to(path)], ids=['fifo', 'folder', 'link', 'loop'])
def test_what_is_no_file_holds_nobody_up(counters, folder, plant):
    counters.count('hits')
    counters.flush()
    plant(folder / '1-1-x.counts')
    assert fold(folder) == 0
    assert told(folder) == {'hits': 1}


def test_a_file_that_was_never_finished_is_swept_after_a_while(folder):
    path = foreign(folder, b'').rename(folder / '1-1-x.new')
    fold(folder, lambda: NOW + NEW_SECONDS - 1)
    assert path.exists()
    fold(folder, lambda: NOW + NEW_SECONDS + 1)
    assert not path.exists()


@pytest.mark.parametrize('text', ['', 'rubbish', '[]', '{}', '{"counts": 1, "folded": []}',
                                  '{"counts": {}, "folded": [[]]}', '[' * 100_000])
def test_damaged_totals_are_set_aside(counters, folder, text):
    folder.mkdir()
    (folder / 'total.json').write_text(text)
    counters.count('hits', 2)
    counters.close()
    assert told(folder) == {'hits': 2}
    fold(folder)
    assert told(folder) == {'hits': 2}
    assert (folder / 'total.damaged').read_text() == text


def test_a_total_that_is_no_number_is_left_out(folder):
    folder.mkdir()
    counts = {'hits': 1, 'misses': -1, 'writes': 'x', 'captures': True, 'collapsed': 1.5}
    (folder / 'total.json').write_text(json.dumps({'counts': counts, 'folded': []}))
    assert told(folder) == {'hits': 1}


def test_a_disk_without_room_leaves_the_totals_as_they_are(folder, make):
    counters = make()
    counters.count('hits', 4)
    counters.close()

    def work():
        try:
            fold(folder)
        except OSError as error:
            return 0 if error.errno == errno.EFBIG else 1
        return 2
    assert limited(resource.RLIMIT_FSIZE, 10, work) == 0
    assert told(folder) == {'hits': 4}
    assert fold(folder) == 1 and told(folder) == {'hits': 4}
