"""What the table of prediction is made of; the figures themselves are no test's."""
from collections import Counter
from pathlib import Path

import pytest
from bench import prediction, worlds
from bench.common import BenchError
from bench.prediction import Experiment, Wanted

from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.replay import Counts

pytestmark = pytest.mark.tools

READS = [LogRead(float(number), '0', '', '', f'o{number % 300}', 1000) for number in range(600)]


def test_each_client_reads_all_of_the_sequence_and_the_clock_never_runs_backwards():
    made = worlds.interleaved(READS, 4)
    assert sorted(one.at for one in made) == [one.at for one in made]
    for client in '0123':
        assert Counter(one.object for one in made if one.client == client) == Counter(one.object for one in READS)


def test_a_disturbed_sequence_is_the_same_each_time_and_another_than_it_was():
    made = worlds.disturbed(READS, 0.1)
    assert made == worlds.disturbed(READS, 0.1) != worlds.disturbed(READS, 0.1, seed=8)
    assert 500 < len(made) < 700 and [one.object for one in made] != [one.object for one in READS]


def test_without_a_share_nothing_is_disturbed():
    assert [one.object for one in worlds.disturbed(READS, 0.0)] == [one.object for one in READS]


def test_half_of_a_listing_is_never_read():
    made = worlds.listing(READS)
    read = {one[2:5] for one in READS}
    assert len(made) == 2 * len(read) and read < made.keys()


def test_the_last_pass_counts():
    """A sequence that fits is all hits then."""
    line = Experiment('all', [READS, READS], 'lru', Wanted(1.0), percent=100)
    counts = line.counts()
    assert (counts.requests, counts.hits) == (600, 600)


@pytest.mark.parametrize('wanted, said', [(0.5, '>= 0.5: met'), (0.51, '>= 0.51: MISSED'), (None, '')])
def test_a_line_says_how_it_stands_to_what_is_wanted(wanted, said):
    counts = Counts(requests=2, hits=1, bytes=20, hit_bytes=5, prefetched=4, used=3)
    row = prediction.row(Experiment('x', [], 'lru', Wanted(wanted)), counts)
    assert row[2:8] == ('0.500', said, '0.250', '', '0.750', '')


def test_a_trace_that_is_none_is_said(tmp_path: Path):
    none = tmp_path / 'none.csv'
    none.write_text('nothing\n')
    with pytest.raises(BenchError, match='none.csv'):
        prediction.main(['--sequence', str(none), '--crowd', str(none)])


def test_a_decision_and_what_is_held_are_measured_with_neighbours_and_without():
    found = list(prediction.costs('some', [READS, READS], rounds=2))
    assert [row[:2] for row in found] == [('some', 'off'), ('some', 'on')]
    assert all(10 < row[4] < 10_000 for row in found)
