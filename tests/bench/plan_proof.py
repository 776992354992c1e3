#!/usr/bin/env python3
"""What `swiftahead plan` recommends from a cluster's own log, and what then proves best on such a cluster.

    python tests/bench/plan_proof.py [--reads 1500] [--trace FILE] [--latency-ms 20] [--rounds 1]

The reads are made on a lab without the filter; plan is given its proxy's log. Then labs with each setting of the
recommended size get the same reads. Ends with 1 unless the recommended setting is among the best.
"""
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import common, live, worlds
from bench.common import Spread, Table, figure
from bench.live import Result, Runs, System, Work, figures
from demo import systems, tracefile
from demo.main import folders_with_xattrs
from swiftahead.conf.casts import size
from swiftahead.eviction.policies import POLICIES

# share of the reads, and of the mean, within which one setting is as good as another
HITS_WITHIN, MEAN_WITHIN = 0.02, 1.1
AT_ONCE = 3
FIGURES = ('hits', 'mean', 'p95')
# whatever the indent
RECOMMENDED = re.compile(r'^recommended: (?:.|\n)*?cache_size = (.+)\s+eviction = (\w+)\s+admit = (\w+)\s+'
                         r'\[prefetcher\]\s+learner = (sequence|off)$', re.MULTILINE)
NOTES = (
    'Foretold: by swiftahead plan, from the log of the lab without the filter. Hits are of objects, from an empty '
    'cache; milliseconds until the last byte, at the client.',
)


@dataclass(frozen=True)
class Plan:
    """What was foretold, by eviction and whether it learns, and what was recommended."""
    cache_size: str
    cache_bytes: int
    recommended: System
    hits: dict[tuple[str, bool], float]


def arguments(argv=None):
    parser = common.parser(__doc__, rounds=1)
    parser.add_argument('--trace', type=Path, help='offset_ms[,client],object,bytes; else reads are made up')
    parser.add_argument('--speed', type=float, default=1, help='divides the waits between reads (%(default)s)')
    parser.add_argument('--reads', type=int, default=1500, help='how many (%(default)s)')
    parser.add_argument('--latency-ms', type=float, default=20, help='delay of the object servers (%(default)s)')
    return parser.parse_args(argv)


def work(args) -> Work:
    """:raises TraceError:"""
    reads = tracefile.read_trace(args.trace)[:args.reads] if args.trace else [
        tracefile.Read(*read) for read in worlds.mixed(args.reads)]
    bodies = systems.made_up_bodies(tracefile.sizes(reads))
    return Work(tracefile.steps(reads, args.speed), bodies, 0, 1)


# -- the plan ----------------------------------------------------------------------------------------------

def planned(log: Path, names: Iterable[str]) -> Plan:
    """:param names: of all objects that there are
    :raises BenchError: where the command fails, or recommends no cache
    """
    listing = log.with_name('names')
    listing.write_text(''.join(f'AUTH_test/{systems.CONTAINER}/{name}\n' for name in names))
    program = Path(sys.executable).with_name('swiftahead')
    command = [str(program), 'plan', '--json', '--listing', str(listing), str(log)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise common.BenchError(f'plan ended with {done.returncode}: {done.stderr[-2000:]}')
    return understood(json.loads(done.stdout), done.stderr)


def understood(rows: Sequence[dict], told: str) -> Plan:
    found = RECOMMENDED.search(told)
    if found is None:
        raise common.BenchError(f'plan recommends nothing that could be proved: {told[-2000:]}')
    cache_size, eviction, admit, learn = found.groups()
    hits = {(row['eviction'], row['prefetch']): row['object_hit_ratio'] for row in rows
            if row['cache_bytes'] == size(cache_size)}
    system = System('recommended', eviction, learn == 'sequence', admit=admit)
    return Plan(cache_size, size(cache_size), system, hits)


# -- the proof ---------------------------------------------------------------------------------------------

def settings(plan: Plan) -> list[System]:
    """Each eviction, with learning and without, and of the recommended one both kinds of `admit`."""
    found = [System(f'{eviction}, learning {"on" if learns else "off"}', eviction, learns)
             for eviction in POLICIES for learns in (False, True)]
    best = plan.recommended
    return [*found, System(f'{best.eviction}, second_hit', best.eviction, best.learns, admit='second_hit')]


def is_recommended(system: System, plan: Plan) -> bool:
    best = plan.recommended
    return (system.eviction, system.learns, system.admit) == (best.eviction, best.learns, best.admit)


def groups(systems: Iterable[System]) -> Iterable[list[System]]:
    waiting = iter(systems)
    while group := list(islice(waiting, AT_ONCE)):
        yield group


def tables(plan: Plan, results: Sequence[Result]) -> list[Table]:
    rows = []
    for system, found in by_system(results).items():
        # plan shows the table of admit = all
        foretold = plan.hits.get((system.eviction, system.learns)) if system.admit == 'all' else None
        rows.append((system.name, foretold and f'{foretold:.3f}', *(shown(found[key]) for key in FIGURES),
                     'recommended' if is_recommended(system, plan) else ''))
    return [Table(f'Each setting with cache_size = {plan.cache_size}',
                  ('system', 'hits, foretold', 'hits', 'mean ms', 'p95', ''), rows)]


def by_system(results: Iterable[Result]) -> dict[System, dict[str, Spread]]:
    """Of all rounds."""
    rounds: dict[System, list[dict[str, float]]] = {}
    for result in results:
        rounds.setdefault(result.system, []).append(figures(result.passes[0]))
    return {system: {key: spread for key in FIGURES if (spread := Spread.of(one[key] for one in found))}
            for system, found in rounds.items()}


def shown(spread: Spread) -> str:
    return str(spread) if spread.count > 1 else figure(spread.median)


def failures(plan: Plan, results: Sequence[Result]) -> list[str]:
    """Why the recommended setting is not among the best; nothing where it is."""
    found = {system: {key: spread.median for key, spread in spreads.items()}
             for system, spreads in by_system(results).items() if system.eviction}
    ours = next(values for system, values in found.items() if is_recommended(system, plan))
    hits, mean = max(one['hits'] for one in found.values()), min(one['mean'] for one in found.values())
    said = []
    if ours['hits'] < hits - HITS_WITHIN:
        said.append(f'the recommended setting has {ours["hits"]:.3f} hits, another one {hits:.3f}')
    if ours['mean'] > mean * MEAN_WITHIN:
        said.append(f'the recommended setting takes {ours["mean"]:.1f} ms, another one {mean:.1f} ms')
    return said


def main(argv=None) -> None:
    args = arguments(argv)
    args.nodes, facts = 1, common.machine()
    task = work(args)
    with TemporaryDirectory(prefix='swiftahead-', dir=args.dir or next(folders_with_xattrs(), None)) as folder:
        plans: list[Plan] = []
        results = Runs(args, task, Path(folder) / 'plain', [System(live.PLAIN)]).run(
            lambda lab: plans.append(planned(lab.log('proxy1'), task.bodies)))
        plan, = plans
        common.say(f'  recommended: {plan.recommended}, cache_size = {plan.cache_size}')
        task = Work(task.plan, task.bodies, plan.cache_bytes, 1)
        for number in range(args.rounds):
            for place, group in enumerate(groups(settings(plan))):
                results += Runs(args, task, Path(folder) / f'{number}-{place}', group).run()
    if wrong := live.wrong(results):
        raise common.BenchError(f'{wrong} answers were not what had been uploaded')
    common.show(args, facts, tables(plan, results), (), NOTES)
    if said := failures(plan, results):
        common.say('; '.join(said))
        sys.exit(1)


if __name__ == '__main__':
    sys.exit(common.run(main))
