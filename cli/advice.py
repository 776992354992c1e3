"""Which of the settings that were tried is worth its bytes, and why."""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2

from .cells import EVICTIONS, Cell
from .shown import percent

# share of the reads by which another setting must be better than a simpler one
WORTHWHILE = 0.005
# and each doubling of the cache better than the size before
DOUBLING = 0.02
# objects fetched in vain for each read more that is a hit, at most
VAIN = 1.0
# share of the reads below which no cache is worth its price
USEFUL = 0.05
SIMPLEST_FIRST = tuple(EVICTIONS)


@dataclass(frozen=True)
class Advice:
    """
    :param cell: the setting; None where none is worth it
    :param admit: which misses are kept
    """
    cell: Cell | None
    reason: str
    admit: str = 'all'


def advise(cells: Sequence[Cell]) -> Advice:
    """:param cells: of one trace; the last pass counts, since a cache that runs has learned"""
    last = max(cell.number for cell in cells)
    by_size: dict[int, list[Cell]] = {}
    for cell in cells:
        if cell.number == last:
            by_size.setdefault(cell.cache_bytes, []).append(cell)
    best = [best_of(by_size[size]) for size in sorted(by_size)]
    useful = [cell for cell in best if cell.object_hit_ratio >= USEFUL]
    if not useful:
        top = best[-1]
        return Advice(None, f'the best of these settings answers {percent(top.object_hit_ratio)} of the reads '
                            'from the cache; none without prefetching can answer more than '
                            + percent(top.bound.object_hit_ratio))
    chosen = useful[knee(useful)]
    return Advice(chosen, '; '.join([*_setting(chosen, by_size[chosen.cache_bytes]), *_size(chosen, best)]))


def with_admission(advice: Advice, cell: Cell, ratio: float) -> Advice:
    """:param ratio: the object hit ratio of the cell with `admit = second_hit`"""
    gained = ratio - cell.object_hit_ratio
    if gained < WORTHWHILE:
        return advice
    return replace(advice, admit='second_hit', reason=f'{advice.reason}; keeping what is read a second time alone '
                   f'gains another {gained * 100:.1f} points')


def best_of(cells: Sequence[Cell]) -> Cell:
    """Of one cache size: the simplest that is near the best; prefetching where it earns its bytes."""
    cells = sorted(cells, key=_simplicity)
    plain = {cell.eviction: cell for cell in cells if not cell.prefetch}
    worth = [cell for cell in cells if not cell.prefetch or _earns(cell, plain[cell.eviction])]
    most = max(cell.object_hit_ratio for cell in worth)
    return next(cell for cell in worth if cell.object_hit_ratio >= most - WORTHWHILE)


def _simplicity(cell):
    return cell.prefetch, SIMPLEST_FIRST.index(cell.eviction)


def _earns(cell, plain):
    gained = cell.object_hit_ratio - plain.object_hit_ratio
    return gained >= WORTHWHILE and cell.vain_ratio <= VAIN * gained


def knee(best: Sequence[Cell]) -> int:
    """The largest size, of those in ascending order, that is still worth its bytes against the last that was."""
    chosen = 0
    for number in range(1, len(best)):
        doublings = log2(best[number].cache_bytes / max(1, best[chosen].cache_bytes))
        if best[number].object_hit_ratio - best[chosen].object_hit_ratio >= DOUBLING * max(doublings, 1e-9):
            chosen = number
    return chosen


def _setting(chosen, others):
    """How much it answers, and what the alternatives at this size would."""
    yield f'{percent(chosen.object_hit_ratio)} of the reads are hits'
    plain = [cell for cell in others if not cell.prefetch]
    if chosen.prefetch:
        same = next(cell for cell in plain if cell.eviction == chosen.eviction)
        gained = chosen.object_hit_ratio - same.object_hit_ratio
        yield (f'without prefetching {percent(same.object_hit_ratio)}, and for each read that is a hit by it '
               f'{chosen.vain_ratio / gained:.2f} objects are fetched in vain')
    elif any(cell.prefetch for cell in others):
        yield 'prefetching gains too little here for what it fetches in vain'
    simplest = min(plain, key=_simplicity)
    if simplest.eviction != chosen.eviction:
        yield f'{simplest.eviction} without prefetching has {percent(simplest.object_hit_ratio)}'


def _size(chosen, best):
    larger = [cell for cell in best if cell.cache_bytes > chosen.cache_bytes]
    if not larger:
        yield 'no larger cache was tried'
        return
    gained = larger[0].object_hit_ratio - chosen.object_hit_ratio
    yield (f'{larger[0].cache_bytes / max(1, chosen.cache_bytes):.3g} times the cache would gain '
           f'{max(0.0, gained) * 100:.1f} points more')
