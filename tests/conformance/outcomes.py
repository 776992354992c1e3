"""What became of each test of a run, and in what two runs differ. Without I/O but for reading pytest's report."""
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

WORDS = {'failure': 'failed', 'error': 'error', 'skipped': 'skipped'}


@dataclass(frozen=True)
class Outcomes:
    """
    :param of: test -> 'passed', 'failed', 'error' or 'skipped'; a test is named such as
        ``test.functional.tests.TestFile::testCopy``
    :param seconds: that the run took
    """
    of: dict[str, str]
    seconds: float = 0.0

    @property
    def counts(self) -> Counter:
        return Counter(self.of.values())

    def __str__(self) -> str:
        return ', '.join(f'{count} {word}' for word, count in sorted(self.counts.items()))


@dataclass(frozen=True)
class Difference:
    """A test whose outcomes are not the same, and those of the times that it was run again."""
    test: str
    base: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether no outcome of one side was ever one of the other; else it is the test that is not sure."""
        return not set(self.base) & set(self.other)

    def __str__(self) -> str:
        return f'{self.test}: {", ".join(self.base)} without the filter, {", ".join(self.other)} with it'


def read_outcomes(report: Path, seconds: float = 0.0) -> Outcomes:
    """A test that failed, and whose clean-up failed too, is there twice: the worse counts.

    :param report: pytest's JUnit XML
    """
    found: dict[str, str] = {}
    worst = ('passed', 'skipped', 'failed', 'error')
    # written by our own pytest
    for case in ElementTree.parse(report).iter('testcase'):  # noqa: S314
        test = f'{case.get("classname")}::{case.get("name")}'
        word = next((WORDS[child.tag] for child in case if child.tag in WORDS), 'passed')
        found[test] = max(found.get(test, 'passed'), word, key=worst.index)
    return Outcomes(found, seconds)


def differing(base: Outcomes, other: Outcomes) -> list[str]:
    """Tests that did not end the same way, also those that one run has and the other lacks."""
    return sorted(test for test in base.of.keys() | other.of.keys() if base.of.get(test) != other.of.get(test))


def examine(base: Outcomes, other: Outcomes, again: Callable[[list[str]], Iterable[tuple[Outcomes, Outcomes]]],
            ) -> list[Difference]:
    """The tests that differ, each with the outcomes of all its runs.

    :param again: runs tests again on both sides, some times, and gives the pairs of outcomes
    """
    tests = differing(base, other)
    if not tests:
        return []
    pairs = [(base, other), *again(tests)]
    return [Difference(test, tuple(one.of.get(test, 'missing') for one, _ in pairs),
                       tuple(two.of.get(test, 'missing') for _, two in pairs)) for test in tests]


def merged(outcomes: Iterable[Outcomes]) -> Outcomes:
    """Of several runs of different tests."""
    found: dict[str, str] = {}
    seconds = 0.0
    for one in outcomes:
        found |= one.of
        seconds += one.seconds
    return Outcomes(found, seconds)


def group(tests: Iterable[str]) -> list[list[str]]:
    """What pytest gets to run those tests: those of test/s3api in a run of their own."""
    ids = [pytest_id(test) for test in tests]
    apart = [one for one in ids if one.startswith('test/s3api/')]
    return [some for some in ([one for one in ids if one not in apart], apart) if some]


def pytest_id(test: str) -> str:
    """``test.functional.tests.TestFile::testCopy`` as a path that pytest takes."""
    classes, _, name = test.partition('::')
    module, _, kind = classes.rpartition('.')
    return f'{module.replace(".", "/")}.py::{kind}::{name}'
