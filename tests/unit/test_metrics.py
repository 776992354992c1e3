"""The table of metrics, and that its words are those of the programs."""
import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from swiftahead.metrics.table import (
    BYPASSES,
    COUNTERS,
    METRICS,
    OTHER,
    RECORD_KINDS,
    STALE,
    UNCACHEABLE,
    UNKNOWN_NAME,
    VALIDATIONS,
)
from swiftahead.queues.records import RECORD_TYPES

ROOT = Path(__file__).parents[2]
DOC = (ROOT / 'doc' / 'metrics.rst').read_text()


def words(path, *functions):
    """Texts that these functions return, or make a Decision of."""
    nodes = [node for node in ast.walk(ast.parse((ROOT / path).read_text()))
             if isinstance(node, ast.FunctionDef) and node.name in functions]
    returned = [inner.value for node in nodes for inner in ast.walk(node)
                if isinstance(inner, ast.Return) and inner.value]
    return {part.value for value in returned for part in ast.walk(value)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def test_each_name_is_there_once():
    assert [name for name, count in Counter(metric.name for metric in METRICS).items() if count > 1] == []


@pytest.mark.parametrize('metric', METRICS, ids=lambda metric: metric.name)
def test_names_and_values_are_words_of_statsd_and_prometheus(metric):
    assert re.fullmatch(r'[a-z]+(_[a-z]+)*', metric.name)
    assert all(re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*', value) for value in metric.values)
    assert bool(metric.label) == bool(metric.values) and metric.meaning
    assert metric.kind in ('counter', 'gauge') and metric.unit in ('', 'bytes', 'seconds', 'yes')


def test_a_family_of_counters_has_a_place_for_what_is_in_no_list():
    families = [metric for metric in COUNTERS if metric.values]
    assert families and all(metric.values[-1] == OTHER for metric in families)


def test_the_series_are_few():
    assert sum(len(metric.slots) for metric in METRICS) < 200


def test_the_reasons_are_those_of_the_decisions():
    bypasses = words('middleware/decide.py', 'bypass_reason', 'bypass_name_reason', 'bypass_container_reason')
    assert bypasses == set(BYPASSES) - {'precondition'}
    assert words('cache/headers.py', 'uncacheable_reason') == set(UNCACHEABLE) - {'older'}
    judged = words('middleware/decide.py', 'judge', '_distrust', '_by_age')
    assert judged - {'fresh'} == {*VALIDATIONS, *STALE} - {'changed', 'unvalidated', 'memcached-conf'}


def test_the_kinds_are_those_of_the_records():
    assert set(RECORD_KINDS) == {kind.lower() for kind in RECORD_TYPES}


@pytest.mark.parametrize('metric', METRICS, ids=lambda metric: metric.name)
def test_the_manual_says_what_the_table_says(metric):
    row = next((line for line in DOC.splitlines() if line.startswith(f'   * - ``{metric.name}``')), '')
    assert row, f'{metric.name} is not in doc/metrics.rst'
    text = ' '.join(DOC.partition(row)[2].partition('   * - ``')[0].split())
    assert metric.meaning in text
    assert all(value in text for value in metric.values if value != OTHER)


def test_the_manual_has_no_other_names():
    told = re.findall(r'^   \* - ``(\w+)``', DOC, re.MULTILINE)
    assert sorted(told) == sorted(metric.name for metric in METRICS)




# what operators install beside it

def series(metric):
    """Its name in Prometheus."""
    return f'swiftahead_{metric.name}' + ('_total' if metric.kind == 'counter' else '')


def test_the_alerts_ask_for_what_there_is():
    asked = set(re.findall(r'\bswiftahead_\w+', (ROOT / 'etc/prometheus-alerts.yml-sample').read_text()))
    assert len(asked) > 8 and asked <= {series(metric) for metric in METRICS}


def mapped(slot):
    """Name and labels that the first rule of the sample which matches gives."""
    text = (ROOT / 'etc/statsd-exporter.yml-sample').read_text()
    for rule in text.partition('mappings:')[2].split('  - match: ')[1:]:
        pattern, *lines = (line.strip() for line in rule.splitlines() if line.strip())
        found = re.search(pattern.strip("'"), f'cluster.proxy-server.prefetch.{slot}')
        if found:
            given = dict(line.split(': ') for line in lines if ': ' in line)
            # as the exporter writes them, and as Python does
            values = {key: found.expand(re.sub(r'\$\{?(\d)\}?', r'\\g<\1>', value.strip("'")))
                      for key, value in given.items()}
            return values.pop('name'), {key: value for key, value in values.items() if key != 'match_type'}
    return None


@pytest.mark.parametrize('metric', COUNTERS, ids=lambda metric: metric.name)
def test_what_statsd_is_told_gets_the_same_names(metric):
    for slot in metric.slots:
        assert mapped(slot) == (series(metric), {metric.label: slot.partition('.')[2]} if metric.label else {})


# what the programs count

def counted():
    """(file, name, value of its label or None) of each call of something named `count` with a text as its name."""
    rooms = ('middleware', 'freshness', 'sidecar', 'eviction')
    for path in sorted(path for room in rooms for path in ROOT.glob(f'{room}/**/*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            called = getattr(node, 'func', None)
            if getattr(called, 'attr', getattr(called, 'id', '')).lstrip('_') != 'count' or not node.args:
                continue
            reasons = [each.value for each in node.keywords if each.arg == 'reason']
            for name in ast.walk(node.args[0]):
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield f'{path.parent.name}/{path.name}', name.value, reasons[0] if reasons else None


@pytest.mark.parametrize('path, name, reason', list(counted()))
def test_what_is_counted_is_in_the_table(path, name, reason):
    metric = next((metric for metric in COUNTERS if metric.name == name), None)
    assert metric is not None, f'{path} counts {name}'
    assert bool(metric.values) == (reason is not None), f'{path}: {name}'
    if isinstance(reason, ast.Constant):
        assert reason.value in metric.values


def test_what_is_in_the_table_is_counted():
    found = {name for _, name, _ in counted()}
    assert {metric.name for metric in COUNTERS} - found <= {UNKNOWN_NAME}
