#!/usr/bin/env python3
"""How long `swiftahead plan` takes for a cell of its table: one eviction, with and without prefetching.

    python tests/bench/plan_speed.py [--reads 1000000] [--eviction gdsf] [--sample 250000]

The reads are made up: five hundred clients walk along sequences of twenty objects, of which the second is read
half as often as the first, the third a third as often, and so on.
"""
import sys
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common
from bench.common import Table
from swiftahead.cli.plan import SAMPLE
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.grid import GridSpec, Run
from swiftahead.plan.listing import sizes
from swiftahead.plan.output import room_for
from swiftahead.plan.replay import Counts
from swiftahead.plan.room import disk_bytes
from swiftahead.plan.sample import parts_of

CLIENTS, SEQUENCES, LENGTH, SECONDS = 500, 5000, 20, 0.05
# percent of a cache with room for all
CACHE = 10
MOST_SECONDS = 60.0


def reads(count: int, seed: int = 1) -> Iterator[LogRead]:
    chance = Random(seed)
    ranks = range(SEQUENCES)
    weights = list(accumulate(1 / (rank + 1) for rank in ranks))
    places = [(0, LENGTH)] * CLIENTS
    for number in range(count):
        client = chance.randrange(CLIENTS)
        sequence, step = places[client]
        if step == LENGTH:
            sequence, step = chance.choices(ranks, cum_weights=weights)[0], 0
        places[client] = sequence, step + 1
        size = 1000 + (sequence * LENGTH + step) * 7919 % 50_000
        yield LogRead(number * SECONDS, f'c{client}', '', '', f'{sequence}-{step}', size)


def rows(made: list[LogRead], eviction: str, sample: int) -> Iterator[tuple]:
    cache_bytes = room_for(sum(map(disk_bytes, sizes(made).values()))) * CACHE // 100
    question = GridSpec([cache_bytes], [eviction], 1, sample, None)
    run = Run(made, question, cache_bytes, eviction, lambda *words: None)
    parts = parts_of(made, sample) if len(made) > sample else []
    begin = time.process_time()
    plain = run(None, '')
    yield row('off', begin, plain[0], len(made))
    begin = time.process_time()
    yield row('on', begin, run.learned(plain, parts)[0][0], len(made))


def row(prefetch: str, begin: float, counts: Counts, count: int) -> tuple:
    seconds = time.process_time() - begin
    return (prefetch, f'{count:,}', f'{seconds:.1f}', common.judged(seconds, most=MOST_SECONDS),
            f'{seconds / count * 1e6:.1f}', f'{counts.hits / count:.3f}')


def arguments(argv=None):
    parser = common.parser(__doc__)
    parser.add_argument('--reads', type=int, default=1_000_000, help='%(default)s')
    parser.add_argument('--eviction', choices=tuple(POLICIES), default='gdsf', help='%(default)s')
    parser.add_argument('--sample', type=int, default=SAMPLE, help='reads that are learned from (%(default)s)')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    table = Table('A cell of the plan', ('prefetch', 'reads', 'seconds', 'wanted', 'us for each', 'hits'),
                  list(rows(list(reads(args.reads)), args.eviction, args.sample)))
    common.show(args, facts, [table], notes=('Seconds of process time.',))


if __name__ == '__main__':
    sys.exit(common.run(main))
