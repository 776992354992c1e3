"""The syncer's ledger: what is lost, damaged or does not fit costs work that is done again, and skips no row."""
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from helpers.sync.sites import site_fixture  # noqa: F401 - a fixture
from helpers.sync.steps import Fail, Mend, Pass, Write, is_in_step, play, settle
from helpers.sync.worlds import ours, world_of

from swiftahead.sidecar.syncer import turn
from swiftahead.sidecar.syncer.figures import FILE, FOLDER, LedgerError, SyncFigures, read_figures
from swiftahead.sidecar.syncer.ledger import Failure, Ledger, SyncProgress

WHOSE = 'AUTH_test/c', 'id', '//r/b/AUTH_test/c'
LATE = Failure(2, 5.0, 'answers 503', 'see its log')
KEPT = SyncProgress(10, {6: LATE, 8: LATE}, SyncFigures(rows=10))
# a process that writes until it is killed: each time a greater number, in all that is written
WRITER = """
import sys
from pathlib import Path
from swiftahead.sidecar.syncer.ledger import Failure, SyncFigures, Ledger, SyncProgress
ledger = Ledger(Path(sys.argv[1]))
number = 1
while True:
    ledger.write('AUTH_test/c', 'id', '//r/b/AUTH_test/c', SyncProgress(
        number, {number: Failure(number, 0.0, '', '')}, SyncFigures(rows=number)))
    if number == 1:
        print('writes', flush=True)
    number += 1
"""


@pytest.fixture(name='device')
def make_device(tmp_path):
    device = tmp_path / 'd'
    device.mkdir()
    return device


@pytest.fixture(name='writer')
def start_writer(device):
    process = subprocess.Popen([sys.executable, '-c', WRITER, str(device)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'writes\n'
    yield process
    process.kill()
    process.communicate()


def written(device, progress=KEPT):
    with closing(Ledger(device)) as ledger:
        ledger.write(*WHOSE, progress)


def read(device, point1=10, point2=5, whose=WHOSE):
    with closing(Ledger(device)) as ledger:
        return ledger.progress(*whose, point1, point2)


@pytest.mark.holds('S6')
def test_progress_is_read_as_it_was_written(device):
    assert KEPT.point2 == 5
    written(device)
    assert read(device) == KEPT


def test_the_second_point_is_below_the_first_failed_row():
    assert SyncProgress(10, {3: LATE, 7: LATE}).point2 == 2
    assert SyncProgress(10).point2 == 10


def test_a_lost_ledger_begins_at_the_second_point(device):
    written(device)
    for path in (device / FOLDER).iterdir():
        path.unlink()
    assert read(device) == SyncProgress(5)


@pytest.mark.parametrize('length', [0, 50, 100, 5000])
def test_a_ledger_that_is_cut_off_begins_at_the_second_point(device, length):
    written(device)
    path = device / FOLDER / FILE
    path.write_bytes(path.read_bytes()[:length])
    assert read(device) == SyncProgress(5)


def test_a_damaged_ledger_is_set_aside(device):
    written(device)
    (device / FOLDER / FILE).write_bytes(b'no database at all' * 1000)
    assert read(device) == SyncProgress(5)
    assert (device / FOLDER / f'{FILE}.damaged').read_bytes().startswith(b'no database')


@pytest.mark.parametrize('page', [1, 2, 3, 4])
def test_a_ledger_with_a_page_of_noise_is_not_believed(device, page):
    written(device)
    path = device / FOLDER / FILE
    content = bytearray(path.read_bytes())
    content[4096 * page:4096 * (page + 1)] = b'\xaa' * 4096
    path.write_bytes(content)
    try:
        assert read(device).point2 <= 5
    except LedgerError as error:
        assert 'removed' in str(error) and '\n' not in str(error)


@pytest.mark.parametrize('whose', [
    ('AUTH_test/c', 'another copy', WHOSE[2]), ('AUTH_test/c', 'id', '//r/c/AUTH_test/c'),
    ('AUTH_test/d', *WHOSE[1:])])
def test_another_database_or_destination_begins_at_the_second_point(device, whose):
    written(device)
    found = read(device, whose=whose)
    assert (found.seen, found.failed) == (5, {})


@pytest.mark.parametrize('point1, point2', [(-1, -1), (10, 4), (9, 5)])
def test_points_that_were_set_back_are_believed(device, point1, point2):
    written(device)
    found = read(device, point1, point2)
    assert (found.seen, found.failed) == (point2, {})


def test_a_ledger_older_than_the_points_keeps_what_is_above_them(device):
    written(device)
    assert read(device, 20, 7) == SyncProgress(10, {8: LATE}, KEPT.figures)
    assert read(device, 20, 12).seen == 12


def test_points_set_back_to_the_same_destination_send_all_again(device):
    """The first row fails, and the second point never left its first place."""
    written(device, SyncProgress(10, {0: LATE}))
    assert read(device, 10, -1).seen == 10
    assert read(device, -1, -1).seen == -1


def test_a_ledger_that_another_process_has_is_refused_in_one_line(device, writer):
    with pytest.raises(LedgerError, match=f'^another syncer works on {device}: stop it first$'):
        Ledger(device)


@pytest.mark.parametrize('kept', [set(), {'AUTH_test/c'}])
def test_a_container_that_is_no_longer_synced_is_forgotten(device, kept):
    with closing(Ledger(device)) as ledger:
        ledger.write(*WHOSE, KEPT)
        ledger.keep_only(kept, 1.0)
        assert ledger.progress(*WHOSE, 10, 5).seen == (10 if kept else 5)


def test_a_reader_sees_whole_numbers_that_only_grow(device, writer):
    found = [next(read_figures(device.parent)).rows]
    while len(found) < 50 or found[-1] < found[0] + 20:
        found.append(next(read_figures(device.parent)).rows)
    assert found == sorted(found) and found[0] >= 1


def test_a_writer_that_is_killed_leaves_one_of_its_states(device, writer):
    for _ in range(3):
        next(read_figures(device.parent))
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    number = next(read_figures(device.parent)).rows
    assert read(device, number, number - 1) == SyncProgress(
        number, {number: Failure(number, 0.0, '', '')}, SyncFigures(rows=number))


def test_a_reader_does_not_make_a_ledger(device):
    assert list(read_figures(device.parent)) == []
    assert list(device.iterdir()) == []


def test_a_reader_of_a_damaged_ledger_says_where_it_is(device):
    written(device)
    path = device / FOLDER / FILE
    path.write_bytes(b'no database at all' * 1000)
    with pytest.raises(LedgerError, match=str(path)):
        list(read_figures(device.parent))


@pytest.mark.holds('S6')
def test_more_failures_than_are_remembered_hold_up_nothing_new(site, monkeypatch):
    monkeypatch.setattr(turn, 'MOST_FAILURES', 3)
    world = world_of(site)
    failing = [f'f{number}' for number in range(8)]
    for step in [each for name in failing for each in (Write('put', name), Fail(name, 'WRITE'))]:
        play(world, step, ours)
    for _ in range(3):
        play(world, Pass(0), ours)
    for step in (Write('put', 'new'), Pass(0)):
        play(world, step, ours)
    assert list(world.remote.seen) == ['new']
    play(world, Mend(), ours)
    settle(world, ours, 4)
    assert is_in_step(world) and not world.wrong
    world.close()
