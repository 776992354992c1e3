"""What was learned, as bytes, and what is made of bytes that are damaged."""
import multiprocessing
import random

import pytest
from helpers.common.builders import ListLogger

from swiftahead.predict import DamagedSnapshot, Read, SequenceLearner
from swiftahead.sidecar.prefetcher.part import ASIDE, FILE, SnapshotFile


@pytest.fixture
def taught():
    """Two accounts, more contexts than go into one part, and a name that is no ASCII."""
    rng, ahead = random.Random(1), SequenceLearner()
    for number in range(2000):
        key = 'c', f'\u00e4{rng.randrange(900)}'
        ahead.observe(Read(f'a{number % 2}', str(number % 5), key, float(number), 100))
    return teach(ahead)


def teach(ahead):
    for number in range(6):
        for step, name in enumerate('abcd'):
            ahead.observe(Read('a0', 'x', ('c', name), 1e6 + 1000 * number + step, 1000))
    return ahead


def after_a(ahead):
    return [found.key[1] for found in ahead.observe(Read('a0', 'new', ('c', 'a'), 2e6))]


def test_what_was_learned_comes_back(taught):
    again = SequenceLearner()
    contexts = again.restore(b''.join(taught.snapshot()))
    assert contexts == taught.accounts.contexts > 1000
    assert after_a(again) == after_a(taught) == list('bcd')


def test_a_snapshot_of_what_came_back_is_the_same(taught):
    snapshot, again = b''.join(taught.snapshot()), SequenceLearner()
    again.restore(snapshot)
    assert b''.join(again.snapshot()) == snapshot


def test_of_more_than_is_remembered_the_latest_comes_back(taught):
    again = SequenceLearner(max_contexts=20)
    again.restore(b''.join(taught.snapshot()))
    assert again.accounts.contexts <= 20


def test_each_byte_counts(taught):
    snapshot, rng = b''.join(taught.snapshot()), random.Random(2)
    for place in [0, *rng.sample(range(len(snapshot)), 40)]:
        damaged = bytearray(snapshot)
        damaged[place] ^= 1 << rng.randrange(8)
        with pytest.raises(DamagedSnapshot):
            SequenceLearner().restore(bytes(damaged))


def test_what_was_cut_off_is_damaged(taught):
    snapshot = b''.join(taught.snapshot())
    for length in (0, 10, 25, len(snapshot) // 2, len(snapshot) - 1):
        with pytest.raises(DamagedSnapshot):
            SequenceLearner().restore(snapshot[:length])


def learned(folder, ahead):
    logger = ListLogger()
    return SnapshotFile(folder, ahead, logger), logger


def test_the_file_of_one_run_is_read_by_the_next(tmp_path, taught):
    assert learned(tmp_path, taught)[0].write()
    again = SequenceLearner()
    learned(tmp_path, again)[0].read()
    assert after_a(again) == after_a(taught) == list('bcd')
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_where_there_is_no_file_nothing_is_known_and_nothing_said(tmp_path):
    reader, logger = learned(tmp_path, SequenceLearner())
    reader.read()
    assert logger.said == []


def test_a_damaged_file_is_set_aside_and_said_so(tmp_path, taught):
    writer, _ = learned(tmp_path, taught)
    writer.write()
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:-20])
    reader, logger = learned(tmp_path, SequenceLearner())
    reader.read()
    assert [path.name for path in tmp_path.iterdir()] == [ASIDE]
    assert len(logger.said) == 1
    assert writer.write() and (tmp_path / FILE).exists()


def test_a_file_that_cannot_be_written_is_said_so_and_the_one_before_stays(tmp_path, taught):
    writer, logger = learned(tmp_path, taught)
    writer.write()
    before = (tmp_path / FILE).read_bytes()
    (tmp_path / f'{FILE}.tmp').mkdir()
    assert not writer.write()
    assert (tmp_path / FILE).read_bytes() == before and len(logger.said) == 1


@pytest.mark.parametrize('name', [FILE, f'{FILE}.tmp'])
def test_a_link_in_its_place_is_not_followed(tmp_path, taught, name):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.write_bytes(b'theirs')
    (tmp_path / name).symlink_to(elsewhere)
    keeper, logger = learned(tmp_path, taught)
    keeper.read()
    keeper.write()
    assert elsewhere.read_bytes() == b'theirs' and len(logger.said) == (name == FILE)


def test_it_is_written_from_time_to_time(tmp_path):
    now = [0.0]
    writer = SnapshotFile(tmp_path, SequenceLearner(), ListLogger(), lambda: now[0])
    for now[0], there in ((599.0, False), (601.0, True)):
        writer.write_if_due()
        assert (tmp_path / FILE).exists() == there


def write_over_and_over(folder, ahead):
    kept, _ = learned(folder, ahead)
    while True:
        kept.write()


def test_whoever_is_killed_while_writing_leaves_what_was_there_before(taught, tmp_path):
    learned(tmp_path, taught)[0].write()
    whole, rng, interrupted = (tmp_path / FILE).read_bytes(), random.Random(), 0
    for _ in range(12):
        writer = multiprocessing.get_context('fork').Process(target=write_over_and_over, args=(tmp_path, taught))
        writer.start()
        # some are killed before they write, some in the middle, some between two
        writer.join(rng.uniform(0, 0.2))
        writer.kill()
        writer.join()
        assert (tmp_path / FILE).read_bytes() == whole
        interrupted += (tmp_path / f'{FILE}.tmp').exists()
    assert interrupted
