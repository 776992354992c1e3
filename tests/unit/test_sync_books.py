"""What passes leave in the ledgers of real containers: figures, and why a container is not in step."""

import pytest
from helpers.sync.memory import CONTAINER
from helpers.sync.sites import site_fixture  # noqa: F401 - a fixture
from helpers.sync.steps import Fail, Mend, Pass, Write, play
from helpers.sync.worlds import ours, world_of
from swift.common.utils import Timestamp
from swift.container.sync_store import ContainerSyncStore

from swiftahead.sidecar.syncer.figures import find_ledgers, read_ledger


@pytest.fixture
def world(site):
    world = world_of(site)
    yield world
    world.close()


def passed(world, *steps):
    """Play the steps, and make a pass; the ledger then."""
    for step in (*steps, Pass(0)):
        play(world, step, ours)
    path, = find_ledgers(world.nodes[0].devices)
    return read_ledger(path)


def figures(world, *steps):
    one, = passed(world, *steps).figures
    return one


def change(world, **metadata):
    """Write metadata of the container, as its server does."""
    broker, at = world.nodes[0].broker, Timestamp(world.now).internal
    broker.update_metadata({key.replace('_', '-'): (value, at) for key, value in metadata.items()})
    ContainerSyncStore(str(world.nodes[0].devices), broker.logger, False).update_sync_store(broker)


@pytest.mark.holds('S8')
def test_what_was_sent_is_counted(world):
    one = figures(world, Write('put', 'a'), Write('put', 'b'), Pass(0), Write('post', 'a'), Write('delete', 'b'))
    assert (one.account, one.container, one.sync_to) == (*CONTAINER, '//r/b/AUTH_test/c')
    assert (one.state, one.puts, one.posts, one.deletes, one.behind) == ('in-step', 2, 1, 1, 0)


@pytest.mark.holds('S17')
def test_a_row_that_fails_is_told_until_it_is_sent(world):
    one = figures(world, Write('put', 'a'), Fail('a', 'WRITE'), Pass(0))
    assert (one.state, one.failed_rows, one.puts) == ('failing', 1, 0) and one.why == 'answers 503'
    one = figures(world, Mend())
    assert (one.state, one.failed_rows, one.puts, one.why, one.lag) == ('in-step', 0, 1, '', 0.0)


@pytest.mark.holds('S7')
def test_a_versioned_container_is_told_and_keeps_its_counts(world):
    passed(world, Write('put', 'a'), Pass(0))
    change(world, X_Container_Sysmeta_Versions_Container='versions')
    one = figures(world)
    assert (one.state, one.puts) == ('not-synced', 1) and 'versioning' in one.why


@pytest.mark.holds('S1')
def test_a_container_of_an_unknown_realm_fails_until_that_is_mended(world):
    passed(world, Write('put', 'a'), Pass(0))
    change(world, X_Container_Sync_To='//nowhere/b/AUTH_test/c')
    one = figures(world)
    assert (one.state, one.sync_to) == ('failing', '//nowhere/b/AUTH_test/c') and 'nowhere' in one.why.lower()
    change(world, X_Container_Sync_To='//r/b/AUTH_test/c')
    one = figures(world)
    assert (one.state, one.why, one.puts) == ('in-step', '', 1)


@pytest.mark.holds('S7')
def test_a_container_that_shall_not_be_synced_any_more_is_forgotten_but_for_its_counts(world):
    passed(world, Write('put', 'a'), Pass(0))
    world.now += 1
    change(world, X_Container_Sync_To='', X_Container_Sync_Key='')
    reading = passed(world)
    assert reading.figures == [] and reading.counted['puts'] == 1


def test_a_pass_without_work_is_a_sign_of_life(world):
    before = passed(world, Write('put', 'a'), Pass(0))
    after = passed(world)
    assert after.looked_at > before.looked_at and after.at == after.looked_at
    assert after.figures == before.figures
