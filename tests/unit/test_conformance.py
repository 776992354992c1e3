"""What the conformance runs read and compare; the runs themselves are `make conformance`."""
import tarfile
from pathlib import Path

import pytest
from conformance import clusters, main, upstream
from conformance.clusters import CLUSTERS, Share, share_of
from conformance.main import Result
from conformance.outcomes import Difference, Outcomes, differing, examine, group, merged, pytest_id, read_outcomes
from conformance.upstream import ConformanceError, fetch
from conformance.warming import WarmingFilter
from swift.common.swob import Request, Response

pytestmark = pytest.mark.tools

REPORT = """<testsuites><testsuite>
<testcase classname="a.b.C" name="testOne" time="1"/>
<testcase classname="a.b.C" name="testTwo"><failure message="x">y</failure></testcase>
<testcase classname="a.b.C" name="testTwo"><error message="x">y</error></testcase>
<testcase classname="a.b.C" name="testThree"><skipped message="x"/></testcase>
</testsuite></testsuites>"""
PASSED, FAILED = Outcomes({'a::b': 'passed'}), Outcomes({'a::b': 'failed'})


def test_outcomes_are_read_and_the_worse_of_two_counts(tmp_path):
    (tmp_path / 'report.xml').write_text(REPORT)
    found = read_outcomes(tmp_path / 'report.xml')
    assert found.of == {'a.b.C::testOne': 'passed', 'a.b.C::testTwo': 'error', 'a.b.C::testThree': 'skipped'}
    assert str(found) == '1 error, 1 passed, 1 skipped'


def test_what_one_run_lacks_differs():
    assert differing(PASSED, Outcomes({'c::d': 'passed'})) == ['a::b', 'c::d']
    assert differing(PASSED, PASSED) == []


@pytest.mark.parametrize('base, other, counts', [
    ('passed', ['failed', 'failed'], True), ('passed', ['failed', 'passed'], False)])
def test_a_difference_counts_when_it_stays(base, other, counts):
    again = [(Outcomes({'a::b': base}), Outcomes({'a::b': word})) for word in other]
    found, = examine(PASSED, FAILED, lambda tests: again)
    assert found.counts is counts and found.test == 'a::b'


def test_where_nothing_differs_nothing_is_run_again():
    assert examine(PASSED, PASSED, lambda tests: 1 / 0) == []


def test_a_test_can_be_named_to_pytest():
    assert pytest_id('test.functional.tests.TestFile::testCopy') == 'test/functional/tests.py::TestFile::testCopy'


def test_outcomes_of_several_runs_are_one():
    found = merged([PASSED, Outcomes({'c::d': 'failed'}, 2.0)])
    assert found == Outcomes({'a::b': 'passed', 'c::d': 'failed'}, 2.0)


def test_tests_of_s3api_are_run_apart():
    assert group(['test.s3api.a.B::c', 'test.functional.a.B::c']) == [
        ['test/functional/a.py::B::c'], ['test/s3api/a.py::B::c']]
    assert group(['test.functional.a.B::c']) == [['test/functional/a.py::B::c']]


def result(side='warm', share=(100, 90), differences=()):
    return Result('default', side, PASSED, PASSED, Share(*share), list(differences))


@pytest.mark.parametrize('found, faults', [
    (result(), 0), (result(share=(100, 79)), 1), (result(share=(0, 0)), 1), (result('cold', (0, 0)), 0),
    (result(differences=[Difference('a::b', ('passed',), ('failed',))]), 1),
    (result(differences=[Difference('a::b', ('passed', 'failed'), ('failed', 'failed'))]), 0)])
def test_what_makes_a_run_fail(found, faults):
    assert len(found.faults) == faults


def test_the_table_has_a_row_for_each_run():
    text = main.table([result(), result('cold')])
    assert text.count('   * -') == 3 and '90.0 % of 100' in text


@pytest.mark.parametrize('lines, cacheable, hits', [
    ('', 0, 0),
    ('swiftahead; fwd=miss; stored\t200\tswiftahead; hit\n', 1, 1),
    ('swiftahead; hit\t206\tswiftahead; fwd=stale; detail=written\n', 1, 0),
    ('swiftahead; hit\t412\tswiftahead; fwd=bypass; detail=precondition\n', 0, 0),
    ('-\t404\tswiftahead; fwd=miss\n', 0, 0)])
def test_shares_are_counted(monkeypatch, tmp_path, lines, cacheable, hits):
    monkeypatch.setattr(clusters, 'counts_file', lambda lab: tmp_path / 'warmed')
    (tmp_path / 'warmed').write_text(lines)
    assert share_of(None) == Share(cacheable, hits)


def test_the_source_is_fetched_once_and_is_that_of_the_swift_that_runs(tmp_path, monkeypatch):
    packed, asked = tmp_path / 'packed' / f'swift-{upstream.version("swift")}', []
    (packed / 'test' / 'functional').mkdir(parents=True)

    def pip(command, **more):
        asked.append(command[-1])
        with tarfile.open(Path(command[command.index('--dest') + 1]) / f'{packed.name}.tar.gz', 'w:gz') as archive:
            archive.add(packed, packed.name)
        return upstream.subprocess.CompletedProcess(command, 0, '', '')

    monkeypatch.setattr(upstream.subprocess, 'run', pip)
    assert [fetch(tmp_path / 'sources').name for _ in range(2)] == [packed.name] * 2
    assert asked == [f'swift=={upstream.version("swift")}']


def test_a_source_that_cannot_be_had_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    with pytest.raises(ConformanceError, match='pip cannot get the source of swift'):
        fetch(tmp_path)


def test_unknown_runs_are_refused(capsys):
    with pytest.raises(SystemExit):
        main.parse(['--only', 'default-hot'])
    said = capsys.readouterr().err
    assert all(name in said for name in ('default-warm', 'default-cold', 's3api-warm'))
    assert len(main.parse([]).only) == sum(len(cluster.sides) for cluster in CLUSTERS.values())


def test_the_warming_filter_asks_first_waits_for_a_hit_and_counts(tmp_path):
    told = ['fwd=miss; stored', 'fwd=miss', 'hit', 'hit']
    asked = []

    def app(env, start_response):
        asked.append((env['REQUEST_METHOD'], env.get('HTTP_RANGE')))
        return Response(headers={'Cache-Status': f'swiftahead; {told.pop(0)}'})(env, start_response)

    warming = WarmingFilter(app, str(tmp_path / 'warmed'))
    Request.blank('/v1/a/c/o', headers={'Range': 'bytes=0-1'}).get_response(warming)
    assert asked == [('GET', None), ('HEAD', None), ('HEAD', None), ('GET', 'bytes=0-1')]
    assert (tmp_path / 'warmed').read_text() == 'swiftahead; fwd=miss; stored\t200\tswiftahead; hit\n'


@pytest.mark.parametrize('method, path', [('HEAD', '/v1/a/c/o'), ('PUT', '/v1/a/c/o'), ('GET', '/v1/a/c')])
def test_other_requests_are_not_warmed(tmp_path, method, path):
    warming = WarmingFilter(Response(), str(tmp_path / 'warmed'))
    Request.blank(path, method=method).get_response(warming)
    assert not (tmp_path / 'warmed').exists()
