"""What the benchmark of detection computes; nothing is timed here."""
import pytest
from bench import detection
from bench.common import Sample

pytestmark = pytest.mark.tools


@pytest.mark.parametrize('failures, wrong', [
    ({'404': 3}, {}), ({'404': 2}, {'not 404': 1}), ({}, {'not 404': 3}), ({'404': 2, '503': 1}, {'503': 1})])
def test_a_run_counts_whose_answers_are_all_404(failures, wrong):
    assert detection.unlike_404(failures, 3) == wrong


@pytest.mark.parametrize('rate, said', [(96, 'met'), (94, 'MISSED')])
def test_detection_is_compared_with_the_filter_without_it(rate, said):
    values = {'p50': 1.0, 'p99': 2.0, 'cpu_us': 900.0}
    samples = [Sample(case, side, 0, {'rate': {detection.OFF: 100, detection.ON: rate}.get(side, 10), **values})
               for case in detection.CASES for side in (detection.PLAIN, *detection.SIDES)]
    compared = detection.cost_tables(samples)[1]
    assert [row[3] for row in compared.rows] == [f'>= 0.95: {said}', ''] * 2
    assert compared.rows[0][4].median == 0


@pytest.mark.parametrize('slow, said', [(5, 'met'), (6, 'MISSED')])
def test_95_of_a_hundred_must_be_home_in_time(slow, said):
    table = detection.home_table([0.5] * (100 - slow) + [3.0] * slow)
    assert table.rows[0][0] == 100 and table.rows[0][4] == f'<= 2: {said}'
