"""A part of `make conformance`: upstream's own tests of objects end as they do without the filter."""
import pytest
from conformance.clusters import CLUSTERS
from conformance.main import SOURCES, ConformanceRun
from conformance.upstream import fetch

pytestmark = [pytest.mark.tools, pytest.mark.holds('F17')]

# reads in all their forms, and copies, but for what takes long and reads nothing
TESTS = ['test/functional/tests.py::TestFile', 'test/functional/tests.py::TestFileComparison', '-k',
         'not MetadataNumberLimit and not FileSizeLimit']


@pytest.mark.timeout(900)
def test_upstreams_tests_of_objects_end_as_without_the_filter(tmp_path_factory):
    # a short name, for the sockets in it
    folder = tmp_path_factory.mktemp('c')
    result, = ConformanceRun(fetch(SOURCES), folder, TESTS).compare(CLUSTERS['default'], ['warm'])
    assert result.base.counts['passed'] >= 20
    assert result.faults == []
