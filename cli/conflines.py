"""The recommended setting as lines of conf files."""
from collections.abc import Iterator

from ..conf import FILTER, SIDECAR
from ..conf.casts import size
from .advice import Advice
from .cells import Cell, Question
from .shown import in_units

# what the filter keeps and has fetched, where it is not told otherwise
DEFAULTS = {option.name: size(option.default) for option in FILTER.options
            if option.name in ('max_object_size', 'fetch_whole')}
# of cache_size what is in use on average, between the water marks, where they are not changed
KEPT = sum(float(option.default) for option in SIDECAR.options if option.name.endswith('_water')) / 200


def lines(advice: Advice, question: Question, footprint: int) -> Iterator[str]:
    """:param footprint: bytes of all objects"""
    cell = advice.cell
    if cell is None:
        yield 'recommended: no cache'
        return
    learn = 'on' if cell.prefetch else 'off'
    # what is larger than all that is read stays empty
    bytes_ = in_units(min(cell.cache_bytes, footprint))
    yield f'recommended: {bytes_}, {cell.eviction}, prefetch {learn}; in swiftahead-sidecar.conf,'
    yield from ('with the room for headers and water marks:', '', '    [sidecar]')
    # what is cached with headers: many small entries take far more than the same bytes in a few large ones
    yield f'    cache_size = {in_units(cell.counts.disk_bytes / KEPT)}'
    yield from (f'    eviction = {cell.eviction}', f'    admit = {advice.admit}', '')
    yield from ('    [prefetcher]', f'    learn = {learn}')
    if cell.prefetch:
        yield f'    neighbours = {"on" if question.listing is not None and advice.neighbours else "off"}'
    yield from _limits(cell, question)


def _limits(cell: Cell, question: Question) -> Iterator[str]:
    """Of another size than where nothing is said; larger ones only where the cache has room for such objects."""
    given = {name: value for name, default in DEFAULTS.items()
             if (value := getattr(question, name)) != default and not value > default >= cell.cache_bytes}
    # to the byte, where it is no round number: an object of just that size is to be kept
    found = [f'    {name} = {in_units(value) if size(in_units(value)) == value else value}'
             for name, value in given.items()]
    yield from (line for line in found if 'max_object_size' in line)
    yield ''
    if found:
        yield from ('and in proxy-server.conf:', '', '    [filter:prefetch]', *found, '')
