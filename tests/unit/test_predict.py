import pytest

from swiftahead.predict import Chain, Prediction, Read, Schedule


def play(chain, sequence, account='a', client='x', start=0.0, gap=1.0):
    """Observe reads at equal distances; the predictions after the last."""
    found = []
    for number, key in enumerate(sequence):
        found = chain.observe(Read(account, client, ('c', key), start + number * gap))
    return [(prediction.key[1], prediction.probability, prediction.at) for prediction in found]


def test_what_followed_once_is_expected_again():
    chain = Chain(look_ahead=1)
    assert play(chain, 'ab') == []
    assert play(chain, 'a', start=10) == [('b', 1.0, 11.0)]


def test_several_steps_are_looked_ahead():
    chain = Chain(look_ahead=3)
    play(chain, 'abcdef')
    assert play(chain, 'a', start=100) == [('b', 1.0, 101.0), ('c', 1.0, 102.0), ('d', 1.0, 103.0)]


def test_what_is_less_likely_than_the_threshold_is_not_predicted():
    chain = Chain(threshold=0.5)
    for number, sequence in enumerate(['ab', 'ac', 'ad']):
        play(chain, sequence, start=1000 * number)
    assert play(chain, 'a', start=10_000) == []


def test_the_probability_of_steps_is_multiplied():
    chain = Chain(threshold=0.3)
    for number, sequence in enumerate(['ab', 'ab', 'ac', 'bd', 'bd', 'be']):
        play(chain, sequence, start=1000 * number)
    found = play(chain, 'a', start=10_000)
    assert [(key, round(probability, 3)) for key, probability, _ in found] == [('b', 0.667), ('d', 0.444)]


def test_what_came_after_the_window_does_not_follow():
    chain = Chain(window=60)
    play(chain, 'ab', gap=61)
    assert play(chain, 'a', start=1000) == []


def test_reading_the_same_again_is_no_sequence():
    chain = Chain()
    play(chain, 'aaaa')
    assert play(chain, 'a', start=100) == []


def test_a_circle_is_not_followed_for_ever():
    chain = Chain(look_ahead=8)
    play(chain, 'abab')
    assert [key for key, *_ in play(chain, 'a', start=100)] == ['b']


def test_interleaved_clients_do_not_mix_their_sequences():
    chain = Chain(look_ahead=1)
    for number in range(3):
        chain.observe(Read('a', 'x', ('c', f'x{number}'), float(number)))
        chain.observe(Read('a', 'y', ('c', f'y{number}'), float(number)))
    assert [key for key, *_ in play(chain, ['x0'], client='x', start=100)] == ['x1']
    assert [key for key, *_ in play(chain, ['y0'], client='y', start=100)] == ['y1']


def test_one_client_profits_from_anothers_sequence_of_the_same_account():
    chain = Chain(look_ahead=1)
    play(chain, 'ab', client='x')
    assert [key for key, *_ in play(chain, 'a', client='y', start=100)] == ['b']


def test_nothing_learned_from_one_account_is_used_for_another():
    chain = Chain()
    play(chain, 'ab', account='a')
    assert play(chain, 'a', account='b', start=100) == []


def test_what_changed_is_forgotten():
    chain = Chain(look_ahead=1)
    for number in range(100):
        play(chain, 'ab', start=1000.0 * number)
    for number in range(100, 250):
        play(chain, 'ac', start=1000.0 * number)
    assert [key for key, *_ in play(chain, 'a', start=1_000_000)] == ['c']


def test_memory_is_bounded():
    chain = Chain(max_contexts=10)
    play(chain, [str(number) for number in range(1000)])
    assert len(chain._followers) <= 10


def test_reads_that_arrive_late_teach_nothing_wrong():
    chain = Chain(look_ahead=1)
    chain.observe(Read('a', 'x', ('c', 'b'), 2.0))
    chain.observe(Read('a', 'x', ('c', 'a'), 1.0))
    assert play(chain, 'b', start=100) == []


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
