"""The curves of a plan as a picture. matplotlib comes with the extra `plan`; it is not imported before."""
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .grid import Cell
from .shown import in_units

SUFFIXES = ('.png', '.svg')
PANELS = {'object_hit_ratio': 'reads answered from the cache', 'byte_hit_ratio': 'bytes answered from the cache'}

# letters of a trace's name
LONGEST = 60


def what_is_missing(path: str) -> str:
    """Why that file cannot be drawn, in a sentence; '' where it can."""
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
    """One row of panels for each trace, the last pass alone. :raises OSError: it cannot be written"""
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
    name = name if len(name) <= LONGEST else f'{name[:LONGEST - 3]}...'
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
