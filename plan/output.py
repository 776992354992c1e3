"""Write a plan's answer: the table, the recommended setting as lines of conf files, and the curves as a picture.

matplotlib comes with the extra `plan`; nothing imports it before it is to draw.
"""
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from ..conf import FILTER, PREFETCHER
from ..conf.casts import size
from .grid import Cell, GridSpec
from .room import HIGH

HEADINGS = ('cache', '', 'pass', 'eviction', 'prefetch', 'hits', 'bytes', 'used', 'in vain', 'late', 'GETs saved')

KEY = (
    'hits, bytes  share of the reads, and of their bytes, that the cache answers',
    'used         share of the prefetched objects that were read; in vain: bytes of the others',
    'late         prefetched objects that were read while they were still on their way',
    'GETs saved   GETs that the backend is spared, as a share of the reads',
    'bound        no cache without prefetching has more hits or bytes')


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


# -- conf files ------------------------------------------------------------------------------------------

# the filter's own defaults
DEFAULTS = {option.name: size(option.default) for option in (*PREFETCHER.options, *FILTER.options)
            if option.name in ('max_object_size', 'fetch_whole')}


def rounded(count: float) -> int:
    """Round bytes as the conf file writes them, with a unit."""
    return size(in_units(count))


def room_for(count: int) -> int:
    """Give the cache_size in which entries of so many bytes pass no water mark."""
    # a little more, so that rounding leaves no less
    return rounded(count * 1.001 * 100 / HIGH)


def written(count: int) -> str:
    """Write bytes with a unit, or to the byte where that is not exact."""
    return in_units(count) if rounded(count) == count else str(count)


def conf_lines(cell: Cell | None, spec: GridSpec) -> Iterator[str]:
    if cell is None:
        yield 'recommended: no cache'
        return
    learner, prefetch = ('sequence', 'on') if cell.prefetch else ('off', 'off')
    yield (f'recommended: {in_units(cell.cache_bytes)}, {cell.eviction}, prefetch {prefetch}; '
           'in swiftahead-sidecar.conf:')
    yield from ('', '    [sidecar]', f'    cache_size = {written(cell.cache_bytes)}')
    yield from (f'    eviction = {cell.eviction}', f'    admit = {cell.admit}', '')
    yield from ('    [prefetcher]', f'    learner = {learner}')
    if cell.prefetch and spec.listing is None:
        yield '    # neighbours were not tried, since no --listing tells their names; the figures are without'
    elif cell.prefetch:
        yield f'    neighbours = {"on" if cell.neighbours else "off"}'
    yield from _limits(cell, spec)


def _limits(cell: Cell, spec: GridSpec) -> Iterator[str]:
    """Yield limits that differ from the defaults; larger ones only where the cache has room for such objects."""
    given = {name: value for name, default in DEFAULTS.items()
             if (value := getattr(spec, name)) != default and not value > default >= cell.cache_bytes}
    found = {name: f'    {name} = {written(value)}' for name, value in given.items()}
    if 'max_object_size' in found:
        yield found.pop('max_object_size')
    yield ''
    if found:
        yield from ('and in proxy-server.conf:', '', '    [filter:prefetch]', *found.values(), '')


# -- curves ----------------------------------------------------------------------------------------------

SUFFIXES = ('.png', '.svg')
PANELS = {'object_hit_ratio': 'reads answered from the cache', 'byte_hit_ratio': 'bytes answered from the cache'}

# letters of a trace's name that are drawn
LONGEST_NAME = 60


def plot_fault(path: str) -> str:
    """Explain in a sentence why the file cannot be drawn; '': it can."""
    if Path(path).suffix.lower() not in SUFFIXES:
        return f'--plot {path}: the name must end in {" or ".join(SUFFIXES)}'
    if not Path(path).absolute().parent.is_dir():
        return f'--plot {path}: there is no such folder'
    if Path(path).is_dir():
        return f'--plot {path}: Is a directory'
    if not os.access(path if os.path.exists(path) else Path(path).absolute().parent, os.W_OK):
        return f'--plot {path}: it may not be written there'
    if find_spec('matplotlib') is None:
        return "--plot needs matplotlib; install it with: pip install 'swiftahead[plan]'"
    return ''


def draw(path: str, cells: Sequence[Cell]) -> None:
    """Draw a row of panels for each trace, the last pass alone. :raises OSError: cannot be written"""
    # no pyplot: that one looks for a screen
    from matplotlib.figure import Figure

    traces = list(dict.fromkeys(cell.trace for cell in cells))
    last = max(cell.number for cell in cells)
    figure = Figure(figsize=(15, 5 * len(traces)), layout='constrained')
    grid = figure.subplots(len(traces), len(PANELS), squeeze=False)
    for trace, row in zip(traces, grid, strict=True):
        for ratio, axes in zip(PANELS, row, strict=True):
            _panel(axes, [cell for cell in cells if cell.trace == trace and cell.number == last], ratio)
            axes.set_title(_shortened(Path(trace).name) + (f', pass {last}' if last > 1 else ''))
    # beside the panels, since curves may be anywhere in them
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc='outside right upper', fontsize='small')
    figure.savefig(path)


def _shortened(name):
    name = name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME - 3]}...'
    # else a formula begins
    return name.replace('$', r'\$')


def _panel(axes, cells, ratio):
    evictions = list(dict.fromkeys(cell.eviction for cell in cells))
    for number, eviction in enumerate(evictions):
        for prefetch in (False, True):
            _line(axes, [(cell.cache_bytes, getattr(cell, ratio)) for cell in cells
                         if (cell.eviction, cell.prefetch) == (eviction, prefetch)],
                  f'{eviction}{", prefetching" if prefetch else ""}', color=f'C{number}', marker='o',
                  linestyle='-' if prefetch else '--')
    _line(axes, [(cell.cache_bytes, getattr(cell.bound, ratio)) for cell in cells],
          'bound without prefetching', color='black', linestyle=':', marker='x')
    sizes = sorted({cell.cache_bytes for cell in cells})
    axes.set_xscale('log' if sizes[0] else 'linear')
    # slanted: sizes may be close to each other
    axes.set_xticks(sizes, [in_units(size) for size in sizes], rotation=45, ha='right',
                    fontsize='small')
    axes.set_xticks([], minor=True)
    axes.set(xlabel='cache_size', ylabel=PANELS[ratio], ylim=(0, 1.02))
    axes.yaxis.set_major_formatter('{x:.0%}')
    axes.grid(alpha=0.3)


def _line(axes, points, label, **style):
    points = sorted(set(points))
    axes.plot([size for size, _ in points], [value for _, value in points], label=label, **style)
