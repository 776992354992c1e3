"""The recommended setting as lines of conf files."""
from collections.abc import Iterator

from ..conf import FILTER, PREFETCHER
from ..conf.casts import size
from .advice import Advice
from .grid import Cell, GridSpec
from .room import HIGH
from .shown import in_units

# what the filter keeps and has fetched, where it is not told otherwise
DEFAULTS = {option.name: size(option.default) for option in (*PREFETCHER.options, *FILTER.options)
            if option.name in ('max_object_size', 'fetch_whole')}


def rounded(count: float) -> int:
    """As many bytes as are written in a conf file for so many, with a unit."""
    return size(in_units(count))


def room_for(count: int) -> int:
    """The cache_size in which entries of so many bytes pass no water mark."""
    # a little more, so that rounding leaves no less
    return rounded(count * 1.001 * 100 / HIGH)


def written(count: int) -> str:
    """To the byte, where it is no round number."""
    return in_units(count) if rounded(count) == count else str(count)


def lines(advice: Advice, question: GridSpec) -> Iterator[str]:
    cell = advice.cell
    if cell is None:
        yield 'recommended: no cache'
        return
    learner, prefetch = ('sequence', 'on') if cell.prefetch else ('off', 'off')
    yield (f'recommended: {in_units(cell.cache_bytes)}, {cell.eviction}, prefetch {prefetch}; '
           'in swiftahead-sidecar.conf:')
    yield from ('', '    [sidecar]', f'    cache_size = {written(cell.cache_bytes)}')
    yield from (f'    eviction = {cell.eviction}', f'    admit = {cell.admit}', '')
    yield from ('    [prefetcher]', f'    learner = {learner}')
    if cell.prefetch and question.listing is None:
        yield '    # neighbours were not tried, since no --listing tells their names; the figures are without'
    elif cell.prefetch:
        yield f'    neighbours = {"on" if cell.neighbours else "off"}'
    yield from _limits(cell, question)


def _limits(cell: Cell, question: GridSpec) -> Iterator[str]:
    """Of another size than where nothing is said; larger ones only where the cache has room for such objects."""
    given = {name: value for name, default in DEFAULTS.items()
             if (value := getattr(question, name)) != default and not value > default >= cell.cache_bytes}
    found = {name: f'    {name} = {written(value)}' for name, value in given.items()}
    if 'max_object_size' in found:
        yield found.pop('max_object_size')
    yield ''
    if found:
        yield from ('and in proxy-server.conf:', '', '    [filter:prefetch]', *found.values(), '')
