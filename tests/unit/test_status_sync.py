"""The status app of a node with a syncer: what the ledgers tell, and when that is a problem."""
import time

import pytest
from helpers.sync.ledgers import syncer_conf, write

from swiftahead.metrics.table import METRICS, SYNC_STATES
from swiftahead.sidecar.settings import read_settings
from swiftahead.sidecar.status.formats import exposition, page
from swiftahead.sidecar.status.snapshot import gather
from swiftahead.sidecar.syncer.figures import STATES, SyncFigures

NOW = 1_800_000_000.0


@pytest.fixture
def settings(tmp_path):
    return read_settings(str(syncer_conf(tmp_path, 'interval = 300')))


def figures(name, **more):
    return SyncFigures(at=NOW, account='AUTH_secret', container=name, sync_to='//r/c/AUTH_secret/c', **more)


def gathered(settings, at=NOW):
    return gather(settings, lambda: at)


FAILING = {'why': 'answered 401', 'failed_rows': 2, 'behind': 5, 'lag': 50.0}
SKIPPED = {'is_synced': False, 'why': 'it has object versioning'}


def test_the_figures_of_all_devices_are_put_together(settings, tmp_path):
    write(tmp_path, figures('a', puts=3, bytes=30, lag=10.0, behind=4), figures('b', deletes=1), at=NOW)
    write(tmp_path, figures('c', puts=1, bytes=5, posts=2, failures=7, behind=1), device='sdb', at=NOW)
    found = gathered(settings, NOW + 5)
    assert [found.counters[f'sync_{name}'] for name in ('puts', 'posts', 'deletes', 'bytes', 'failures')] == [
        4, 2, 1, 35, 7]
    assert (found.gauges['sync_lag_seconds'], found.gauges['sync_rows_behind']) == (15.0, 5)
    assert (found.gauges['report_age.syncer'], found.is_healthy) == (5.0, True)


def test_containers_are_counted_by_their_states_each_once(settings, tmp_path):
    write(tmp_path, figures('a'), figures('b', **FAILING), figures('c', **SKIPPED), figures('d', behind=1))
    write(tmp_path, figures('a', behind=3), figures('b'), device='sdb')
    found = gathered(settings).gauges
    assert {state: found[f'sync_containers.{state}'] for state in STATES} == {
        'failing': 1, 'not-synced': 1, 'behind': 2, 'in-step': 0}


def test_all_that_is_told_is_in_the_table(settings, tmp_path):
    write(tmp_path, figures('a'), at=NOW)
    found = gathered(settings)
    assert {*found.counters, *found.gauges} <= {slot for metric in METRICS for slot in metric.slots}
    assert SYNC_STATES == STATES


def test_a_container_that_fails_is_a_problem(settings, tmp_path):
    write(tmp_path, figures('a', **FAILING), figures('b', **FAILING))
    found = gathered(settings)
    assert found.problems == ['2 containers are failing: see swiftahead sync status']
    assert found.gauges['healthy'] == 0 and found.gauges['sync_failed_rows'] == 4


def test_a_container_that_is_not_synced_is_told_and_no_fault_of_the_node(settings, tmp_path):
    write(tmp_path, figures('a', **SKIPPED))
    found = gathered(settings)
    assert found.is_healthy and found.notes == ['1 container is not synced: see swiftahead sync status']
    assert 'All is well.' in page(found) and found.notes[0] in page(found)


def test_a_syncer_that_does_nothing_is_a_problem(settings, tmp_path):
    write(tmp_path, figures('a'), at=NOW)
    assert gathered(settings, NOW + 3800).problems == []
    assert gathered(settings, NOW + 4000).problems == ['the syncer has done nothing for 4000 s']


def test_a_node_that_syncs_nothing_yet_is_well(settings):
    found = gathered(settings, time.time())
    assert found.is_healthy and 'report_age.syncer' not in found.gauges
    assert found.counters['sync_puts'] == 0


def test_a_ledger_that_cannot_be_read_hides_no_other(settings, tmp_path):
    write(tmp_path, figures('a', puts=3), device='sdb', at=NOW)
    broken = tmp_path / 'node' / 'sda' / 'swiftahead_sync' / 'ledger'
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b'rubbish' * 1000)
    found = gathered(settings)
    assert found.problems == [f'syncer: {broken}: file is not a database']
    assert found.counters['sync_puts'] == 3


def test_devices_that_are_gone_are_a_problem(settings, tmp_path):
    (tmp_path / 'node').rmdir()
    assert gathered(settings).problems == [f'syncer: {tmp_path}/node: No such file or directory']


def test_no_name_of_a_container_is_told(settings, tmp_path):
    write(tmp_path, figures('hush', **FAILING), figures('hush2', **SKIPPED))
    found = gathered(settings)
    text = page(found) + exposition(found)[0].decode() + str(found.as_json())
    assert 'sync_containers{state="failing"} 1.0' in text and 'hush' not in text and 'secret' not in text
