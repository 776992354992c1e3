"""F1: a kill or a power cut at any step of a fill leaves no entry, or one that is exact.

The steps of a real run are recorded and done again in another folder: each prefix of them, as after
a kill, and each with what was not synced lost, zeroed or torn, as after a power cut.
"""
import os
import shutil
from dataclasses import astuple, replace
from functools import partial
from itertools import combinations
from random import Random

import pytest
from helpers.common.builders import NAME
from helpers.common.faults import PATH, Journal, assert_sound, replay
from helpers.common.trying import tries
from helpers.filter.filtered import Proxy, word
from hypothesis import given
from hypothesis import strategies as st

from swiftahead.cache import Store, Unavailable
from swiftahead.cache.entry import STAMP_OFFSET
from swiftahead.conf.names import KEY_BYTES
from swiftahead.queues import Admit

# the last one is written in one go
BODIES = {'1799999997.00000': Random(1).randbytes(140_000), '1799999998.00000': Random(2).randbytes(150_001),
          '1799999999.00000': Random(3).randbytes(20_000)}
SPOILED = ('lost', 'zeroed', 'torn', 'paged')


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """A folder as the sidecar makes it, and the journal of three versions that pass through it."""
    folder = tmp_path_factory.mktemp('recorded')
    store = Store.create(folder / 'cache')
    with pytest.MonkeyPatch.context() as monkeypatch:
        journal = Journal(store.layout.cache_dir, monkeypatch)
        live(store, Proxy(store.layout.cache_dir, folder / 'queue.db'))
    return store, journal


def live(store, proxy):
    """Three versions: captured, admitted, hit, stamped and touched; the third one is evicted at last."""
    for timestamp, body in BODIES.items():
        proxy.swift.put(PATH, body, timestamp=timestamp)
        proxy.request()
        fill, = proxy.records(Admit)
        linked = store.admit(fill.spool_name)
        # so old that it is validated, stamped and touched
        proxy.runtime.clock = partial(float, fill.at + 3600)
        assert word(proxy.request()) == 'hit; detail=validated'
        # it is not looked up any more: the next version is found by a miss
        proxy.runtime.clock = partial(float, fill.at + 7200)
    assert store.drop(linked.entry_name)
    proxy.close()


class ReplayedFolder:
    """A folder in which the recorded steps are done again."""

    def __init__(self, store, folder):
        self.root = folder
        self._from = store.layout
        entry = store.layout.entry(store.naming.entry(NAME))
        (folder / entry.parent.relative_to(store.layout.cache_dir)).mkdir(parents=True)
        self._entry = folder / entry.relative_to(store.layout.cache_dir)
        self._spool = folder / store.layout.spool.relative_to(store.layout.cache_dir)
        self._spool.mkdir()
        folder.chmod(0o700)
        shutil.copy2(store.layout.key, folder / 'key')

    def check(self, steps):
        replay(steps, self.root)
        assert_sound(Store.open(self.root), BODIES)
        self.clear()

    def clear(self):
        self._entry.unlink(missing_ok=True)


@pytest.fixture
def copy(recorded, tmp_path):
    return ReplayedFolder(recorded[0], tmp_path / 'copy')


@pytest.mark.holds('F1')
def test_the_journal_has_every_kind_of_step(recorded):
    """What is not recorded is not tested: a new kind of step has to be added to the shim."""
    calls = [step.call for step in recorded[1].steps]
    assert set(calls) == {'open', 'ftruncate', 'pwrite', 'rename', 'utime', 'unlink'}
    assert (calls.count('rename'), calls.count('ftruncate'), calls.count('utime')) == (3, 2, 3)


@pytest.mark.holds('F1')
def test_after_a_kill_at_any_step(recorded, copy):
    steps = recorded[1].steps
    for cut in range(len(steps) + 1):
        copy.check(steps[:cut])


@pytest.mark.holds('F1')
@pytest.mark.parametrize('how', SPOILED)
def test_after_a_power_cut_that_spoils_one_or_two_writes(recorded, copy, how):
    journal = recorded[1]
    for cut in range(len(journal.steps) + 1):
        unsynced = journal.unsynced(cut)
        for spoiled in [*combinations(unsynced, 1), *combinations(unsynced[-5:], 2), unsynced]:
            copy.check(spoil(journal.steps[:cut], dict.fromkeys(spoiled, how)))


def spoil(steps, hows):
    after = [step.spoiled(hows[number]) if number in hows else step for number, step in enumerate(steps)]
    return [step for step in after if step is not None]


@pytest.mark.holds('F1')
@tries(150)
@given(data=st.data())
def test_after_a_power_cut_that_spoils_any_writes_in_any_manner(recorded, tmp_path_factory, data):
    store, journal = recorded
    cut = data.draw(st.integers(0, len(journal.steps)))
    hows = data.draw(st.dictionaries(st.sampled_from(journal.unsynced(cut) or [0]), st.sampled_from(SPOILED)))
    hows = {number: how for number, how in hows.items() if journal.steps[number].is_data}
    ReplayedFolder(store, tmp_path_factory.mktemp('cut') / 'copy').check(spoil(journal.steps[:cut], hows))


@pytest.mark.holds('F1')
def test_a_torn_stamp_is_none_or_one_of_both(recorded, copy):
    """Bytes of the old and of the new stamp, cut at each place."""
    steps = recorded[1].steps
    number = next(n for n, step in enumerate(steps) if step.call == 'pwrite' and step.args[1] == STAMP_OFFSET)
    stamp, found = steps[number], []
    for length in range(len(stamp.args[0]) + 1):
        replay([*steps[:number], replace(stamp, args=(stamp.args[0][:length], *stamp.args[1:]))], copy.root)
        with Store.open(copy.root).entry(NAME) as entry:
            found.append(entry.stamp and astuple(entry.stamp))
        copy.clear()
    # half of one and half of the other is none
    assert set(found) == {found[0], None, found[-1]} and None not in (found[0], found[-1])
    assert found == sorted(found, key=[found[0], None, found[-1]].index)


# the folder and its key

@pytest.fixture(scope='module')
def making(tmp_path_factory):
    """The steps of Store.create, the first of which makes the folder itself."""
    folder = tmp_path_factory.mktemp('making')
    with pytest.MonkeyPatch.context() as monkeypatch:
        journal = Journal(folder, monkeypatch)
        Store.create(folder / 'cache')
    return journal


@pytest.mark.holds('F1')
def test_the_key_is_synced_before_it_has_its_name(making):
    # a folder is opened to look at its mode; the last step is the one that reads the key
    calls = [step.call for step in making.steps
             if step.call != 'mkdir' and not (step.call == 'open' and step.args[1] & os.O_DIRECTORY)]
    assert calls == ['open', 'write', 'fsync', 'link', 'unlink', 'open']


@pytest.mark.holds('F1')
def test_a_folder_that_was_half_made_is_none_and_is_made_whole(making, tmp_path):
    last = max(number for number, step in enumerate(making.steps) if step.call == 'mkdir')
    for cut in [0, 1, 2, 3, 4, 100, *range(last + 1, len(making.steps) + 1)]:
        for lost in ('', *(SPOILED if making.unsynced(cut) else ())):
            root = tmp_path / f'{cut}{lost}'
            root.mkdir()
            steps = making.steps[:cut]
            replay(spoil(steps, dict.fromkeys(making.unsynced(cut), lost) if lost else {}), root)
            assert_makes_whole(root / 'cache', linked='link' in {step.call for step in steps})
            shutil.rmtree(root)


def assert_makes_whole(folder, linked):
    if linked:
        key = (folder / 'key').read_bytes()
        assert len(key) == KEY_BYTES and Store.open(folder)
    else:
        with pytest.raises(Unavailable):
            Store.open(folder)
    store = Store.create(folder)
    assert not linked or store.layout.key.read_bytes() == key
    assert store.layout.key.stat().st_size == KEY_BYTES
    assert len(os.listdir(store.layout.objects)) == 256 and os.listdir(store.layout.spool) == []


@pytest.mark.holds('F1')
def test_nothing_of_the_key_is_left_beside_it(tmp_path, monkeypatch):
    """Not even after a key could not be written."""
    def full(*_):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patched:
        patched.setattr(os, 'fsync', full)
        with pytest.raises(Unavailable, match='No space'):
            Store.create(tmp_path / 'cache')
    assert sorted(os.listdir(tmp_path / 'cache')) == ['v1']


@pytest.mark.holds('F1')
def test_a_key_is_never_written_over_by_one_who_makes_another(making, tmp_path):
    """A cut between link and unlink leaves the key under two names: neither is opened for writing again."""
    unlink = max(number for number, step in enumerate(making.steps) if step.call == 'unlink')
    replay(making.steps[:unlink], tmp_path)
    folder = tmp_path / 'cache'
    key = (folder / 'key').read_bytes()
    (folder / 'key').rename(folder / 'kept')
    assert Store.create(folder).layout.key.read_bytes() != key
    assert (folder / 'kept').read_bytes() == key
