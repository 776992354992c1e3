import pytest

from swiftahead.predict import Prediction, Schedule


def prediction(key='o', at=100.0):
    return Prediction('a', ('c', key), 1.0, at)


def test_nothing_is_due_before_its_time():
    schedule = Schedule(fetch_seconds=0.1)
    schedule.add(prediction(at=100))
    assert schedule.due(50, 10) == []
    assert schedule.due(100, 10) == [prediction(at=100)]
    assert schedule.due(1000, 10) == []


def test_the_soonest_is_first_and_no_more_than_asked_for():
    schedule = Schedule()
    for at in (103, 101, 102):
        schedule.add(prediction(str(at), at))
    assert [item.at for item in schedule.due(200, 2)] == [101, 102]
    assert [item.at for item in schedule.due(200, 2)] == [103]


def test_the_same_object_is_planned_once():
    schedule = Schedule()
    assert schedule.add(prediction(at=100))
    assert not schedule.add(prediction(at=100))
    assert not schedule.add(prediction(at=101))
    assert len(schedule.due(1000, 10)) == 1


def test_a_plan_can_only_become_earlier():
    schedule = Schedule(fetch_seconds=0)
    schedule.add(prediction(at=100))
    assert schedule.add(prediction(at=50))
    assert schedule.due(60, 10) == [prediction(at=50)]
    assert schedule.due(1000, 10) == []
    assert len(schedule) == 0


def test_what_is_read_already_is_planned_no_longer():
    schedule = Schedule()
    schedule.add(prediction(at=100))
    schedule.cancel('a', ('c', 'o'))
    schedule.cancel('a', ('c', 'never planned'))
    assert (len(schedule), schedule.next_start(), schedule.due(1000, 10)) == (0, None, [])


def test_the_plan_is_bounded():
    schedule = Schedule(limit=2)
    assert [schedule.add(prediction(str(number), number)) for number in range(3)] == [True, True, False]


def test_what_is_large_begins_earlier_and_what_is_small_no_earlier_for_it():
    schedule, size = Schedule(), {'small': 2**14 - 1, 'large': 2**29 - 1}
    for _ in range(50):
        schedule.fetched(0.02, size['small'] - 5000)
        schedule.fetched(8.0, size['large'] - 200_000_000)
    for key in size:
        schedule.add(Prediction('a', ('c', key), 1.0, 100.0, size[key]))
    assert [item.key[1] for item in schedule.due(90, 10)] == ['large']
    assert schedule.due(99, 10) == []
    assert [item.key[1] for item in schedule.due(100 - 0.55, 10)] == ['small']


def test_slow_fetches_begin_earlier():
    quick, slow = Schedule(), Schedule()
    for _ in range(50):
        slow.fetched(10.0)
    for schedule in (quick, slow):
        schedule.add(prediction(at=100))
    assert slow.next_start() < quick.next_start() - 20


@pytest.mark.parametrize('now, begun', [(99.0, 0), (99.5, 1)])
def test_when_to_begin_is_said(now, begun):
    schedule = Schedule(fetch_seconds=0)
    schedule.add(prediction(at=100))
    assert schedule.next_start() == 99.5
    assert len(schedule.due(now, 10)) == begun
