"""Some of the cases of a product, among which each two values of two lists meet at least once."""
from collections.abc import Iterator, Sequence
from itertools import combinations, product

# place of a list, and one of its values
Choice = tuple[int, object]


def pairwise(*lists: Sequence) -> list[tuple]:
    """The same ones each time; few, not fewest."""
    missing = {pair for one, other in combinations(enumerate(lists), 2)
               for pair in product(*([(place, value) for value in values] for place, values in (one, other)))}
    # in an order that does not depend on the hashes of texts
    waiting = sorted(missing, key=repr, reverse=True)
    found = []
    while missing:
        pair = waiting.pop()
        if pair in missing:
            case = _filled(dict(pair), lists, missing)
            missing -= set(_pairs(case))
            found.append(tuple(case[place] for place in range(len(lists))))
    return found


def _filled(case: dict, lists, missing) -> dict:
    """With the values that bring most of what is missing."""
    for place, values in enumerate(lists):
        if place not in case:
            case[place] = max(values, key=lambda value: len(missing & set(_pairs({**case, place: value}))))
    return case


def _pairs(case: dict) -> Iterator[tuple[Choice, Choice]]:
    return combinations(sorted(case.items(), key=lambda choice: choice[0]), 2)
