#!/usr/bin/env python3
"""Run upstream's functional tests with and without the filter, and tell every test that ends otherwise.

    python tests/conformance/main.py [--only default-warm ...] [--tests NAME ...]

Exit code 1: a test differs, or too few of the GETs were hits; 2: it could not be run.
"""
import argparse
import json
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from conformance.clusters import CLUSTERS, Cluster, Share, lab_for, share_of
from conformance.outcomes import Difference, Outcomes, examine, group, merged
from conformance.upstream import ConformanceError, fetch, run
from swiftahead.lab import LabError

SOURCES = Path(__file__).parent / 'sources'
TIMES_AGAIN = 3
LEAST_PERCENT = 80.0


@dataclass(frozen=True)
class Result:
    """One side of one cluster against the same cluster without the filter."""
    cluster: str
    side: str
    base: Outcomes
    other: Outcomes
    share: Share
    differences: list[Difference] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What makes it fail."""
        found = [str(difference) for difference in self.differences if difference.counts]
        if self.side == 'warm' and self.share.percent < LEAST_PERCENT:
            found.append(f'{self.share.hits} of {self.share.cacheable} cacheable GETs were hits, '
                         f'which is less than {LEAST_PERCENT:g} %')
        return found

    @property
    def row(self) -> list[str]:
        share = f'{self.share.percent:.1f} % of {self.share.cacheable}' if self.side == 'warm' else ''
        return [self.cluster, self.side, str(self.base), str(self.other), share,
                str(sum(difference.counts for difference in self.differences)),
                f'{self.base.seconds:.0f}, {self.other.seconds:.0f}']


HEADER = ['cluster', 'cache', 'without the filter', 'with it', 'hits', 'tests that differ', 'seconds']


class ConformanceRun:
    """:param tests: instead of the clusters' own, where there are any"""

    def __init__(self, source: Path, folder: Path, tests: list[str]):
        self._source = source
        self._folder = folder
        self._tests = tests

    def compare(self, cluster: Cluster, sides: list[str]) -> list[Result]:
        tests = [self._tests] if self._tests else cluster.tests
        base, _ = self._side(cluster, 'base', tests, 'first')
        results = []
        for side in sides:
            other, share = self._side(cluster, side, tests, 'first')
            differences = examine(base, other, partial(self._again, cluster, side))
            results.append(Result(cluster.name, side, base, other, share, differences))
            say(f'{cluster.name}-{side}: ' + ('; '.join(results[-1].faults) or 'no difference'))
        return results

    def _again(self, cluster, side, tests):
        wanted = group(tests)
        for number in range(TIMES_AGAIN):
            yield (self._side(cluster, 'base', wanted, f'again{number}')[0],
                   self._side(cluster, side, wanted, f'again{number}')[0])

    def _side(self, cluster, side, tests, when):
        name = f'{cluster.name}-{side}-{when}'
        with lab_for(cluster, side, self._folder / name / 'lab') as lab:
            outcomes = merged([run(self._source, lab, some, self._folder / name / f'{number}')
                               for number, some in enumerate(tests)])
            say(f'{name}: {outcomes}, {outcomes.seconds:.0f} s')
            return outcomes, share_of(lab)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(results: list[Result]) -> str:
    """For the documentation."""
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in [HEADER, *(result.row for result in results)]:
        lines += [f'   {"*" if not number else " "} - {cell}'.rstrip() for number, cell in enumerate(row)]
    return '\n'.join(lines)


def parse(arguments: list[str]) -> argparse.Namespace:
    names = [f'{cluster.name}-{side}' for cluster in CLUSTERS.values() for side in cluster.sides]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=names, default=names, metavar='RUN',
                        help='of ' + ', '.join(names))
    parser.add_argument('--tests', nargs='+', default=[], help="tests of upstream's, as pytest names them")
    parser.add_argument('--folder', type=Path, help='where labs, outputs and reports are left; a new one in /tmp')
    parser.add_argument('--json', type=Path, help='file for the outcomes')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    # so that the lab is taken down then too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    folder = options.folder or Path(tempfile.mkdtemp(prefix='swiftahead-conformance-'))
    say(f'labs, outputs and reports are left in {folder}')
    results: list[Result] = []
    try:
        whole = ConformanceRun(fetch(SOURCES), folder, options.tests)
        for cluster in CLUSTERS.values():
            sides = [side for side in cluster.sides if f'{cluster.name}-{side}' in options.only]
            results += whole.compare(cluster, sides) if sides else []
    except (ConformanceError, LabError) as error:
        say(f'conformance: {error}')
        return 2
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps([{'run': f'{result.cluster}-{result.side}', 'base': result.base.of,
                                             'other': result.other.of, 'faults': result.faults,
                                             'share': vars(result.share)} for result in results], indent=1))
    faults = [f'{result.cluster}-{result.side}: {fault}' for result in results for fault in result.faults]
    for fault in faults:
        say(fault)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
