"""The table of the mover's rules against tests."""
import pytest
import rules


@pytest.mark.parametrize('text, numbers', [
    ('R14', {14}), ('def test_r7_enqueues', {7}), ('(R1 to R4)', {1, 2, 3, 4}), ('R15, R27: each', {15, 27}),
    ('R29 R0', set()), ('AR3 R3x R123', set())])
def test_rules_that_a_text_names(text, numbers):
    assert rules.rules_in(text) == numbers


def test_a_rule_is_held_by_what_is_said_of_a_test_and_not_by_what_it_does(tmp_path):
    (tmp_path / 'test_a.py').write_text(
        '# R1\nX = 1\n\n\n# R2\n@mark\ndef test_r3_a():\n    """R4"""\n    x = "R5"  # R6\n\n\n'
        'def helper():\n    """R7"""\n')
    found = rules.held((tmp_path,))
    assert [number for number, tests in found.items() if tests] == [2, 3, 4, 6]
    assert found[2] == ['test_a.py::test_r3_a']


def test_at_most_three_rules_are_without_a_test():
    assert len(rules.without(rules.held())) <= rules.MOST_WITHOUT


def test_rules_without_a_test_are_named_among_the_limits():
    named = rules.rules_in(rules.limits(rules.README.read_text()))
    assert set(rules.without(rules.held())) <= named
