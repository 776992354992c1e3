"""What is tried of a product each time, where the whole takes long."""
from itertools import combinations, product

from helpers.common.pairs import pairwise

LISTS = ['abcdefghijkl', 'ABCDEF', (1, 2, 3, 4, 5, 6, 7), (True, False)]


def test_each_two_values_meet():
    cases = pairwise(*LISTS)
    for one, other in combinations(range(len(LISTS)), 2):
        assert {(case[one], case[other]) for case in cases} == set(product(LISTS[one], LISTS[other]))


def test_they_are_few_each_is_of_the_product_and_none_is_twice():
    cases = pairwise(*LISTS)
    assert len(set(cases)) == len(cases) < 1.5 * 12 * 7
    assert set(cases) <= set(product(*LISTS))


def test_they_are_the_same_each_time():
    assert pairwise(*LISTS) == pairwise(*LISTS)
