#!/usr/bin/env python3
"""What prediction reaches on two traces, by the replay of `swiftahead plan`.

    python tests/bench/prediction.py --sequence FILE --crowd FILE [--json FILE]

--sequence: one client that reads the same sequence again and again; --crowd: many clients of a web server. Both
are traces as `swiftahead plan` reads them (`offset_ms[,client],object,bytes`). The cache is 10 % of the footprint
unless said.
"""
import gc
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, worlds
from bench.common import Spread, Table
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.grid import fetch_seconds
from swiftahead.plan.listing import sizes
from swiftahead.plan.replay import Counts, Listed, Replay, ReplaySettings
from swiftahead.plan.traces import LogError, read_all
from swiftahead.predict import Read as Seen
from swiftahead.predict import SequenceLearner

DECISION_MICROSECONDS, TRANSITION_BYTES = 50.0, 200.0
ROUNDS = 5
NOTES = (
    'Hits are of objects. Precision: prefetched and used / prefetched. What is made of the trace for "disturbed", '
    '"four clients" and "listing" is in tests/bench/worlds.py, seeded. A decision is one call of the learner, '
    'which takes note of a read and predicts; process time over all reads of a trace. Bytes are those of all that '
    'the learner holds at the end, divided by the transitions that it knows.',
)


@dataclass(frozen=True)
class Wanted:
    """None: nothing is wanted of it."""
    hits: float | None = None
    bytes: float | None = None
    precision: float | None = None


@dataclass(frozen=True)
class Experiment:
    """
    :param passes: reads of each pass; the last one counts
    :param percent: of the footprint
    """
    name: str
    passes: Sequence[Sequence[LogRead]]
    eviction: str
    wanted: Wanted
    percent: int = 10
    listing: dict | None = None

    def counts(self) -> Counts:
        size = sum(sizes(self.passes[0]).values()) * self.percent // 100
        settings = ReplaySettings(size, POLICIES[self.eviction], SequenceLearner, fetch_seconds)
        replay = Replay(settings, self.listing)
        return [replay.run(one) for one in after_each_other(self.passes)][-1]


def after_each_other(passes) -> Iterator[Iterator[LogRead]]:
    begin = 0.0
    for reads in passes:
        yield (LogRead(begin + read.at - reads[0].at, *read[1:]) for read in reads)
        begin += reads[-1].at - reads[0].at + 1


def lines(sequence: Sequence[LogRead], crowd: Sequence[LogRead]) -> Iterator[Experiment]:
    yield Experiment('sequence, pass 1', [sequence], 'lru', Wanted(0.555, None, 0.6))
    yield Experiment('sequence, pass 1', [sequence], 'gdsf', Wanted(0.62))
    yield Experiment('sequence, pass 1, listing', [sequence], 'gdsf', Wanted(0.68, None, 0.35),
               listing=worlds.listing(sequence))
    yield Experiment('sequence, pass 2', [sequence] * 2, 'lru', Wanted(0.955, 0.84, 0.9))
    yield Experiment('sequence, pass 2', [sequence] * 2, 'gdsf', Wanted(0.975, 0.84, 0.9))
    for eviction in ('lru', 'gdsf'):
        yield Experiment('four clients, pass 2', [worlds.interleaved(sequence)] * 2, eviction, Wanted(0.96))
    for share, said in ((worlds.FEW, 'a thirtieth each'), (worlds.MANY, 'a tenth each')):
        for eviction in ('lru', 'gdsf'):
            yield Experiment(f'pass 2 disturbed, {said}', [sequence, worlds.disturbed(sequence, share)], eviction,
                       Wanted(0.92, None, 0.65))
    for percent, hits in ((10, 0.9), (2, 0.83), (1, 0.76)):
        for eviction in ('lru', 'gdsf', 's3fifo', 'lfu'):
            yield Experiment(f'crowd, cache {percent} %', [crowd], eviction, Wanted(hits, None, 0.5), percent)
        yield Experiment(f'crowd, cache {percent} %, listing', [crowd], 'gdsf', Wanted(hits, None, 0.5), percent,
                   worlds.listing(crowd))


def row(line: Experiment, counts: Counts) -> tuple:
    precision = counts.used / counts.prefetched if counts.prefetched else None
    found = (counts.hits / counts.requests, counts.hit_bytes / counts.bytes, precision)
    wanted = (line.wanted.hits, line.wanted.bytes, line.wanted.precision)
    told = [cell for value, least in zip(found, wanted, strict=True)
            for cell in (value and f'{value:.3f}', common.judged(value, least))]
    return line.name, line.eviction, *told, counts.prefetched, counts.late


def costs(name: str, passes: Sequence[Sequence[LogRead]], rounds: int = ROUNDS) -> Iterator[tuple]:
    """Of learners that know no names of a listing, and of such that do, as by default."""
    seen = [Seen(read.account, read.client, (read.container, read.object), read.at, read.bytes)
            for reads in after_each_other(passes) for read in reads]
    kinds = {'off': None, 'on': Listed(worlds.listing(passes[0]))}
    # in turns, so that what the machine does meanwhile falls on both alike
    measured = [{kind: microseconds(SequenceLearner(names=names), seen) for kind, names in kinds.items()}
                for _ in range(rounds)]
    for kind, names in kinds.items():
        spread = Spread.of([one[kind] for one in measured])
        held = bytes_held(seen, names)
        yield (name, kind, str(spread), common.judged(spread.median, most=DECISION_MICROSECONDS), held,
               common.judged(held, most=TRANSITION_BYTES))


def microseconds(learner: SequenceLearner, seen: Sequence[Seen]) -> float:
    """Of process time, for each read."""
    begin = time.process_time()
    for one in seen:
        learner.observe(one)
    return (time.process_time() - begin) / len(seen) * 1e6


def bytes_held(seen: Sequence[Seen], names: Listed | None) -> float:
    """For each transition, when all is read. What is known of names has a bound of its own and is not in it."""
    # what comes from a free list was allocated before, and would not be counted
    gc.collect()
    tracemalloc.start()
    learner = SequenceLearner(names=names)
    try:
        for one in seen:
            # names of its own, as they come from the queue
            learner.observe(one._replace(key=(one.key[0], f'{one.key[1]} '[:-1])))
        return tracemalloc.get_traced_memory()[0] / transitions(learner)
    finally:
        tracemalloc.stop()


def transitions(learner: SequenceLearner) -> int:
    return sum(len(followers) for _, account in learner.accounts for followers in account.followers.values())


def arguments(argv=None):
    parser = common.parser(__doc__)
    parser.add_argument('--sequence', metavar='FILE', required=True, help='one client, the same sequence again')
    parser.add_argument('--crowd', metavar='FILE', required=True, help='many clients of a web server')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    args = arguments(argv)
    facts = common.machine()
    try:
        sequence, crowd = (trace.reads for trace in read_all([args.sequence, args.crowd], lambda text: None))
    except LogError as error:
        raise common.BenchError(str(error)) from None
    rows = []
    for line in lines(sequence, crowd):
        rows.append(row(line, line.counts()))
        common.say('  ' + ', '.join(common.cell(one) for one in rows[-1]))
    tables = [
        Table('Hits and precision with prefetching',
              ('reads', 'eviction', 'hits', 'wanted', 'bytes', 'wanted', 'precision', 'wanted', 'prefetched',
               'late'), rows),
        Table('What a decision costs',
              ('reads', 'neighbours', 'us each', 'wanted', 'bytes for each transition', 'wanted'),
              [*costs('sequence, twice', [sequence] * 2), *costs('crowd', [crowd])])]
    common.show(args, facts, tables, (), NOTES)


if __name__ == '__main__':
    sys.exit(common.run(main))
