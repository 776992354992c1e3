"""The curves of a plan as a picture. matplotlib comes with the extra `plan`; it is not imported before."""
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .cells import Cell
from .shown import in_units

SUFFIXES = ('.png', '.svg')
PANELS = {'object_hit_ratio': 'reads answered from the cache', 'byte_hit_ratio': 'bytes answered from the cache'}


def what_is_missing(path: str) -> str:
    """Why that file cannot be drawn, in a sentence; '' where it can."""
    if Path(path).suffix.lower() not in SUFFIXES:
        return f'--plot {path}: the name must end in {" or ".join(SUFFIXES)}'
    if not Path(path).absolute().parent.is_dir():
        return f'--plot {path}: there is no such folder'
    if find_spec('matplotlib') is None:
        return "--plot needs matplotlib; install it with: pip install 'swiftahead[plan]'"
    return ''


def draw(path: str, cells: Sequence[Cell]) -> None:
    """One row of panels for each trace, the last pass alone. :raises OSError: it cannot be written"""
    # no pyplot: that one looks for a screen
    from matplotlib.figure import Figure

    traces = list(dict.fromkeys(cell.trace for cell in cells))
    last = max(cell.number for cell in cells)
    figure = Figure(figsize=(13, 5 * len(traces)), layout='constrained')
    grid = figure.subplots(len(traces), len(PANELS), squeeze=False)
    for trace, row in zip(traces, grid, strict=True):
        for (ratio, title), axes in zip(PANELS.items(), row, strict=True):
            _panel(axes, [cell for cell in cells if cell.trace == trace and cell.number == last], ratio)
            axes.set_title(f'{Path(trace).name}: {title}' + (f', pass {last}' if last > 1 else ''))
    figure.savefig(path)


def _panel(axes, cells, ratio):
    evictions = list(dict.fromkeys(cell.eviction for cell in cells))
    for number, eviction in enumerate(evictions):
        for prefetch in (False, True):
            _line(axes, [(cell.cache_bytes, getattr(cell, ratio)) for cell in cells
                         if (cell.eviction, cell.prefetch) == (eviction, prefetch)],
                  f'{eviction}{", prefetching" if prefetch else ""}', color=f'C{number}', marker='o',
                  linestyle='-' if prefetch else '--')
    _line(axes, [(cell.cache_bytes, getattr(cell.bound, ratio)) for cell in cells],
          'bound without prefetching', color='black', linestyle=':')
    sizes = sorted({cell.cache_bytes for cell in cells})
    axes.set_xscale('log' if sizes[0] else 'linear')
    axes.set_xticks(sizes, [in_units(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set(xlabel='cache', ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small', loc='lower right')


def _line(axes, points, label, **style):
    points = sorted(set(points))
    axes.plot([size for size, _ in points], [value for _, value in points], label=label, **style)
