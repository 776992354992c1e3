"""The reads that a plan's speed is measured with; the seconds are no test's."""
from collections import Counter

import pytest
from bench import plan_speed

pytestmark = pytest.mark.tools


def test_clients_walk_along_sequences():
    made = list(plan_speed.reads(30_000))
    assert made == list(plan_speed.reads(30_000)) and len({one.client for one in made}) == plan_speed.CLIENTS
    one = [read.object.split('-') for read in made if read.client == 'c7']
    assert all(int(after[1]) == (int(before[1]) + 1) % plan_speed.LENGTH
               for before, after in zip(one, one[1:], strict=False))
    assert Counter(read.object for read in made if read.object.endswith('-0')).most_common(1)[0][0] == '0-0'


def test_both_are_measured_and_prefetching_from_a_sample(capsys):
    plan_speed.main(['--reads', '4000', '--sample', '2000'])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines if line[:1] in (['off'], ['on'])] == [['off', '4,000'], ['on', '4,000']]
