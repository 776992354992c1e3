"""Each fault that the project says it survives has tests that carry its number."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POINTS = re.findall(r'^(F\d+) ', (ROOT / 'doc' / 'faults.rst').read_text(), re.MULTILINE)
NAMES = re.compile(r'^(?:def )?test_(f\d+)_', re.MULTILINE)


def points_with_tests():
    texts = (path.read_text() for path in (ROOT / 'tests').glob('*/test_*.py'))
    return {name.upper() for text in texts for name in NAMES.findall(text)}


def test_the_page_of_faults_has_points():
    assert len(POINTS) >= 13


@pytest.mark.parametrize('point', POINTS)
def test_a_point_has_its_tests(point):
    assert point in points_with_tests()


def test_no_test_has_a_number_that_the_page_lacks():
    assert points_with_tests() <= set(POINTS)
