"""Each fault and attack that the project survives has tests that hold it, and doc/promises.rst names them."""
import re
from pathlib import Path

import promises
import pytest
import sync_points

ROOT = Path(__file__).parents[2]
POINTS = re.findall(r'^(F\d+) ', (ROOT / 'doc' / 'faults.rst').read_text(), re.MULTILINE)


def test_the_page_of_faults_has_points():
    assert len(POINTS) >= 13


@pytest.mark.parametrize('point', POINTS)
def test_a_point_has_its_tests(point):
    assert promises.held()[point]


def test_no_test_holds_a_point_that_no_page_has():
    assert promises.marked_tests().keys() <= {
        *promises.ATTACKS, *promises.FAULTS, *sync_points.POINTS}


def test_the_page_of_promises_is_of_today():
    """Else run `make promises`."""
    assert promises.PAGE.read_text() == promises.page()


def test_each_mutant_of_the_protocol_has_to_be_found():
    text = (ROOT / 'tests/helpers/freshness/mutants.py').read_text()
    made = re.findall(r'^def ([a-z]\w+)\(patch\)', text, re.MULTILINE)
    assert len(made) > 12 and set(made) <= promises.mutants().keys()


def test_each_point_of_container_sync_has_a_number():
    assert list(sync_points.POINTS) == [f'S{number}' for number in range(1, 21)]


def test_a_point_of_container_sync_without_a_test_is_told(capsys, monkeypatch):
    monkeypatch.setattr(sync_points, 'tests', lambda: {'S10': [('unit/test_row.py', 'test_a')]})
    sync_points.main()
    said = capsys.readouterr().out
    assert 'S10  A DELETE' in said and '     unit/test_row.py::test_a\n' in said
    assert 'S9 has no test' in said and 'S10 has no test' not in said
