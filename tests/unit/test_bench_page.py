"""doc/benchmarks.rst: each figure stands in the results that its section names; a missed target is said."""
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / 'tests' / 'bench'
PAGE = (ROOT / 'doc' / 'benchmarks.rst').read_text()
PARTS = re.split(r'^(.+)\n-{3,}\n', PAGE, flags=re.MULTILINE)
SECTIONS = dict(zip(PARTS[1::2], PARTS[2::2], strict=True))
QUESTIONS = [title for title in SECTIONS if title.endswith('?')]
RESULTS = sorted((BENCH / 'results').glob('*.json'))
MACHINES = {letter: (maker, kernel) for letter, maker, kernel in re.findall(
    r'^([A-Z])   2 cores, (\w+) \w+, kernel ([\w.-]+),', PAGE, re.MULTILINE)}


def results_of(title):
    names = re.findall(r'results/[\w-]+\.json', SECTIONS[title])
    return [json.loads((BENCH / name).read_text()) for name in names]


def numbers(text, pattern=r'\d*\.\d+'):
    return {float(found) for found in re.findall(pattern, text)}


@pytest.mark.parametrize('title', QUESTIONS)
def test_each_figure_is_in_the_results(title):
    told = re.sub(r'``.+?``', '', SECTIONS[title], flags=re.DOTALL)
    assert results_of(title) and numbers(told) <= numbers(json.dumps(results_of(title)), r'\d*\.?\d+')


def test_figures_of_other_pages_are_in_the_results():
    told = [part for page in (ROOT / 'doc').glob('*.rst') if page.name != 'benchmarks.rst'
            for part in re.split(r'\n\n+', page.read_text()) if 'tests/bench/results/' in part]
    for part in told:
        names = re.findall(r'tests/bench/results/[\w-]+\.json', part)
        found = ''.join((ROOT / name).read_text() for name in names)
        assert numbers(part) <= numbers(found, r'\d*\.?\d+')
    assert len(told) > 3


@pytest.mark.parametrize('title', QUESTIONS)
def test_each_spread_is_in_the_results(title):
    found = json.dumps(results_of(title))
    spreads = re.findall(r'([\d.]+)(?:\*\*)?\s+\(([\d.]+) \.\.\s([\d.]+)\)', SECTIONS[title])
    assert all(json.dumps(dict(zip(('median', 'low', 'high'), map(as_json, one), strict=True))) in found
               for one in spreads)


def as_json(text):
    return float(text) if '.' in text else int(text)


@pytest.mark.parametrize('title', QUESTIONS)
def test_a_bold_number_is_in_the_results(title):
    bold, = re.findall(r'^\*\*([\d.]+)', SECTIONS[title], re.MULTILINE)
    assert re.search(rf'[ []{as_json(bold)}[],}}]', json.dumps(results_of(title)))


@pytest.mark.parametrize('title', QUESTIONS)
def test_the_machine_is_that_of_the_results(title):
    """By its kernel and its maker, which tell the three apart."""
    told = [MACHINES[letter] for letter in re.findall(r'\bmachine\s([A-Z])\b', SECTIONS[title])]
    for found in results_of(title):
        machine = found['machine']
        assert any(kernel == machine['kernel'] and maker in machine['CPU'] for maker, kernel in told)


@pytest.mark.parametrize('title', QUESTIONS)
def test_what_missed_its_target_is_said(title):
    assert ('MISSED' in json.dumps(results_of(title))) == ('Not reached: ' in SECTIONS[title])


@pytest.mark.parametrize('path', RESULTS, ids=lambda path: path.stem)
def test_results_say_where_when_and_how(path):
    found = json.loads(path.read_text())
    assert re.fullmatch(r'\d{4}-\d\d-\d\d', found['date']) and found['rounds'] and found['tables']
    assert found['machine'] or 'machine and versions' in found['not known']
    assert all((ROOT / script).exists() for script in re.findall(r'python (\S+)', found['command']))
    assert f'{path.name}``' in PAGE


def test_the_commands_name_scripts():
    scripts = re.findall(r'make bench BENCH=(\w+)', PAGE)
    assert len(scripts) > 9 and all((BENCH / f'{script}.py').exists() for script in scripts)
