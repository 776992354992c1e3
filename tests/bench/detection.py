#!/usr/bin/env python3
"""Detection of misplaced objects: what it adds to a 404, and how soon an object that was read in vain is at home.

    python tests/bench/detection.py [--rounds 5] [--requests 800] [--homes 50] [--json FILE]
"""
import sys
import time
from itertools import count, product
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from helpers.lab.hands import Hands
from swift.common.utils import Timestamp

from bench import common, load, sides
from bench.common import Table
from bench.load import Request

# no filter; the filter without detection, with it, and with as many looks as four at a time allow
PLAIN, OFF, ON, UNLIMITED = 'plain', 'off', 'on', 'unlimited'
SIDES = {OFF: {'detect_misplaced': 'off'}, ON: {}, UNLIMITED: {'detect_rate': '10000'}}
NEW, SAME = '404, a new name each', '404, one name'
CASES = (NEW, SAME)
# of the rate with detection on, compared with detection off
LEAST = 0.95
MOST_SECONDS = 2.0
SILVER = 1
STEP = 0.01
# longer than detect_rate's share of one: what is beyond it is left for the next read
PACE = 0.2
NOTES = (
    'All reads are of names that are nowhere, in a container of one of two policies. "on" asks the other policy '
    'for ten names a second, as is the default, and each time after the answer; "unlimited" has up to four looks '
    'under way all the time. CPU is that of the processes of the proxy, looks included.',
    'At home: seconds from the moment a GET is sent that Swift answers 404, until a proxy without the filter '
    'answers a HEAD with 200. One object at a time, five a second at most, and nothing else asked of the cluster.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument('--requests', type=int, default=800, help='of each run (%(default)s)')
    parser.add_argument('--clients', type=int, default=8, help='connections (%(default)s)')
    parser.add_argument('--homes', type=int, default=50, help='objects to bring home; 0: none (%(default)s)')
    parser.add_argument('--size', type=int, default=10_000, help='bytes of each of these (%(default)s)')
    return parser.parse_args(argv)


class Measure:
    """One run of one side: reads of names that are nowhere."""

    def __init__(self, bench, found, args):
        self._bench = bench
        self._found = found
        self._args = args
        self._numbers = count()

    def __call__(self, case: str, name: str):
        side, requests = self._found[name], self._requests(case)
        before = load.cpu_seconds(side.pid)
        run, _ = load.send(side.url, requests, self._args.clients, self._bench.headers)
        used = load.cpu_seconds(side.pid) - before
        values = {'rate': run.rate, 'p50': run.p50, 'p99': run.p99, 'cpu_us': used / len(requests) * 1e6}
        return values, unlike_404(run.failures, len(requests))

    def _requests(self, case) -> list[Request]:
        number = next(self._numbers)
        names = [f'none-{number}' + (f'-{one}' if case == NEW else '') for one in range(self._args.requests)]
        return [Request('GET', f'{self._bench.path}/{name}') for name in names]


def unlike_404(failures: dict[str, int], requests: int) -> dict[str, int]:
    """What else came than so many answers of 404."""
    others = {kind: number for kind, number in failures.items() if kind != '404'}
    missing = requests - failures.get('404', 0)
    return others or ({'not 404': missing} if missing else {})


class Homes:
    """Objects that lie in the wrong policy, read in vain one after the other."""

    def __init__(self, bench, found, hands, args):
        self._bench = bench
        self._found = found
        self._hands = hands
        self._body = Random(0).randbytes(args.size).hex()[:args.size]

    def seconds(self, number: int) -> float:
        time.sleep(PACE)
        path = f'{self._bench.path}/lost-{number}'
        self._hands.put(path, SILVER, Timestamp.now().internal, self._body)
        begin = time.perf_counter()
        status = self._bench.ask(self._found[ON], 'GET', path).status
        if status != 404:
            raise common.BenchError(f'the misplaced {path} was answered {status}')
        return self._until_home(path) - begin

    def _until_home(self, path) -> float:
        deadline = time.monotonic() + sides.PATIENCE
        while time.monotonic() < deadline:
            if self._bench.ask(self._found[PLAIN], 'HEAD', path).status == 200:
                return time.perf_counter()
            time.sleep(STEP)
        raise common.BenchError(f'{path} is not at home after {sides.PATIENCE:g} s; see the log of the sidecar')


def cost_tables(samples) -> list[Table]:
    rows, bounds = [], []
    for case, side in product(CASES, (PLAIN, *SIDES)):
        rows.append((case, side, *(common.median(samples, case, side, key)
                                   for key in ('rate', 'p50', 'p99', 'cpu_us'))))
        if side in (ON, UNLIMITED):
            to_off = common.ratio(samples, case, side, OFF, 'rate')
            bounds.append((case, side, to_off, common.verdict(to_off, LEAST if side == ON else None),
                           common.difference(samples, case, side, OFF, 'cpu_us')))
    return [Table('Reads that Swift answers 404',
                  ('answer', 'side', 'requests/s', 'p50 ms', 'p99 ms', 'CPU us each'), rows),
            Table('Compared with the filter without detection',
                  ('answer', 'side', 'requests/s, ratio', 'required', 'CPU us added to each'), bounds)]


def home_table(found: list[float]) -> Table:
    ordered = sorted(found)
    p50, p95 = (load.percentile(ordered, share) for share in (50, 95))
    return Table('From a read in vain to the object at home',
                 ('objects', 'median, s', 'p95, s', 'longest, s', 'required of p95'),
                 [(len(ordered), p50, p95, ordered[-1], common.judged(p95, most=MOST_SECONDS))])


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    with sides.running(args, policies=('gold', 'silver')) as bench:
        found = {PLAIN: bench.add(PLAIN), **{name: bench.add(name, 'prefetch', SIDES[name]) for name in SIDES}}
        measure, runs = Measure(bench, found, args), list(product(CASES, found))
        common.say('warming up')
        common.interleaved(1, runs, measure)
        samples = common.interleaved(args.rounds, runs, measure)
        tables = cost_tables(samples)
        if args.homes:
            with Hands(bench.lab) as hands:
                homes = Homes(bench, found, hands, args)
                tables.append(home_table([homes.seconds(number) for number in range(args.homes)]))
    common.show(args, facts, tables, samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
