"""``swiftahead plan``: work out a cache's gain from the operator's own logs, before the SSD is bought."""
import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ..conf.arguments import argument, whole
from ..conf.casts import size
from ..eviction.policies import POLICIES
from ..plan.advice import Advice, advise, best_of, of_last_pass, recommended_size
from ..plan.grid import Cell, GridSpec, cells, learned_from, otherwise
from ..plan.listing import Listing, sizes
from ..plan.output import DEFAULTS, KEY, conf_lines, draw, in_units, plot_fault, room_for, rounded, table
from ..plan.room import disk_bytes, high_bytes
from ..plan.traces import COLUMNS, STDIN, LogError, Trace, read_all
from .main import CommandError

SIZES = ('1%', '5%', '10%', '25%')
SAMPLE = 250_000
GIB = 2**30
# each pass takes as long as the first
MOST_PASSES = 1000
# columns of the printed text
WIDTH = 98


@dataclass(frozen=True)
class Size:
    """A size as given: percent of the cache_size that has room for all objects, or bytes."""
    percent: float | None
    bytes: int

    def of(self, whole: int) -> int:
        return self.bytes if self.percent is None else rounded(whole * self.percent / 100)


def add_parsers(commands) -> None:
    plan = commands.add_parser(
        'plan', help='what a cache would gain, from access logs',
        description="Replays reads from access logs of Swift's proxy-logging, or from traces with the header "
                    f'{COLUMNS}, and shows what caches of several sizes would have answered.')
    plan.add_argument('logs', nargs='+', metavar='LOG', help='a file, gzipped or not; -: standard input')
    plan.add_argument('--cache-size', action='append', type=_size, metavar='SIZE',
                      help='10%%, of a cache with room for all objects, or 50GiB; repeatable (default: '
                           f'{", ".join(SIZES).replace("%", "%%")})')
    plan.add_argument('--eviction', action='append', choices=tuple(POLICIES), help='repeatable (default: all)')
    plan.add_argument('--max-object-size', type=argument(size), metavar='SIZE',
                      help='of objects that are kept, at most (default: as large as any that is read)')
    plan.add_argument('--fetch-whole', type=argument(size), default=DEFAULTS['fetch_whole'], metavar='SIZE',
                      help='of objects that are fetched whole when a part was read, at most (default: '
                           f'{in_units(DEFAULTS["fetch_whole"])}, as in the conf file)')
    plan.add_argument('--passes', type=whole(1, MOST_PASSES), default=1, metavar='N',
                      help='times that the reads are replayed, one after the other (default: %(default)s)')
    plan.add_argument('--listing', metavar='FILE', help='names that exist, read or not, one in a line')
    plan.add_argument('--sample', type=whole(1), default=SAMPLE, metavar='N',
                      help='reads that are learned from at most (default: %(default)s); of a longer log a part '
                           'is, and the error told')
    plan.add_argument('--plot', metavar='FILE', help='the curves as a picture, .png or .svg')
    plan.add_argument('--json', action='store_true', help='one JSON document on standard output')
    plan.set_defaults(run=run)


def _size(value: str) -> Size:
    number = value.strip()
    try:
        if number.endswith('%'):
            return Size(_percent(number[:-1]), 0)
        return Size(None, size(number))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{value}: {error}, or a share such as 10%') from None


def _percent(number):
    share = float(number) if number.replace('.', '', 1).isdecimal() else 0.0
    if not 0 < share <= 100:
        raise ValueError('must be above 0 % and at most 100 %')
    return share


# -- the command -------------------------------------------------------------------------------------------

def run(args) -> int:
    """Replay the logs, and print the figures and the recommendation.

    :returns: 0, whatever is recommended
    """
    if args.plot and (fault := plot_fault(args.plot)):
        raise CommandError(fault)
    if args.listing == STDIN and STDIN in args.logs:
        raise CommandError('standard input is given twice, as a log and as the listing')
    tell = Teller(sys.stderr)
    try:
        traces = read_all(args.logs, tell)
        listings = Listing(args.listing).of(traces) if args.listing else [None] * len(traces)
        answers = [_answer(args, trace, listing, tell)
                   for trace, listing in zip(traces, listings, strict=True)]
    except LogError as error:
        raise CommandError(str(error)) from None
    finally:
        tell.end()
    found = [cell for answer in answers for cell in answer.cells]
    if args.json:
        print(json.dumps([cell.row() for cell in found]))
    for answer in answers:
        # with --json nothing else may be on standard output
        _print(answer, sys.stderr if args.json else sys.stdout, with_table=not args.json)
    if args.plot:
        _draw(args.plot, found)
    return 0


@dataclass(frozen=True)
class PlanReport:
    """The result for one trace.

    :param whole: the cache_size that has room for all objects
    """
    trace: Trace
    whole: int
    spec: GridSpec
    cells: list[Cell]
    advice: Advice
    notes: list[str]


def _answer(args, trace, listing, tell) -> PlanReport:
    whole = room_for(sum(map(disk_bytes, sizes(trace.reads).values())))
    wanted = sorted({given.of(whole) for given in args.cache_size or map(_size, SIZES)})
    spec = GridSpec(wanted, list(dict.fromkeys(args.eviction or POLICIES)), args.passes, args.sample, listing,
                        _max_object_size(args.max_object_size, trace), args.fetch_whole)
    found = list(cells(trace, spec, tell))
    notes = [*trace.notes, *_not_kept(trace, spec), *_error(trace, spec, found)]
    return PlanReport(trace, whole, spec, found, _advice(trace, spec, whole, found, tell), notes)


def _advice(trace, spec, whole, found, tell) -> Advice:
    found = of_last_pass(found)
    bytes_ = recommended_size(found)
    if bytes_ is None:
        return advise(found, None, None)
    tried = [cell for cell in found if cell.cache_bytes == bytes_]
    tell_more = partial(otherwise, trace, spec, tell=tell)
    for make in (_without_neighbours, _second_hit):
        tried += [tell_more(cell, **changes) for cell, changes in make(spec, tried)]
    chosen = best_of(tried)
    if bytes_ > whole:
        chosen = _no_worse(tell_more(chosen, cache_bytes=whole), chosen)
    return advise([*(cell for cell in found if cell.cache_bytes != bytes_), *tried], chosen, bytes_)


def _no_worse(smaller, larger) -> Cell:
    """Choose the smaller cache if the rest of the larger one would stay empty."""
    is_worse = smaller.object_hit_ratio < larger.object_hit_ratio or smaller.gets_ratio > larger.gets_ratio
    return larger if is_worse else smaller


def _without_neighbours(spec, tried):
    """Yield the best setting without neighbours: with a listing, too many may be fetched in vain."""
    if spec.listing is not None:
        eviction = best_of(tried).eviction
        yield next(cell for cell in tried if cell.prefetch and cell.eviction == eviction), {'neighbours': False}


def _second_hit(spec, tried):
    """Yield each setting without prefetching, and the best one, with no object kept before its second read."""
    best = best_of(tried)
    for cell in tried:
        if not cell.prefetch or cell == best:
            yield cell, {'admit': 'second_hit'}


def _max_object_size(given, trace):
    """Give `given` if there is one, else the conf file's default if it is enough, else whole GiB."""
    if given is not None:
        return given
    largest = max(read.bytes for read in trace.reads)
    return max(DEFAULTS['max_object_size'], -(-largest // GIB) * GIB)


def _not_kept(trace, spec) -> Iterator[str]:
    """Note the reads of objects that are too large for every cache."""
    reads = len(trace.reads)
    large = sum(read.bytes > spec.max_object_size for read in trace.reads)
    if large:
        yield (f'{trace.name}: {_counted(large, "read")} of {reads:,} are of objects above max_object_size, '
               f'{in_units(spec.max_object_size)}, and never hits')
    most = high_bytes(max(spec.cache_bytes))
    larger = sum(disk_bytes(read.bytes) > most and read.bytes <= spec.max_object_size for read in trace.reads)
    if larger:
        yield (f'{trace.name}: {_counted(larger, "read")} of {reads:,} are of objects that none of these caches '
               f'has room for, and never hits; --cache-size tries others')
    parts = sum(read.part and spec.fetch_whole < read.bytes <= spec.max_object_size
                for read in trace.reads)
    if parts:
        yield (f'{trace.name}: {_counted(parts, "read")} of {reads:,} are of parts of objects above fetch_whole, '
               f'{in_units(spec.fetch_whole)}, which are kept only where somebody reads them whole; '
               '--fetch-whole tries another')


def _error(trace, spec, found) -> Iterator[str]:
    if len(trace.reads) > spec.most:
        hits, bytes_, vain = (max(off) for off in zip(*(cell.off for cell in found), strict=True))
        yield (f'{trace.name}: learned from {learned_from(trace, spec):,} of {len(trace.reads):,} reads, and '
               'once more from half of those, to see how much that changes; figures with prefetching are '
               f'estimates, off by about {hits * 100:.1f} points of hits, {bytes_ * 100:.1f} points of bytes, and '
               f'{vain:.0%} of what is in vain, as far as can be told')


# -- output ------------------------------------------------------------------------------------------------

class Teller:
    """Tell a terminal how far the plan is, in one line that is written over; other streams get nothing."""

    def __init__(self, stream):
        self._stream = stream
        self._is_terminal = stream.isatty()

    def __call__(self, text: str) -> None:
        if self._is_terminal:
            # a line that the terminal would break could not be written over
            most = shutil.get_terminal_size().columns - 1
            text = text if len(text) <= most else f'...{text[3 - most:]}'
            print(f'\r\x1b[K{text}', end='', file=self._stream, flush=True)

    def end(self) -> None:
        if self._is_terminal:
            print('\r\x1b[K', end='', file=self._stream, flush=True)


def _print(answer, stream, with_table):
    trace, known = answer.trace, sizes(answer.trace.reads)
    clients = len({read.client for read in trace.reads})
    lines = _wrapped(f'{trace.name}: {_counted(len(trace.reads), "read")} of {_counted(len(known), "object")} '
                     f'by {_counted(clients, "client")}, {in_units(sum(known.values()))} altogether, for which a '
                     f'cache_size of {in_units(answer.whole)} has room', '')
    for note in answer.notes:
        lines += _wrapped(note, '  ')
    if with_table:
        lines += ['', *table(answer.cells, answer.whole), '', *KEY, '']
    lines += [*conf_lines(answer.advice.cell, answer.spec), *_wrapped(f'because {answer.advice.reason}', '')]
    for warning in answer.advice.warnings:
        lines += ['', *_wrapped(warning, '')]
    print('\n'.join(lines), file=stream)


def _counted(number, what):
    return f'{number:,} {what}{"" if number == 1 else "s"}'


def _wrapped(text, indent):
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + '  ',
                         break_long_words=False, break_on_hyphens=False)


def _draw(path, found):
    try:
        draw(path, found)
    except OSError as error:
        raise CommandError(f'--plot {path}: {error.strerror or error}') from None
