"""A plan's figures as text."""
from collections.abc import Iterator

from .grid import Cell

HEADINGS = ('cache', '', 'pass', 'eviction', 'prefetch', 'hits', 'bytes', 'used', 'in vain', 'late', 'GETs saved')

KEY = (
    'hits, bytes  of the reads, and of their bytes, what the cache answers',
    'used         of the prefetched objects, those that were read; in vain: bytes of the others',
    'late         prefetched objects that were read while they were still on their way',
    'GETs saved   of the reads, by how many the backend has fewer GETs to answer',
    'bound        what no cache can pass that does not prefetch')


def table(cells: list[Cell], footprint: int) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [HEADINGS]
    for number, cell in enumerate(cells):
        share = percent(cell.cache_bytes / footprint) if footprint else '-'
        if number == 0 or (cells[number - 1].cache_bytes != cell.cache_bytes):
            rows += [_bound(one, share) for one in cells[number:] if one.cache_bytes == cell.cache_bytes
                     and (one.eviction, one.prefetch) == (cell.eviction, cell.prefetch)]
        rows.append((in_units(cell.cache_bytes), share, str(cell.number), cell.eviction,
                     'on' if cell.prefetch else 'off', percent(cell.object_hit_ratio),
                     percent(cell.byte_hit_ratio), percent(cell.precision),
                     in_units(cell.counts.wasted_bytes), f'{cell.counts.late:,}', percent(1 - cell.gets_ratio)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield '  '.join(text.rjust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _bound(cell, share):
    return (in_units(cell.cache_bytes), share, str(cell.number), 'bound', 'off',
            percent(cell.bound.object_hit_ratio), percent(cell.bound.byte_hit_ratio), '', '', '', '')


def in_units(count: float) -> str:
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if count < 1024:
            return f'{count:.4g} {unit}'
        count /= 1024
    return f'{count:.4g} TiB'


def percent(ratio: float | None) -> str:
    return '-' if ratio is None else f'{ratio * 100:.1f} %'
