"""Reading along a list that is known: who is where, what comes next, and how much of it."""
import pytest

from swiftahead.predict import ManifestOrder, Read

SEGMENTS = [('s', f'{number:02}') for number in range(20)]
LIST = ('c', 'list')
LEAD = 0.8


class Reader:
    """One client of a list; `reads` tells numbers and times that are expected after the read of a segment."""

    def __init__(self, along, client='x', account='a', key=LIST, at=0.0):
        self.along, self.client, self.account = along, client, account
        along.open(Read(account, client, key, at))

    def reads(self, number, at, to_end=True, lead=LEAD):
        read = Read(self.account, self.client, SEGMENTS[number], at)
        return [(int(found.key[1]), round(found.at, 3)) for found in self.along.observe(read, to_end, lead)]


@pytest.fixture
def along():
    along = ManifestOrder(look_ahead=4)
    along.know('a', LIST, SEGMENTS)
    return along


@pytest.fixture
def reader(along):
    return Reader(along)


def test_of_a_reader_of_unknown_pace_one_is_expected_at_once(reader):
    assert reader.reads(0, 1.0) == [(1, 1.0)]


def test_a_clock_that_is_set_back_costs_a_reader_no_more_than_its_pace(reader):
    reader.reads(0, 5000.0)
    reader.reads(1, 5000.2)
    assert reader.reads(2, 100.0) == [(3, 100.0)]
    assert [number for number, _ in reader.reads(3, 100.2)] == [4, 5, 6, 7]


def test_a_reader_keeps_its_pace(reader):
    reader.reads(0, 0.0)
    assert reader.reads(1, 10.0, lead=10.0) == [(2, 20.0), (3, 30.0)]


def test_a_slow_reader_has_no_more_fetched_than_must_be_begun(reader):
    for number in range(10):
        found = reader.reads(number, 100.0 * number)
        assert [key for key, _ in found] == [number + 1]


def test_a_quick_reader_has_as_much_fetched_as_is_looked_ahead(reader):
    reader.reads(0, 0.0)
    assert [number for number, _ in reader.reads(1, 0.01)] == [2, 3, 4, 5]
    assert [number for number, _ in reader.reads(2, 0.01)] == [3, 4, 5, 6]


def test_slow_fetches_begin_earlier(reader):
    reader.reads(0, 0.0)
    assert [number for number, _ in reader.reads(1, 10.0, lead=25.0)] == [2, 3, 4]


@pytest.mark.parametrize('lead, count', [(9.9, 1), (10.0, 2), (29.9, 3), (30.0, 4), (1e9, 4)])
def test_what_must_begin_before_the_next_is_read_is_expected_with_it(reader, lead, count):
    reader.reads(0, 0.0)
    assert len(reader.reads(1, 10.0, lead=lead)) == count


def test_the_pace_follows_the_reader_slowly(reader):
    for number in range(3):
        reader.reads(number, 10.0 * number)
    assert reader.reads(3, 40.0)[0] == (4, 53.0)


def test_after_a_jump_the_pace_is_not_known(reader):
    reader.reads(0, 0.0)
    reader.reads(1, 10.0)
    assert reader.reads(10, 11.0) == [(11, 11.0)]
    assert reader.reads(3, 12.0) == [(4, 12.0)]


def test_one_read_that_was_not_told_of_ends_no_sequence(reader):
    reader.reads(0, 0.0)
    assert reader.reads(2, 20.0)[0] == (3, 30.0)


def test_a_part_in_the_middle_expects_nothing(reader):
    assert reader.reads(7, 0.0, to_end=False) == []
    assert reader.reads(7, 1.0, to_end=False) == []


def test_a_part_up_to_the_end_expects_the_next(reader):
    assert reader.reads(7, 0.0) == [(8, 0.0)]


def test_parts_read_in_order_keep_the_pace_of_whole_ones(reader):
    for at in range(0, 20, 2):
        found = reader.reads(at // 10, float(at), to_end=at % 10 == 8)
    assert found == [(2, 20.0)]


def test_of_a_reader_of_known_pace_the_next_is_expected_before_it_is_at_the_end(reader):
    reader.reads(0, 0.0)
    assert reader.reads(1, 10.0, to_end=False) == [(2, 20.0)]


def test_who_is_behind_its_pace_is_expected_now(reader):
    reader.reads(0, 0.0)
    reader.reads(1, 10.0)
    assert reader.reads(1, 50.0, lead=10.0) == [(2, 50.0), (3, 50.0)]


def test_at_the_end_nothing_is_expected(reader):
    reader.reads(17, 0.0)
    assert [number for number, _ in reader.reads(18, 0.001)] == [19]
    assert reader.reads(19, 0.002) == []


def test_who_begins_anew_is_followed_anew(along):
    reader = Reader(along)
    reader.reads(19, 0.0)
    Reader(along, at=5.0)
    assert reader.reads(0, 5.0) == [(1, 5.0)]


def test_who_opens_the_list_for_each_part_keeps_its_place(along):
    Reader(along).reads(0, 0.0)
    assert Reader(along, at=10.0).reads(1, 10.0)[0] == (2, 20.0)


def test_who_did_not_open_the_list_expects_nothing(along, reader):
    along.know('a', ('c', 'other'), SEGMENTS)
    stranger = Reader(along, 'y', key=('c', 'else'))
    assert stranger.reads(0, 0.0) == []


def test_nothing_is_known_of_another_accounts_list(along):
    assert Reader(along, account='b').reads(0, 0.0) == []


@pytest.mark.parametrize('other', [{'client': 'y'}, {'account': 'b'}], ids=str)
def test_readers_do_not_mix(along, other):
    along.know('b', LIST, SEGMENTS)
    one, two = Reader(along), Reader(along, **other)
    one.reads(0, 0.0)
    two.reads(10, 5.0)
    assert one.reads(1, 10.0)[0] == (2, 20.0)


def test_an_older_read_that_comes_late_changes_nothing(reader):
    reader.reads(0, 0.0)
    reader.reads(1, 10.0)
    assert reader.reads(0, 9.0) == []
    assert reader.reads(2, 20.0)[0] == (3, 30.0)


def test_parts_of_one_object_in_a_row_are_one_step(along):
    along.know('a', LIST, [SEGMENTS[0], SEGMENTS[0], SEGMENTS[1]])
    assert Reader(along).reads(0, 0.0) == [(1, 0.0)]


def test_what_comes_twice_in_a_list_is_told_apart_by_what_was_before(along):
    along.know('a', LIST, [SEGMENTS[number] for number in (0, 1, 0, 2)])
    reader = Reader(along)
    assert [reader.reads(number, 0.0, lead=0.0) for number in (0, 1, 0)] == [[(1, 0.0)], [(0, 0.0), (2, 0.0)],
                                                                           [(2, 0.0)]]


def test_a_list_that_holds_itself_goes_on(along):
    along.know('a', SEGMENTS[0], SEGMENTS[:2])
    reader = Reader(along, key=SEGMENTS[0])
    assert reader.reads(0, 0.0) == [(1, 0.0)]


def test_what_was_read_least_lately_is_forgotten():
    along = ManifestOrder(max_keys=50)
    for number in range(3):
        assert along.know('a', ('c', str(number)), SEGMENTS)
    readers = [Reader(along, str(number), key=('c', str(number))) for number in range(3)]
    assert [bool(reader.reads(0, 0.0)) for reader in readers] == [False, True, True]


def test_a_list_too_long_to_be_remembered_is_refused():
    along = ManifestOrder(max_keys=20)
    assert not along.know('a', LIST, SEGMENTS)
    assert along.know('a', LIST, SEGMENTS[:19])


def test_readers_are_bounded(along):
    along = ManifestOrder(max_readers=2)
    along.know('a', LIST, SEGMENTS)
    readers = [Reader(along, str(number)) for number in range(3)]
    assert [bool(reader.reads(0, 0.0)) for reader in readers] == [False, True, True]
