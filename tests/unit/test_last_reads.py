"""When entries were last read, as the evictor asks it."""
from swiftahead.eviction.last_reads import LastReads
from swiftahead.predict import Prediction
from swiftahead.predict.prediction import IDLE_LEAST, idle_for

NAMES = [f'{number:048x}' for number in range(5)]


def test_the_last_use_counts():
    reads = LastReads()
    reads.note(NAMES[0], 1.0)
    reads.note(NAMES[0], 2.0)
    assert (reads.last(NAMES[0]), reads.last(NAMES[1])) == (2.0, None)


def test_names_are_told_in_the_order_of_the_last_reads():
    reads = LastReads()
    for at, number in enumerate([0, 1, 0]):
        reads.note(NAMES[number], float(at))
    assert list(reads.names()) == [NAMES[1], NAMES[0]]


def test_what_another_took_the_place_of_has_no_last_use():
    reads = LastReads()
    reads.note(NAMES[0], 1.0)
    reads.forget(NAMES[0])
    reads.forget(NAMES[1])
    assert (reads.last(NAMES[0]), len(reads)) == (None, 0)


def test_no_more_are_kept_than_were_asked_for_and_the_oldest_go():
    reads = LastReads(most=3)
    for at, number in enumerate([0, 1, 2, 0, 3]):
        reads.note(NAMES[number], float(at))
    assert [reads.last(name) for name in NAMES] == [3.0, None, 2.0, 4.0, None]
    assert len(reads) == 3


def expected(at, probability=1.0):
    return Prediction('AUTH_a', ('c', 'o'), probability, at)


def test_what_is_expected_later_or_less_surely_evicts_only_what_is_colder():
    assert idle_for(expected(10.0), now=0.0) == 20.0
    assert idle_for(expected(10.0, 0.5), now=0.0) == 40.0


def test_what_nobody_predicted_has_no_time_of_its_own():
    assert idle_for(expected(10.0, 0.0), now=0.0) is None


def test_what_is_expected_at_once_evicts_nothing_of_this_moment():
    assert idle_for(expected(0.0), now=5.0) == IDLE_LEAST
