"""The ledger: what it says is never less than what may be linked, whatever becomes of its file."""
import os

import pytest

from swiftahead.eviction.size_bound import STEPS, SizeBound

SIZE = 100_000
STEP = SIZE // STEPS


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'linked'


@pytest.fixture
def ledger(path):
    return SizeBound(path, SIZE)


def test_without_a_file_the_cache_may_be_full(ledger):
    assert ledger.bound == SIZE


@pytest.mark.parametrize('text', [b'', b'x', b'-5', b'1.5', b'1' * 33, b'\xb2', b'12\n'])
def test_what_cannot_be_understood_counts_as_no_file(path, text):
    path.write_bytes(text)
    assert SizeBound(path, SIZE).bound == SIZE


def test_what_is_there_is_believed(path):
    path.write_text('123')
    assert SizeBound(path, SIZE).bound == 123


def test_the_file_says_at_least_what_was_allowed_and_a_step_at_most(path):
    path.write_text('0')
    ledger = SizeBound(path, SIZE)
    for total in range(1, SIZE, 700):
        ledger.allow(total)
        assert total <= SizeBound(path, SIZE).bound == ledger.bound <= total + STEP


def test_it_is_written_once_for_each_percent(path, monkeypatch):
    path.write_text('0')
    ledger, real, written = SizeBound(path, SIZE), os.replace, []
    monkeypatch.setattr(os, 'replace', lambda *paths: (written.append(paths), real(*paths)))
    for total in range(SIZE + 1):
        ledger.allow(total)
    assert len(written) <= STEPS + 1


def test_what_is_written_is_on_the_disk_before_it_has_its_name(ledger, monkeypatch):
    real, called = {name: getattr(os, name) for name in ('fsync', 'replace')}, []
    for name in real:
        monkeypatch.setattr(os, name, lambda *args, name=name: (called.append(name), real[name](*args)))
    ledger.allow(10)
    assert called == ['fsync', 'replace']


def test_it_ends_at_the_size_unless_more_is_linked(path):
    path.write_text('0')
    ledger = SizeBound(path, SIZE)
    ledger.allow(SIZE - 1)
    assert ledger.bound == SIZE
    ledger.allow(SIZE + 7)
    assert ledger.bound == SIZE + 7


def test_a_file_that_went_away_is_written_anew(path, ledger):
    ledger.allow(10)
    path.unlink()
    ledger.allow(10)
    assert SizeBound(path, SIZE).bound >= 10 and path.exists()


@pytest.mark.parametrize('total, bound', [(SIZE - 2 * STEP, SIZE), (SIZE // 2, SIZE // 2 + STEP), (0, STEP)])
def test_it_is_lowered_where_that_makes_a_difference(path, total, bound):
    ledger = SizeBound(path, SIZE)
    ledger.allow(SIZE)
    ledger.lower(total)
    assert ledger.bound == SizeBound(path, SIZE).bound == bound


def test_what_cannot_be_written_is_an_error_and_leaves_what_was(path):
    path.write_text('10')
    ledger = SizeBound(path, SIZE)
    path.with_suffix('.new').mkdir()
    with pytest.raises(OSError):
        ledger.allow(5000)
    assert ledger.bound == SizeBound(path, SIZE).bound == 10
