#!/usr/bin/env python3
"""What each order of eviction costs with a million entries: time for a decision and for a hit, memory.

    python tests/bench/eviction.py [--entries 1000000] [--steps 500000] [--rounds 3] [--json FILE]

The index alone, without files. Each order is measured in a process of its own; the entries have sizes between
4 KiB and 1 MiB, and some are read far more often than others.
"""
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from time import process_time

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, load
from bench.common import Table
from swiftahead.eviction.index import Index
from swiftahead.eviction.policies import POLICIES

DECISIONS, READS = 20_000, 200_000
PAGE = 4096
# the pages of an entry, at random
SIZES = [PAGE * round(2 ** (number / 32)) for number in range(256)]
NOTES = (
    'A decision: one entry is chosen and taken out, and a new one comes in. A hit: an entry is marked as read; a '
    'tenth of them take nearly half of the hits. Memory is what the process has of its own (RssAnon) for each, '
    'after the hits, and after as many decisions as there are entries. Process time, median of the rounds.',
)


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=3)
    parser.add_argument('--entries', type=int, default=1_000_000, help='(%(default)s)')
    parser.add_argument('--steps', type=int, default=500_000,
                        help='reads of twice as many objects as fit, at the end (%(default)s)')
    parser.add_argument('--one', choices=tuple(POLICIES), help='measure this one in this process; JSON')
    return parser.parse_args(argv)


def names(count: int):
    for _ in range(count):
        yield os.urandom(24)


def measure(eviction: str, entries: int, steps: int) -> dict[str, float]:
    before = load.rss_bytes(os.getpid())
    chosen = random.Random(1)
    index = Index(POLICIES[eviction](2**62))
    for name in names(entries):
        index.add(name, chosen.choice(SIZES))
    hit = timed_hits(index, chosen)
    memory = (load.rss_bytes(os.getpid()) - before) / entries
    decision = timed(DECISIONS, lambda number: renew(index, chosen))
    for _ in range(entries):
        renew(index, chosen)
    memory_after = (load.rss_bytes(os.getpid()) - before) / entries
    longest = bounded(eviction, entries, steps, chosen)
    return {'decision': decision, 'hit': hit, 'memory': memory, 'memory_after': memory_after, 'longest': longest}


def timed_hits(index, chosen) -> float:
    known = list(index)
    return timed(READS, lambda number: index.read(known[int(len(known) * chosen.random() ** 3)]))


def renew(index, chosen):
    """One goes, one comes."""
    index.let_go(index.take()[0])
    index.add(os.urandom(24), chosen.choice(SIZES))


def timed(count, act) -> float:
    """Microseconds for each."""
    begin = process_time()
    for number in range(count):
        act(number)
    return (process_time() - begin) / count * 1e6


def bounded(eviction, entries, steps, chosen) -> float:
    """Reads of more than fits: the bytes must be right after each. :returns: milliseconds of the longest step"""
    index = Index(POLICIES[eviction](entries * PAGE))
    known = list(names(2 * entries))
    longest = 0.0
    for _ in range(steps):
        begin = process_time()
        name = known[int(len(known) * chosen.random() ** 2)]
        if not index.read(name):
            while index.bytes + PAGE > entries * PAGE:
                index.let_go(index.take()[0])
            index.add(name, PAGE)
        longest = max(longest, process_time() - begin)
        assert index.bytes == PAGE * len(index) <= entries * PAGE
    return longest * 1e3


def in_process(eviction, args) -> dict[str, float]:
    command = [sys.executable, __file__, '--one', eviction, '--entries', str(args.entries), '--steps',
               str(args.steps)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def rows(samples):
    for eviction in POLICIES:
        def of(key, side=eviction):
            return common.median(samples, 'index', side, key)
        ratios = [common.ratio(samples, 'index', eviction, 'lru', key) for key in ('decision', 'hit')]
        yield (eviction, of('decision'), ratios[0] and ratios[0].median, of('hit'), ratios[1] and ratios[1].median,
               of('memory'), of('memory_after'), of('longest'))


def main(argv=None) -> None:
    args = arguments(argv)
    if args.one:
        print(json.dumps(measure(args.one, args.entries, args.steps)))
        return
    facts = common.machine()
    samples = common.interleaved(args.rounds, [('index', eviction) for eviction in POLICIES],
                                 lambda case, side: (in_process(side, args), {}))
    table = Table(f'{args.entries:,} entries', (
        'eviction', 'decision, microseconds', 'of lru', 'hit, microseconds', 'of lru', 'bytes for each entry',
        'after as many decisions', 'longest step, ms'), list(rows(samples)))
    common.show(args, facts, [table], samples, NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
