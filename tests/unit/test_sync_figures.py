"""Figures of synced containers: what the syncer's ledgers tell those who read them."""
import pytest

from swiftahead.sidecar.syncer.figures import LedgerError, SyncFigures, find_ledgers, read_figures, read_ledger
from swiftahead.sidecar.syncer.ledger import Ledger, SyncProgress

PATH = 'AUTH_test/c'


@pytest.fixture
def device(tmp_path):
    folder = tmp_path / 'sda'
    folder.mkdir()
    return folder


@pytest.fixture
def ledger(device):
    ledger = Ledger(device)
    yield ledger
    ledger.close()


def write(ledger, path=PATH, **more):
    figures = SyncFigures(account='AUTH_test', container=path.partition('/')[2], **more)
    ledger.write(path, 'id', '//realm/there/AUTH_test/c', SyncProgress(5, figures=figures))


def read(device):
    return read_ledger(device / 'swiftahead_sync' / 'ledger')


def test_what_is_written_is_read_while_it_is_open(ledger, tmp_path):
    write(ledger, puts=3, lag=1.5)
    assert list(read_figures(tmp_path)) == [SyncFigures(account='AUTH_test', container='c', puts=3, lag=1.5)]


def test_a_ledger_that_was_closed_is_read_too(device, tmp_path):
    ledger = Ledger(device)
    write(ledger, puts=3)
    ledger.close()
    assert [one.puts for one in read_figures(tmp_path)] == [3]


def test_devices_without_a_ledger_have_no_figures(device, tmp_path):
    (tmp_path / 'a-file').touch()
    assert list(read_figures(tmp_path)) == []


def test_a_reader_makes_no_ledger(device):
    with pytest.raises(LedgerError, match='unable to open'):
        read(device)
    assert not list(device.iterdir())


def test_devices_that_are_not_there_are_told(tmp_path):
    with pytest.raises(LedgerError, match='missing: No such file'):
        find_ledgers(tmp_path / 'missing')


@pytest.mark.parametrize('rubbish', [b'rubbish ' * 1000, b'SQLite format 3\0' + b'\xff' * 5000])
def test_a_ledger_that_is_none_is_told(device, rubbish):
    path = device / 'swiftahead_sync' / 'ledger'
    path.parent.mkdir()
    path.write_bytes(rubbish)
    with pytest.raises(LedgerError, match=str(path)):
        read(device)


def test_counts_of_forgotten_containers_stay_in_the_sums(ledger, device):
    write(ledger, puts=3, bytes=10)
    write(ledger, 'AUTH_test/d', puts=4, deletes=1)
    ledger.keep_only({PATH}, 100.0)
    ledger.keep_only({PATH}, 200.0)
    reading = read(device)
    assert [one.container for one in reading.figures] == ['c'] and reading.looked_at == 200.0
    assert (reading.counted['puts'], reading.counted['deletes'], reading.counted['bytes']) == (7, 1, 10)


def test_counts_of_a_container_that_is_no_longer_synced_stay(ledger, device):
    write(ledger, puts=3)
    ledger.tell(PATH, SyncFigures(2.0, 'AUTH_test', 'c', '//r/x/a/c', False, 'no such realm', is_failure=True))
    told, = read(device).figures
    assert (told.state, told.why, told.puts) == ('failing', 'no such realm', 3)


def test_the_last_sign_of_life_is_the_newest_of_passes_and_turns(ledger, device):
    assert read(device).at == 0.0
    write(ledger, at=150.0)
    assert read(device).at == 150.0
    ledger.keep_only({PATH}, 200.0)
    assert read(device).at == 200.0


def test_figures_of_another_version_are_read(ledger, device):
    write(ledger, puts=3)
    ledger._connection.execute("UPDATE containers SET figures = '{\"puts\": 2, \"new\": 1}'")
    ledger._connection.commit()
    assert read(device).figures == [SyncFigures(puts=2)]


@pytest.mark.parametrize('more, state', [
    ({}, 'in-step'), ({'unseen': 5}, 'in-step'), ({'behind': 1}, 'behind'), ({'failed_rows': 1}, 'failing'),
    ({'behind': 1, 'why': 'timeout'}, 'failing'), ({'is_synced': False, 'why': 'versioned'}, 'not-synced'),
    ({'is_synced': False, 'why': 'no realm', 'is_failure': True}, 'failing')])
def test_the_state_of_a_container(more, state):
    assert SyncFigures(**more).state == state


def test_a_lag_grows_while_nothing_is_sent():
    assert SyncFigures(at=100.0, lag=5.0).lag_at(110.0) == 15.0
    assert SyncFigures(at=100.0).lag_at(110.0) == 0.0
