"""What all benchmarks share: the command line, interleaved rounds, statistics, tables, facts of the machine."""
import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

from demo.main import heed_signals
from swiftahead.lab import LabError

BENCH = Path(__file__).resolve().parent
DEBIAN_PACKAGES = {'haproxy': 'haproxy', 'memcached': 'memcached', 'nginx': 'nginx-light', 'rsync': 'rsync',
                   'wrk': 'wrk'}


class BenchError(Exception):
    """A benchmark that cannot go on; the message says what to do."""


# -- programs ----------------------------------------------------------------------------------------------

def find_program(name: str) -> str | None:
    """Path of an installed program, looked for where daemons lie too."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get('PATH', os.defpath), '/usr/sbin']))


def need_programs(*names: str) -> None:
    """:raises BenchError: naming the packages to install"""
    missing = [name for name in names if not find_program(name)]
    if missing:
        packages = ' '.join(DEBIAN_PACKAGES[name] for name in missing)
        raise BenchError(f'{", ".join(missing)} not found; install with: apt-get install {packages}'
                         + ('' if 'nginx' not in missing else ' (and keep its service stopped)'))


# -- rounds and statistics ---------------------------------------------------------------------------------

@dataclass(frozen=True)
class Sample:
    """One side's figures in one round; `values` by name of what was measured."""
    case: str
    side: str
    round: int
    values: dict[str, float]
    failures: dict[str, int] = field(default_factory=dict)


def interleaved(rounds: int, runs: Sequence[tuple[str, str]],
                measure: Callable[[str, str], tuple[dict, dict]]) -> list[Sample]:
    """A B C A B C ..., so that what the machine does meanwhile falls on all alike.

    :param runs: pairs of case and side, in the order in which each round has them
    :param measure: (case, side) -> values, failures
    """
    samples = []
    for number in range(rounds):
        for case, side in runs:
            sample = Sample(case, side, number, *measure(case, side))
            samples.append(sample)
            say(f'  round {number + 1}, {case}, {side}: ' + (
                f'DOES NOT COUNT, {sample.failures}' if sample.failures else
                ', '.join(f'{key} {value:.4g}' for key, value in sample.values.items())))
    return samples


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some rounds."""
    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> 'Spread | None':
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1], len(found)) if found else None

    def __str__(self):
        return f'{figure(self.median)} ({figure(self.low)} .. {figure(self.high)})'


def figure(value: float) -> str:
    """As many digits as mean something."""
    if value and abs(value) < 0.995:
        return f'{value:.3f}'
    return f'{value:.2f}' if abs(value) < 100 else f'{value:,.0f}'


def values_of(samples: Iterable[Sample], case: str, side: str, key: str) -> dict[int, float]:
    """Round -> value, of the runs that count."""
    return {one.round: one.values[key] for one in samples
            if (one.case, one.side) == (case, side) and not one.failures and key in one.values}


def spread(samples: Iterable[Sample], case: str, side: str, key: str) -> Spread | None:
    return Spread.of(values_of(samples, case, side, key).values())


def median(samples: Iterable[Sample], case: str, side: str, key: str) -> float | None:
    found = spread(samples, case, side, key)
    return found and found.median


def ratio(samples: Iterable[Sample], case: str, side: str, base: str, key: str) -> Spread | None:
    """Spread of side / base, taken round by round; None where no round has both."""
    above, below = (values_of(samples, case, name, key) for name in (side, base))
    return Spread.of(value / below[number] for number, value in above.items() if below.get(number))


def difference(samples: Iterable[Sample], case: str, side: str, base: str, key: str) -> Spread | None:
    """Spread of side - base, taken round by round."""
    above, below = (values_of(samples, case, name, key) for name in (side, base))
    return Spread.of(value - below[number] for number, value in above.items() if number in below)


def verdict(found: Spread | None, least: float | None = None, most: float | None = None) -> str:
    """How a median stands to what is required of it; '' where nothing is."""
    return judged(found and found.median, least, most)


def judged(found: float | None, least: float | None = None, most: float | None = None) -> str:
    """How a figure stands to what is required of it; '' where nothing is."""
    if least is None and most is None:
        return ''
    rule = f'>= {least:g}' if least is not None else f'<= {most:g}'
    if found is None:
        return f'{rule}: not measured'
    is_met = (least is None or found >= least) and (most is None or found <= most)
    return f'{rule}: {"met" if is_met else "MISSED"}'


# -- the command line --------------------------------------------------------------------------------------

def parser(text: str | None, rounds: int = 0, seconds: float = 0) -> argparse.ArgumentParser:
    """The options that all scripts have. :param text: the script's docstring; 0: no such option"""
    made = argparse.ArgumentParser(description=(text or '').splitlines()[0])
    if rounds:
        made.add_argument('--rounds', type=int, default=rounds, help='of all sides in turn (%(default)s)')
    if seconds:
        made.add_argument('--seconds', type=float, default=seconds, help='of load for each run (%(default)s)')
    made.add_argument('--pipeline', choices=('sample', 'short', 'lab'), default='sample',
                      help="upstream's sample, the shortest with a login, or the lab's (%(default)s)")
    made.add_argument('--nodes', type=int, default=1,
                      help='storage nodes; up to three hold a copy each (%(default)s)')
    made.add_argument('--dir', type=Path, help='where to make the folder of the lab')
    made.add_argument('--json', type=Path, metavar='FILE', help='write all figures there, as JSON')
    return made


def run(main: Callable[[], None]) -> int:
    """A script's exit code; a signal takes down what was put up."""
    heed_signals()
    try:
        main()
    except (BenchError, LabError) as error:
        say(f'{Path(sys.argv[0]).name}: {error}')
        return 2
    return 0


# -- output ------------------------------------------------------------------------------------------------

def say(text: str = '') -> None:
    """Progress; the tables alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[cell(one) for one in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ['  '.join(one.ljust(width) for one, width in zip(row, widths, strict=True)).rstrip()
             for row in cells]
    return '\n'.join([lines[0], '  '.join('-' * width for width in widths), *lines[1:]])


def cell(value: object) -> str:
    if value is None:
        return '-'
    if isinstance(value, float):
        return figure(value)
    return f'{value:,}' if isinstance(value, int) else str(value)


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: list[tuple]


def additions() -> str:
    """How long Python takes for them: machines of one name differ by a factor of five, and so do all times."""
    took = []
    for _ in range(5):
        begin = time.process_time()
        sum(number + 1 for number in range(1_000_000))
        took.append(time.process_time() - begin)
    return f'{min(took) * 1000:.0f} to {max(took) * 1000:.0f} ms'


def machine() -> dict[str, str]:
    """What the figures depend on."""
    text = Path('/proc/cpuinfo').read_text()
    names = {line.partition(':')[2].strip() for line in text.splitlines() if line.startswith('model name')}
    return {'cores': str(len(os.sched_getaffinity(0))), 'CPU': ', '.join(sorted(names)) or platform.machine(),
            'kernel': platform.release(), 'python': platform.python_version(), 'swift': version('swift'),
            'eventlet': version('eventlet'), 'swiftahead': version('swiftahead'),
            'load average': f'{os.getloadavg()[0]:.2f} at the start', 'a million additions': additions()}


def show(args: argparse.Namespace, facts: dict, tables: Sequence[Table], samples: Sequence[Sample] = (),
         notes: Sequence[str] = ()) -> None:
    """Print the tables, and write the JSON file where one is asked for."""
    options = {key: value for key, value in vars(args).items()
               if key not in ('json', 'dir', 'rounds') and value not in (None, [], False)}
    rounds = getattr(args, 'rounds', 1)
    told = ', '.join(f'{key} {value}' for key, value in {**facts, 'rounds': rounds, **options}.items())
    shown = [f'{table.title}\n{text_table(table.header, table.rows)}' for table in tables]
    print('\n\n'.join([f'Measured with {told}.', *shown, *notes]))
    if args.json:
        document = {'machine': facts, 'date': date.today().isoformat(), 'command': command(), 'rounds': rounds,
                    'options': options, 'tables': [as_shown(table) for table in tables], 'notes': list(notes),
                    'samples': [asdict(one) for one in samples]}
        args.json.write_text(compact(document) + '\n')


def as_shown(table: Table) -> dict:
    """A table with the digits that it shows, so that pages can quote it."""
    return {**asdict(table), 'rows': [[number_shown(value) for value in row] for row in table.rows]}


def number_shown(value: object) -> object:
    if isinstance(value, Spread):
        return {key: number_shown(getattr(value, key)) for key in ('median', 'low', 'high')}
    if not isinstance(value, float):
        return value
    text = figure(value).replace(',', '')
    return float(text) if '.' in text else int(text)


def command() -> str:
    """The command line, as somebody in a checkout repeats it."""
    return shlex.join(['python', f'tests/bench/{Path(sys.argv[0]).name}', *sys.argv[1:]])


def compact(value: object, margin: str = '') -> str:
    """JSON in which what fits into a line is one, so that a row of a table is."""
    line = json.dumps(value, default=str)
    if len(line) < 200 or not isinstance(value, dict | list | tuple):
        return line
    inner = margin + ' '
    parts = ([f'{json.dumps(key)}: {compact(part, inner)}' for key, part in value.items()]
             if isinstance(value, dict) else [compact(part, inner) for part in value])
    begin, end = '{}' if isinstance(value, dict) else '[]'
    return f'{begin}\n' + ',\n'.join(inner + part for part in parts) + f'\n{margin}{end}'
