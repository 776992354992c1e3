"""Compare Swift alone, with a cache, and with a cache that learns: real reads on a real cluster on loopback.

    python tests/demo/demo.py [--trace FILE] [--speed N] [--files N] [--passes N] [--json FILE] [--keep]

Ends with 1 unless all answers are right, an object that a split brain has misplaced is found and moved home, and a
container is in step with one of another cluster.
Without a trace of one's own at least 30 % of the reads of pass 2 must be prefetched hits too, and their mean
latency below that of the same cache with learning off.
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swiftclient import ClientException

from swiftahead.cache.entry import expected_disk_bytes
from swiftahead.lab import LabError

from . import homing, recording, syncing, systems, tracefile
from . import outcome as outcomes
from .replay import Pass
from .screen import Screen

PAUSE = 1.0
# of a lab where nothing else is said
REPLICAS = 3


@dataclass(frozen=True)
class Workload:
    """What all systems are given to do."""
    plan: dict[str, list[tracefile.Step]]
    bodies: dict[str, systems.Body]
    cache_size: int
    share: float
    passes: int
    footprint: int


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--trace', type=Path,
                        help='CSV file: offset_ms[,client],object,bytes; else one is recorded')
    parser.add_argument('--speed', type=float, default=1, help='divide the waits between reads by this (1)')
    parser.add_argument('--files', type=int, default=300, help='reads to record when no trace is given (300)')
    parser.add_argument('--passes', type=int, default=2, help='times that the trace is read (2, at least 2)')
    parser.add_argument('--cache', type=float, default=25, metavar='PERCENT',
                        help='size of the cache, percent of what the objects occupy in it (25)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there too')
    parser.add_argument('--keep', action='store_true',
                        help='keep the folder with the labs, their logs and conf files')
    args = parser.parse_args(argv)
    if not 0 < args.speed < float('inf') or args.passes < 2 or args.files < 2 or not 0 < args.cache <= 1000:
        parser.error('--speed and --cache must be above 0, --passes and --files at least 2')
    return args


def prepare(args, screen: Screen) -> Workload:
    if args.trace:
        reads = tracefile.read_trace(args.trace)
        sizes = tracefile.sizes(reads)
        bodies = systems.made_up_bodies(sizes)
        source = str(args.trace)
    else:
        reads = recording.record_here(args.files)
        sizes = tracefile.sizes(reads)
        bodies = systems.library_bodies(recording.library(), sizes)
        source = "Python opening the standard library's files, recorded just now"
    footprint = sum(expected_disk_bytes(size) for size in sizes.values())
    share = args.cache / 100
    task = Workload(tracefile.steps(reads, args.speed), bodies, int(footprint * share), share, args.passes,
                footprint)
    describe(screen, source, reads, sizes, footprint, task)
    return task


def describe(screen: Screen, source, reads, sizes, footprint, task: Workload):
    waits = max(sum(step.gap for step in steps) for steps in task.plan.values())
    total = waits * task.passes * len(systems.SYSTEMS)
    screen.say(f'Trace: {source}')
    screen.say(f'  {len(reads)} reads of {len(sizes)} objects ({sum(sizes.values()):,} bytes) '
               f'by {len(task.plan)} client(s), {waits:.1f} s of waits between the reads')
    screen.say(f'Cache: {task.cache_size:,} bytes, {task.share:.0%} of the {footprint:,} '
               'that these objects occupy in it')
    screen.say('  (each: a header of 4096 bytes, the body, 8 bytes per 64 KiB, in whole blocks of 4096)')
    screen.say(f'Object servers: slowed by {systems.LATENCY_MS} ms per request')
    if total > 300:
        screen.say(f'The waits alone take {total / 60:.0f} minutes; SPEED=n (--speed n) divides them.')
    screen.say()


def measure(system: systems.System, folder: Path, task: Workload, screen: Screen) -> list[outcomes.PassFigures]:
    """All passes through one system, on a cluster of its own."""
    screen.stage(f'{system.name}: starting the cluster')(0)
    results = []
    with systems.running(system, folder, task.cache_size) as lab:
        account = systems.log_in(lab.auth_url())
        progress = screen.stage(f'{system.name}: uploading', len(task.bodies))
        digests = systems.upload(account, task.bodies, progress)
        reads = sum(len(steps) for steps in task.plan.values())
        for number in range(1, task.passes + 1):
            # a program ends and is started again
            time.sleep(PAUSE)
            progress = screen.stage(f'{system.name}: pass {number} of {task.passes}', reads)
            readings = Pass(account, task.plan, digests, progress).run()
            results.append(outcomes.outcome(system.name, number, readings))
        screen.stage(f'{system.name}: taking the cluster down')(0)
    return results


@contextmanager
def work_folder(keep: bool, screen: Screen):
    """A temporary folder whose file system takes the attributes that Swift's object servers write."""
    folder = Path(tempfile.mkdtemp(prefix='swiftahead-', dir=next(folders_with_xattrs(), None)))
    try:
        yield folder
    finally:
        if keep:
            screen.say(f'kept: {folder}')
        else:
            shutil.rmtree(folder, ignore_errors=True)


def folders_with_xattrs():
    for parent in (tempfile.gettempdir(), '/var/tmp', str(Path.cwd())):
        try:
            with tempfile.NamedTemporaryFile(dir=parent) as probe:
                os.setxattr(probe.name, 'user.swift.probe', b'1')
        except OSError:
            continue
        yield parent


def heed_signals():
    """The first signal unwinds the stack, which takes the lab down; later ones must not interrupt that."""
    def stop(number, frame):
        for known in (signal.SIGINT, signal.SIGTERM):
            # not SIG_IGN, which programs started from now on would inherit
            signal.signal(known, lambda number, frame: None)
        raise SystemExit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def demonstrate(args, screen: Screen) -> int:
    begin = time.monotonic()
    if args.json:
        check_writable(args.json)
    task = prepare(args, screen)
    results = []
    with work_folder(args.keep, screen) as folder:
        check_room(folder, task)
        for number, system in enumerate(systems.SYSTEMS, 1):
            results += measure(system, folder / str(number), task, screen)
    failures = outcomes.wrongs(results)
    shortfalls = outcomes.shortfalls(results, systems.UNLEARNED.name, systems.LEARNED.name)
    if not args.trace:
        failures += shortfalls
    screen.say()
    screen.say(outcomes.table(results))
    screen.say()
    failures += other_acts(args, screen)
    conclude(screen, failures, shortfalls if args.trace else [])
    screen.say(f'({time.monotonic() - begin:.0f} s)')
    if args.json:
        args.json.write_text(json.dumps(outcomes.as_json(results, failures), indent=1) + '\n')
    return 1 if failures else 0


def conclude(screen: Screen, failures: list[str], shortfalls: list[str]) -> None:
    """:param shortfalls: of reads that were never promised to gain"""
    for failure in failures:
        screen.say(f'FAILED: {failure}')
    if shortfalls:
        screen.say(f'With these reads {", and ".join(shortfalls)}. A larger CACHE=percent or a smaller SPEED '
                   'leaves more time to fetch; `swiftahead plan` tells what each size gains.')
    elif not failures:
        screen.say('As promised: prefetched hits in pass 2, a lower mean than without learning, '
                   'the misplaced object at home, and both clusters in step.')


def check_room(folder: Path, task: Workload) -> None:
    """One system's cluster and cache at a time. :raises TraceError: where the disk is too small"""
    needed, free = REPLICAS * task.footprint + task.cache_size, shutil.disk_usage(folder).free
    if needed > free:
        raise tracefile.TraceError(f'the objects take {needed:,} bytes with replicas and cache, and {folder} has '
                                   f'{free:,}; TMPDIR names another place')


def check_writable(path: Path) -> None:
    """Before minutes are spent on what is to be written there. :raises OSError:"""
    with open(path, 'a'):
        pass


def other_acts(args, screen: Screen) -> list[str]:
    """:returns: what was promised and did not hold"""
    failures = []
    for act, name in ((homing.act, 'split'), (syncing.act, 'two')):
        with work_folder(args.keep, screen) as folder:
            failures += act(folder / name, screen)
        screen.say()
    return failures


def main(argv=None) -> int:
    args = arguments(argv)
    screen = Screen()
    heed_signals()
    try:
        return demonstrate(args, screen)
    except (tracefile.TraceError, LabError, ClientException, OSError, http.client.HTTPException) as error:
        screen.say()
        print(f'demo: {error}', file=sys.stderr)
        return 2
