"""Choose the replayed setting that pays, and say why.

A hit costs GETs of the backend. Without prefetching each hit saves one, so that the most hits are the best.
Prefetching must pay against the best setting without, whatever its eviction.
"""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2

from ..eviction.policies import POLICIES
from .grid import Cell
from .output import percent

# share of the reads by which another setting must be better than a simpler one
WORTHWHILE = 0.005
# and each doubling of the cache better than the size before
DOUBLING = 0.02
# upper bound on further GETs for each hit gained by prefetching
PRICE = 1.0
# share of the reads that is printed as 0.0 points
NEGLIGIBLE = 0.0005
# share of the reads below which no cache pays
USEFUL = 0.05
SIMPLEST_FIRST = tuple(POLICIES)


@dataclass(frozen=True)
class Advice:
    """
    :param cell: the recommended setting; None: no cache
    :param reason: its figures and those of others, in phrases
    :param warnings: doubts about the figures, in sentences
    """
    cell: Cell | None
    reason: str
    warnings: tuple[str, ...] = ()


def of_last_pass(cells: Sequence[Cell]) -> list[Cell]:
    """Select the last pass, which alone counts: a running cache has learned."""
    last = max(cell.number for cell in cells)
    return [cell for cell in cells if cell.number == last]


def recommended_size(cells: Sequence[Cell]) -> int | None:
    """Choose a cache_size; None: none is useful. :param cells: of one trace and pass"""
    useful = [cell for cell in best_of_each_size(cells) if cell.object_hit_ratio >= USEFUL]
    return useful[knee(useful)].cache_bytes if useful else None


def advise(cells: Sequence[Cell], chosen: Cell | None, size: int | None) -> Advice:
    """Recommend a setting, and give the reasons.

    :param cells: all settings of one trace and pass
    :param chosen: one of them, or its like in a smaller cache; None: none is useful
    :param size: the cache_size of the settings to compare with
    """
    if chosen is None:
        best = best_of_each_size(cells)[-1]
        return Advice(None, '; '.join(_useless(best, cells)), tuple(_warnings(best)))
    same_size = [cell for cell in cells if cell.cache_bytes == size]
    reason = '; '.join([*_setting(chosen, same_size), *_size(chosen, cells)])
    return Advice(chosen, reason, tuple(_warnings(chosen)))


# -- the rules ---------------------------------------------------------------------------------------------

def best_of_each_size(cells: Sequence[Cell]) -> list[Cell]:
    by_size: dict[int, list[Cell]] = {}
    for cell in cells:
        by_size.setdefault(cell.cache_bytes, []).append(cell)
    return [best_of(by_size[size]) for size in sorted(by_size)]


def best_of(cells: Sequence[Cell]) -> Cell:
    """Choose, for one cache size, the most hits less GETs of the settings that pay, or a simpler one near that."""
    base = best_plain(cells)
    paying = [cell for cell in cells if cell.prefetch and _pays(cell, base)]
    return _simplest_of(paying, _balance) if paying else base


def best_plain(cells: Sequence[Cell]) -> Cell:
    """Choose the most hits without prefetching, or a simpler setting near that."""
    return _simplest_of([cell for cell in cells if not cell.prefetch], lambda cell: cell.object_hit_ratio)


def _simplest_of(cells, score):
    most = max(map(score, cells))
    return min((cell for cell in cells if score(cell) >= most - WORTHWHILE), key=_complexity)


def _complexity(cell):
    return cell.admit != 'all', cell.neighbours, SIMPLEST_FIRST.index(cell.eviction)


def _balance(cell):
    return cell.object_hit_ratio - cell.gets_ratio / PRICE


def _pays(cell, base):
    gained = _gained(cell, base)
    return gained >= _least(cell) and _more_gets(cell, base) <= PRICE * gained


def _least(cell):
    """Give the least gain that counts: more than the error of the estimate."""
    return max(WORTHWHILE, cell.off.hits)


def _gained(cell, base):
    return cell.object_hit_ratio - base.object_hit_ratio


def _more_gets(cell, base):
    return cell.gets_ratio - base.gets_ratio


def knee(best: Sequence[Cell]) -> int:
    """Find the largest size, in ascending order, that still pays for its bytes against the last that did."""
    chosen = 0
    for number in range(1, len(best)):
        doublings = log2(best[number].cache_bytes / max(1, best[chosen].cache_bytes))
        if best[number].object_hit_ratio - best[chosen].object_hit_ratio >= DOUBLING * max(doublings, 1e-9):
            chosen = number
    return chosen


# -- the reasons -------------------------------------------------------------------------------------------

def _useless(best, cells) -> Iterator[str]:
    """Explain why no cache is recommended."""
    yield (f'the best of these settings answers {percent(best.object_hit_ratio)} of the reads from the cache; '
           f'none without prefetching can answer more than {percent(best.bound.object_hit_ratio)}')
    yield from _prefetching([cell for cell in cells if cell.cache_bytes == best.cache_bytes])


def _setting(chosen, others) -> Iterator[str]:
    """Compare the chosen setting with others of its size."""
    yield f'{percent(chosen.object_hit_ratio)} of the reads are hits, with {_gets(chosen)}'
    if chosen.prefetch:
        yield _price_of_hits(chosen, best_plain(others))
    else:
        yield from _prefetching(others)
    yield from _otherwise(chosen, others)
    simplest = min((cell for cell in others if not cell.prefetch), key=_complexity)
    if simplest.eviction != chosen.eviction:
        yield f'{simplest.eviction} without prefetching has {percent(simplest.object_hit_ratio)}'


def _gets(cell):
    return f'{cell.gets_ratio:.3f} GETs of the backend for each read'


def _price_of_hits(chosen, base):
    more = _more_gets(chosen, base) / _gained(chosen, base)
    price = f'{more:.2f} GETs more' if more > 0 else 'no GET more'
    return (f'{_called(base)}, the best without prefetching, has {percent(base.object_hit_ratio)} with '
            f'{base.gets_ratio:.3f}, so that each hit that is gained costs {price}')


def _prefetching(cells) -> Iterator[str]:
    """Explain why prefetching is not recommended, where it was tried."""
    tried = [cell for cell in cells if cell.prefetch]
    if not tried:
        return
    base, most = best_plain(cells), max(tried, key=lambda cell: (cell.object_hit_ratio, -cell.gets_ratio))
    gained, more = _gained(most, base), _more_gets(most, base)
    what = f'{_points(gained)} of hits, to {percent(most.object_hit_ratio)} with {_called(most)} at best'
    if abs(gained) < NEGLIGIBLE:
        yield f'prefetching would change nothing of the hits, with {_called(most)} at best'
    elif gained < 0:
        yield f'prefetching would lose {what}'
    elif gained < _least(most):
        yield (f'prefetching would gain {what}, where less than {_points(_least(most))} is too little to be '
               'recommended')
    else:
        yield (f'prefetching would gain {what}, and each of these hits would cost {more / gained:.2f} GETs more, '
               f'of which {PRICE:g} is the most that it is worth')
    if not any(cell.neighbours for cell in tried):
        yield 'neighbours, which foresee first reads, were not tried without a --listing'


def _otherwise(chosen, others) -> Iterator[str]:
    """Tell the share of admission and neighbours."""
    like = {(cell.eviction, cell.prefetch, cell.admit, cell.neighbours): cell for cell in others}
    if chosen.admit != 'all':
        peer = like.get((chosen.eviction, chosen.prefetch, 'all', chosen.neighbours))
        if peer is not None:
            yield f'it has {percent(peer.object_hit_ratio)} where all misses are kept at their first read'
    peer = like.get((chosen.eviction, chosen.prefetch, 'all', True))
    if peer is not None and not chosen.neighbours:
        yield f'with neighbours it has {percent(peer.object_hit_ratio)} and {_gets(peer)}'


def _called(cell):
    more = [cell.eviction, 'second_hit' if cell.admit != 'all' else '', 'neighbours' if cell.neighbours else '']
    return ', '.join(filter(None, more))


def _points(share):
    return f'{abs(share) * 100:.1f} points'


def _size(chosen, cells) -> Iterator[str]:
    larger = next((cell for cell in best_of_each_size(cells) if cell.cache_bytes > chosen.cache_bytes), None)
    if larger is None:
        yield 'no larger cache was tried'
        return
    gained, times = _gained(larger, chosen), larger.cache_bytes / max(1, chosen.cache_bytes)
    yield (f'{times:,.{0 if times >= 100 else 1}f} times the cache has {percent(larger.object_hit_ratio)} with '
           f'{_called(larger)}{", prefetching," if larger.prefetch else ""} at best, '
           f'{_points(gained)} {"more" if gained >= 0 else "less"}')


def _warnings(cell) -> Iterator[str]:
    """Warn where the log is too short for its figures."""
    ratio, count = cell.object_hit_ratio, cell.counts.requests
    # two standard errors of a share, which say nothing of one that is 0 or 1
    chance = max(2 * (max(0.0, ratio * (1 - ratio)) / count) ** 0.5, 3 / count)
    if chance > DOUBLING:
        yield (f'The log is short: with {count:,} reads such figures are off by {chance * 100:.1f} points or more '
               'by chance alone, so that settings that are nearer to each other cannot be told apart.')
    if cell.late_hit_ratio - ratio > DOUBLING:
        yield (f'The log is too short to show what the cache comes to, which begins empty: of the second half of '
               f'the reads {percent(cell.late_hit_ratio)} are hits.')
