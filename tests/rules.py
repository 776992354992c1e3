"""The mover's rules, R1 to R28, as doc/mover.rst has them, and the tests that hold each: `make rules`.

A test holds a rule that it names, in its own name (``test_r14_...``), its docstring or its comments, those above
it too: ``R14``, ``R1 to R4``. Words elsewhere in a module do not count.
"""
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / 'doc' / 'mover.rst'
NUMBERS = range(1, 29)
CELL = r'\n     - (.+(?:\n       .+)*)'
ROW = re.compile(rf'^   \* - R(\d+){CELL}{CELL}$', re.MULTILINE)
NAMED = re.compile(r'(?<![A-Za-z0-9])[Rr](\d{1,2})(?:\s*(?:to|-|\.\.)\s*[Rr](\d{1,2}))?(?![A-Za-z0-9])')


def rules_in(text: str) -> set[int]:
    """Numbers that a text names: ``R3``, ``R1 to R4``, ``test_r7_``."""
    found = set()
    for first, last in NAMED.findall(text.replace('_', ' ')):
        found.update(range(int(first), int(last or first) + 1))
    return found & set(NUMBERS)


def tests_of(path: Path) -> Iterator[tuple[str, str]]:
    """Names of a module's tests, those of classes too, and the text of each with what is said above it."""
    lines = path.read_text().splitlines()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith('test_'):
            begin = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
            while begin and lines[begin - 1].lstrip().startswith('#'):
                begin -= 1
            yield node.name, '\n'.join(lines[begin:node.end_lineno])


def words_of(text: str) -> str:
    """Of a test's text what is said: its name, its docstring and its comments; not its code."""
    return '\n'.join(re.findall(r'#.*|def test_\w+|"""[\s\S]*?"""', text))


def held(folders: tuple[Path, ...] = (TESTS / 'unit', TESTS / 'functional')) -> dict[int, list[str]]:
    """Rule -> ``module::test`` of each that names it."""
    found: dict[int, list[str]] = {number: [] for number in NUMBERS}
    for path in sorted(path for folder in folders for path in folder.glob('test_*.py')):
        if path.name == 'test_rules.py':
            continue
        for name, text in tests_of(path):
            for number in rules_in(words_of(text)):
                found[number].append(f'{path.name}::{name}')
    return found


def rules_of(page: str) -> dict[int, tuple[str, str]]:
    """Rule -> its text and the state that it protects, of the page's table; rules that lack one are left out."""
    rows = ROW.findall(page)
    return {int(number): (' '.join(text.split()), ' '.join(state.split())) for number, text, state in rows}


def faults(page: str, found: dict[int, list[str]]) -> list[str]:
    """Name the rules that the page lacks, and those that no test holds."""
    told = rules_of(page)
    return ([f'R{number} is not in {PAGE.name}' for number in NUMBERS if number not in told]
            + [f'R{number} has no test' for number in NUMBERS if not found[number]])


def main(path: Path = PAGE) -> int:
    """:returns: 1 where the page lacks a rule, or a rule has no test"""
    page, found = path.read_text(), held()
    for number, (text, _) in rules_of(page).items():
        print(f'R{number:<3} {text}')
        for test in found.get(number, []):
            print(f'     {test}')
    wrong = faults(page, found)
    print('', *wrong or ['each rule has its text and a test'], sep='\n')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
