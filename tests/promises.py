"""What the project promises, and the tests that hold each: `make promises` writes doc/promises.rst.

A test holds an attack of doc/security.rst or a fault of doc/faults.rst by its marker, ``@pytest.mark.holds('F5')``
or that of its module, and a point of container sync (`sync_points`) by the same marker; a rule of the mover as
`rules` has it; a mutant by its name among a test's parameters.
"""
import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import rules
import sync_points

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / 'doc' / 'promises.rst'
SECURITY = (TESTS.parent / 'doc' / 'security.rst').read_text()
ATTACKS = tuple(f'A{number}' for number in range(1, 16))
FAULTS = tuple(f'F{number}' for number in range(1, 18))
# held by something else than a test of `make test`
OTHERWISE = {'F12': '``make bench BENCH=stall``',
             'F15': 'no test of ``make test``; ``make soak`` has parts of a day under load'}
# of a point whose text stands here, and of one whose text stands on its own page
NO_TEST = ('no test', 'see the page: no test')
HEAD = '''Promises and their tests
========================

Each attack of :doc:`security`, each fault of :doc:`faults`, each rule of :doc:`mover`, each point of container
sync, and each change of the code that must be found out (a *mutant*), with the files whose tests hold it and how
many do. ``make promises`` writes this page. ``pytest --holds F5`` runs the tests of an attack, a fault or a point.
'''


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Each module of tests, parsed once for all who ask."""
    paths = sorted(path for folder in ('unit', 'functional') for path in (TESTS / folder).glob('test_*.py'))
    return tuple((f'{path.parent.name}/{path.name}', ast.parse(path.read_text())) for path in paths)


def marked(node: ast.AST) -> set[str]:
    """What the ``holds`` markers within a decorator or a value name."""
    return {argument.value for call in ast.walk(node)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == 'holds'
            for argument in call.args if isinstance(argument, ast.Constant)}


@cache
def marked_tests() -> dict[str, list[tuple[str, str]]]:
    """Attack or fault -> (file, test) of each that holds it; the test is '' where the whole module does."""
    found: dict[str, list[tuple[str, str]]] = {}
    for file, tree in modules():
        for node in ast.walk(tree):
            name = node.name if isinstance(node, ast.FunctionDef) else ''
            marks = node.decorator_list if name else []
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'pytestmark':
                marks = [node.value]
            for point in set().union(*map(marked, marks)):
                found.setdefault(point, []).append((file, name))
    return found


def tests_of_rules() -> dict[str, list[tuple[str, str]]]:
    return {f'R{number}': [tuple(test.split('::')) for test in tests] for number, tests in rules.held().items()}


def mutants() -> dict[str, list[tuple[str, str]]]:
    """Mutant -> the tests that must find it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for file, tree in modules():
        tables = {target.id: node.value for node in tree.body if isinstance(node, ast.Assign)
                  for target in node.targets if isinstance(target, ast.Name) and target.id == 'MUTANTS'}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.endswith('finds_the_mutant'):
                named = [used.attr for mark in node.decorator_list for used in ast.walk(mark)
                         if isinstance(used, ast.Attribute) and getattr(used.value, 'id', '') == 'mutants']
                listed = [key.value for table in tables.values() if isinstance(table, ast.Dict) and not named
                          for key in table.keys if isinstance(key, ast.Constant)]
                for name in (*named, *listed):
                    found.setdefault(str(name), []).append((file, node.name))
    return found


def named_in_security(point: str) -> list[tuple[str, str]]:
    """The tests that the page names where none has the marker."""
    section = re.search(rf'^{point}\n~+\n(.*?)(?=^\S+(?: \d+)?\n~~|\Z)', SECURITY, re.MULTILINE | re.DOTALL)
    return re.findall(r'``((?:unit|functional)/\w+\.py)::(\w+)\*?``', section[1]) if section else []


@cache
def held() -> dict[str, list[tuple[str, str]]]:
    """Each promise, and (file, test) of each test that holds it."""
    tests = {**marked_tests(), **tests_of_rules(), **mutants()}
    for point in ATTACKS:
        if point not in tests:
            tests[point] = named_in_security(point)
    return tests


def page() -> str:
    tests, lines = held(), [HEAD]
    parts = {'Attacks': ATTACKS, 'Faults': FAULTS, 'Mutants': tuple(sorted(mutants())),
             "The mover's rules": tuple(f'R{number}' for number in rules.NUMBERS),
             'Container sync': tuple(sync_points.POINTS)}
    for title, points in parts.items():
        lines += [title, '-' * len(title), '', '.. list-table::', '   :widths: 20 80', '']
        for point in points:
            files = Counter(file for file, _ in tests.get(point, ()))
            told = ', '.join(f'``{file}`` ({count})' for file, count in sorted(files.items()))
            text = f'{sync_points.POINTS[point]}: ' if point in sync_points.POINTS else ''
            lines += [f'   * - {point}', f'     - {text}{told or OTHERWISE.get(point) or NO_TEST[not text]}']
        lines.append('')
    return '\n'.join(lines).rstrip() + '\n'


if __name__ == '__main__':
    PAGE.write_text(page())
