"""The rules of moving misplaced objects, R1 to R28, and which tests hold them: `make rules`.

A test holds a rule that it names, in its own name (``test_r14_...``), its docstring or its comments, those above
it too: ``R14``, ``R1 to R4``. Words elsewhere in a module do not count.
"""
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
README = TESTS.parent / 'README.md'
# how many may be without a test
MOST_WITHOUT = 3
RULES = {
    1: "the queue's account, and its container by the hour of the object's last modification",
    2: 'the name of a row, and how it is taken apart',
    3: "content type and hash of a row, which carries the object's timestamps",
    4: "enqueued on all container primaries, by the object's time, a majority is success",
    5: 'an object that lies right is simply dequeued',
    6: 'an invalid row is counted, logged and left',
    7: 'the command that enqueues by hand',
    8: "the container's policy is asked of a majority of its primaries",
    9: 'which of two policies a container has',
    10: 'a policy that is unknown, or whose partition power grows, waits',
    11: 'an object may be moved twice, and back',
    12: 'the destination is asked first',
    13: 'the source is read from its policy, and is not older than the row',
    14: 'the offsets of copy, tombstone and row',
    15: 'copy, then tombstone, then row; a failure leaves the row',
    16: 'a DELETE is moved, too',
    17: 'a missing source is waited for until reclaim_age',
    18: 'all headers are copied as they are',
    19: "the pipeline of the mover's client",
    20: 'manifests, symlinks, versions, reserved names, erasure coding',
    21: 'bodies are streamed, and a short one is not committed',
    22: 'version ids do not change',
    23: 'which containers of the queue are read, in which order, and when they go',
    24: 'options, and each object in the hands of exactly one process',
    25: 'one bad entry does not stop the others; what is counted and logged',
    26: 'once, and the names in the log',
    27: "upstream's daemon beside it does no harm",
    28: 'sharded containers are known by the name of their root',
}
NAMED = re.compile(r'(?<![A-Za-z0-9])[Rr](\d{1,2})(?:\s*(?:to|-|\.\.)\s*[Rr](\d{1,2}))?(?![A-Za-z0-9])')


def rules_in(text: str) -> set[int]:
    """Numbers that a text names: ``R3``, ``R1 to R4``, ``test_r7_``."""
    found = set()
    for first, last in NAMED.findall(text.replace('_', ' ')):
        found.update(range(int(first), int(last or first) + 1))
    return found & set(RULES)


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
    found: dict[int, list[str]] = {number: [] for number in RULES}
    for path in sorted(path for folder in folders for path in folder.glob('test_*.py')):
        if path.name == 'test_rules.py':
            continue
        for name, text in tests_of(path):
            for number in rules_in(words_of(text)):
                found[number].append(f'{path.name}::{name}')
    return found


def without(found: dict[int, list[str]]) -> list[int]:
    return [number for number, tests in found.items() if not tests]


def limits(readme: str) -> str:
    """The README's section of that name."""
    return readme.partition('\n## Limits\n')[2].partition('\n## ')[0]


def main() -> int:
    """:returns: 1 where more rules are without a test than may be"""
    found = held()
    for number, tests in found.items():
        print(f'R{number:<3} {RULES[number]}')
        for test in tests or ['- no test']:
            print(f'     {test}')
    missing = without(found)
    print(f'\n{len(RULES) - len(missing)} of {len(RULES)} rules have tests'
          + (f'; without: {", ".join(f"R{number}" for number in missing)}' if missing else ''))
    return 1 if len(missing) > MOST_WITHOUT else 0


if __name__ == '__main__':
    sys.exit(main())
