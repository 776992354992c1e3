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
    :param setting: what it reaches, in phrases
    :param ways: how it came to be better than what was tried for all
    :param others: what others would reach
    :param admit: which misses are kept
    :param neighbours: whether names are fetched ahead that nobody has read, where they are told
    """
    cell: Cell | None
    setting: tuple[str, ...]
    ways: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    admit: str = 'all'
    neighbours: bool = True

    @property
    def reason(self) -> str:
        return '; '.join([*self.setting, *self.ways, *self.others])


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
        return Advice(None, tuple(_useless(best[-1], by_size[best[-1].cache_bytes])))
    chosen = useful[knee(useful)]
    same_size = by_size[chosen.cache_bytes]
    return Advice(chosen, tuple(_setting(chosen, same_size)),
                  others=(*_simplest(chosen, same_size), *_size(chosen, best)))


def improved(advice: Advice, cells: Sequence[Cell], how: str, **changes) -> Advice:
    """The same, changed, where the best of these cells gains enough by that.

    :param cells: of the recommended size and eviction, replayed with the changes
    """
    assert advice.cell is not None
    best = best_of(cells)
    gained = best.object_hit_ratio - advice.cell.object_hit_ratio
    if gained < WORTHWHILE:
        return advice
    ways = (*advice.ways, f'{gained * 100:.1f} points of them by {how}')
    return replace(advice, cell=best, setting=tuple(_setting(best, cells)), ways=ways, **changes)


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


def _in_vain(cell, plain):
    """In words, for each read that is a hit by prefetching."""
    gained = cell.object_hit_ratio - plain.object_hit_ratio
    return f'for each read that is a hit by it {cell.vain_ratio / gained:.2f} objects are fetched in vain'


def knee(best: Sequence[Cell]) -> int:
    """The largest size, of those in ascending order, that is still worth its bytes against the last that was."""
    chosen = 0
    for number in range(1, len(best)):
        doublings = log2(best[number].cache_bytes / max(1, best[chosen].cache_bytes))
        if best[number].object_hit_ratio - best[chosen].object_hit_ratio >= DOUBLING * max(doublings, 1e-9):
            chosen = number
    return chosen


def _useless(best, same_size):
    """Why no cache is recommended."""
    yield (f'the best of these settings answers {percent(best.object_hit_ratio)} of the reads from the cache; '
           f'none without prefetching can answer more than {percent(best.bound.object_hit_ratio)}')
    top = max(same_size, key=lambda cell: cell.object_hit_ratio)
    if top.prefetch and top.object_hit_ratio >= USEFUL:
        yield (f'{top.eviction} with prefetching would answer {percent(top.object_hit_ratio)}, but '
               + _in_vain(top, _plain_of(top, same_size)))


def _plain_of(cell, cells):
    return next(one for one in cells if not one.prefetch and one.eviction == cell.eviction)


def _setting(chosen, others):
    """How much it answers, and what prefetching has to do with it."""
    yield f'{percent(chosen.object_hit_ratio)} of the reads are hits'
    if chosen.prefetch:
        same = _plain_of(chosen, others)
        yield f'without prefetching {percent(same.object_hit_ratio)}, and {_in_vain(chosen, same)}'
    elif any(cell.prefetch for cell in others):
        yield 'prefetching gains too little here for what it fetches in vain'


def _simplest(chosen, others):
    simplest = min((cell for cell in others if not cell.prefetch), key=_simplicity)
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
