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


def test_the_page_has_each_rule_and_each_has_a_test():
    assert rules.faults(rules.PAGE.read_text(), rules.held()) == []


def test_a_rule_that_the_page_lacks_is_named():
    page = rules.PAGE.read_text().replace('* - R7\n', '* - 7\n')
    assert rules.faults(page, rules.held()) == ['R7 is not in mover.rst']


def test_a_rule_that_does_not_say_what_it_protects_is_none():
    row = '   * - R1\n     - A text\n       of two lines.\n'
    assert rules.rules_of(row + '     - A state.\n') == {1: ('A text of two lines.', 'A state.')}
    assert rules.rules_of(row) == {}


def test_a_rule_that_no_test_holds_is_named():
    found = {**rules.held(), 9: []}
    assert rules.faults(rules.PAGE.read_text(), found) == ['R9 has no test']


def test_make_rules_fails_where_the_page_lacks_one(tmp_path, capsys):
    page = tmp_path / 'mover.rst'
    page.write_text(rules.PAGE.read_text().replace('* - R7\n', '* - 7\n'))
    assert (rules.main(), rules.main(page)) == (0, 1)
    assert capsys.readouterr().out.endswith('\nR7 is not in mover.rst\n')
