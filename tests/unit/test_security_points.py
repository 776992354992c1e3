"""doc/security.rst: each promise and each attack has tests that exist, or a line that says it has none."""
import ast
import importlib.util
import re
from functools import lru_cache
from pathlib import Path

import promises
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'doc' / 'security.rst').read_text()
POINTS = [*(f'Promise {number}' for number in range(1, 11)), *(f'A{number}' for number in range(1, 16))]
# titles underlined with ~, or with - where no point follows
PARTS = re.split(r'^(.+)\n(~~|--)[~-]*\n', PAGE, flags=re.MULTILINE)
SECTIONS = {title: text for title, line, text in zip(*(PARTS[start::3] for start in (1, 2, 3)), strict=True)
            if line == '~~'}
TEST = re.compile(r'``((?:unit|functional)/\w+\.py)::(\w+)(\*?)``')
# all tests of a file that hold the point
FILE = re.compile(r'``((?:unit|functional)/\w+\.py)``')
NAMED = sorted(set(TEST.findall(PAGE)))
WITHOUT = re.compile(r'^(?:Unproven|Not applicable): ', re.MULTILINE)


@lru_cache
def functions_in(file):
    path = ROOT / 'tests' / file
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')}


def test_the_page_has_each_point_once():
    assert sorted(SECTIONS) == sorted(POINTS)


@pytest.mark.parametrize('point', POINTS)
def test_a_point_has_tests_or_says_that_it_has_none(point):
    text = SECTIONS[point]
    assert TEST.search(text) or FILE.search(text) or WITHOUT.search(text)


@pytest.mark.parametrize('point, file', [
    (point, file) for point in SECTIONS for file in FILE.findall(SECTIONS[point])])
def test_a_file_that_a_point_names_has_tests_that_hold_it(point, file):
    """That point, or another: clocks are a fault, and what they do to freshness an attack."""
    held = {tested for found in promises.marked_tests().values() for tested, _ in found}
    assert file in held if point.startswith('A') else functions_in(file)


@pytest.mark.parametrize('file, name, star', NAMED, ids=['::'.join(named) for named in NAMED])
def test_a_named_test_exists(file, name, star):
    found = functions_in(file)
    assert any(test.startswith(name) for test in found) if star else name in found


def test_no_test_is_named_in_another_way():
    """What the pattern does not find would not be checked."""
    assert PAGE.count('.py::') == len(TEST.findall(PAGE)) > 80


def test_every_attack_test_is_named():
    """By itself, or by its file."""
    tests = {(point, file, name) for point, found in promises.marked_tests().items() if point in POINTS
             for file, name in found}
    missing = {(point, file, name) for point, file, name in tests
               if file not in FILE.findall(SECTIONS[point]) and not any(
                   file == other and (name.startswith(begin) if star else name == begin)
                   for other, begin, star in NAMED)}
    # those of A4 are listed where they show something of their own
    assert len(tests) > 60 and {point for point, *_ in missing} <= {'A4'}


@pytest.mark.holds('A15')
def test_every_room_is_looked_at():
    rooms = re.findall(r'^ROOMS := (.+)$', (ROOT / 'Makefile').read_text(), re.MULTILINE)[0].split()
    counted = re.findall(r'^source_dirs = \[(.+)\]$', (ROOT / 'pyproject.toml').read_text(), re.MULTILINE)[0]
    assert rooms == re.findall(r'"(\w+)"', counted)


# .ci/audit.py

@pytest.fixture(scope='module')
def audit():
    spec = importlib.util.spec_from_file_location('audit', ROOT / '.ci' / 'audit.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package(name, *advisories, **more):
    return {'name': name, 'version': '1.0', 'vulns': [
        {'id': known, 'aliases': [f'CVE-{known}'], 'fix_versions': []} for known in advisories], **more}


def judged(audit, packages, ignored=''):
    return audit.judge({'dependencies': packages}, {'swift', 'webob'}, audit.read_ignored(ignored))


@pytest.mark.holds('A15')
def test_an_advisory_against_a_direct_dependency_fails(audit):
    failing, told = judged(audit, [package('Swift', 'G-1'), package('WebOb')])
    assert len(failing) == 1 and 'swift 1.0: G-1' in failing[0] and told == []


@pytest.mark.holds('A15')
def test_an_advisory_against_what_those_need_is_told(audit):
    failing, told = judged(audit, [package('idna', 'G-1'), package('swift'), package('webob')])
    assert failing == [] and len(told) == 1


@pytest.mark.holds('A15')
@pytest.mark.parametrize('name', ['G-1', 'CVE-G-1'])
def test_an_advisory_with_a_reason_is_told(audit, name):
    failing, told = judged(audit, [package('swift', 'G-1'), package('webob')], f'# why\n{name} swift unused\n')
    assert failing == [] and 'ignored: unused' in told[0]


@pytest.mark.holds('A15')
def test_a_reason_for_one_is_none_for_another(audit):
    failing, _ = judged(audit, [package('swift', 'G-1', 'G-2')], 'G-1 swift not reached\n')
    assert len(failing) == 1 and 'G-2' in failing[0]


@pytest.mark.holds('A15')
@pytest.mark.parametrize('line', ['G-1', 'G-1 swift', 'G-1 swift '])
def test_an_ignored_advisory_needs_a_reason(audit, line):
    with pytest.raises(audit.AuditFailed, match='needs'):
        audit.read_ignored(line + '\n')


@pytest.mark.holds('A15')
def test_the_list_of_ignored_advisories_can_be_read(audit):
    audit.read_ignored(audit.IGNORED.read_text())


@pytest.mark.holds('A15')
def test_a_dependency_that_was_not_audited_is_told(audit):
    _, told = judged(audit, [package('swift'), {'name': 'webob', 'skip_reason': 'not found'}])
    assert told == ['webob: the advisory service does not know it, not audited']


def python(text):
    return '-c', text


@pytest.mark.holds('A15')
@pytest.mark.parametrize('text', [
    'raise ConnectionError("https://pypi.org: ConnectionPool")',
    'print(\'{"dependencies": [{"name": "swift", "skip_reason": "not found"}]}\')'])
def test_where_no_service_answers_there_is_no_report(audit, text):
    assert audit.ask(python(text)) is None


@pytest.mark.holds('A15')
def test_a_report_is_one_even_where_pip_audit_fails(audit):
    """It does so when it finds something."""
    found = audit.ask(python('print(\'{"dependencies": [{"name": "swift", "vulns": []}]}\'); raise SystemExit(1)'))
    assert found['dependencies'][0]['name'] == 'swift'


@pytest.mark.holds('A15')
def test_what_is_wrong_with_the_audit_itself_fails(audit):
    with pytest.raises(audit.AuditFailed):
        audit.ask(python('raise SystemExit("no such option")'))


@pytest.mark.holds('A15')
def test_the_direct_dependencies_are_those_of_the_project(audit):
    found = audit.direct_dependencies()
    assert {'swift', 'eventlet', 'webob', 'xxhash', 'python-swiftclient'} <= found
    assert found & {'pytest', 'ruff', 'bandit', 'pip-audit'} == set()
