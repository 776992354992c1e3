"""What is expected next, from contexts of several reads, from what came soon, and from names in order."""
import random
from bisect import bisect_left

import pytest

from swiftahead.predict import Read, SequenceLearner


def play(ahead, objects, client='x', account='a', start=0.0, gap=1.0, size=0):
    """What was predicted after the last read: object -> (probability, seconds from it)."""
    for number, name in enumerate(objects):
        at = start + number * gap
        found = ahead.observe(Read(account, client, ('c', name), at, size))
    return {one.key[1]: (one.probability, round(one.at - at, 1)) for one in found}


def often(ahead, objects, times=6, **more):
    for number in range(times):
        play(ahead, objects, start=1000.0 * number, **more)
    return 1000.0 * times


def test_a_sequence_that_was_read_several_times_is_expected_in_its_order():
    ahead = SequenceLearner()
    start = often(ahead, 'abcdef')
    assert list(play(ahead, 'a', start=start)) == list('bcdef')


def test_it_is_expected_at_the_pace_at_which_it_was_read():
    ahead = SequenceLearner()
    start = often(ahead, 'abcd', gap=10.0)
    assert [at for _, at in play(ahead, 'a', start=start).values()] == pytest.approx([10, 20, 30], rel=0.1)


def test_no_more_steps_than_are_looked_ahead():
    ahead = SequenceLearner(look_ahead=2)
    start = often(ahead, [f'{number:02}' for number in range(20)])
    assert '07' not in play(ahead, ['00'], start=start)
    assert '02' in play(ahead, ['00'], start=start + 1000)


def test_what_was_read_before_tells_which_way_it_goes():
    ahead = SequenceLearner(look_ahead=1)
    for number in range(8):
        play(ahead, 'axmp', start=2000.0 * number)
        play(ahead, 'bymq', start=2000.0 * number + 1000)
    assert 'p' in play(ahead, 'axm', start=50_000)
    assert 'q' in play(ahead, 'bym', start=60_000)
    assert play(ahead, 'axm', start=70_000)['p'][0] > 0.7


@pytest.mark.parametrize('times', [1, 5, 40])
def test_who_reads_each_in_many_parts_is_foreseen_as_well(times):
    ahead, names = SequenceLearner(), [f'{number:03}' for number in range(50)]
    parts = [name for name in names for _ in range(times)]
    start = often(ahead, parts)
    assert play(ahead, parts[:10 * times], start=start)['010'][0] > 0.9


@pytest.mark.parametrize('back', [3600, 86_400 * 365])
def test_a_clock_that_is_set_back_costs_no_more_than_the_readers_place(back):
    ahead = SequenceLearner()
    often(ahead, 'abcdef')
    ahead.observe(Read('a', 'x', ('c', 'f'), float(back)))
    assert list(play(ahead, 'ab', start=0.0)) == list('cdef')


def test_what_comes_somewhat_late_from_another_worker_is_no_step_back():
    ahead = SequenceLearner()
    start = often(ahead, 'abcdef')
    play(ahead, 'abc', start=start)
    assert not ahead.observe(Read('a', 'x', ('c', 'f'), start + 1.0))
    assert list(play(ahead, 'd', start=start + 3)) == ['e', 'f']


def test_chance_is_not_taken_for_habit():
    rng, ahead = random.Random(3), SequenceLearner()
    predicted = []
    for number in range(2000):
        predicted += ahead.observe(Read('a', 'x', ('c', str(rng.randrange(300))), float(number)))
    assert len(predicted) < 40


def test_what_was_drawn_by_lot_is_as_likely_as_it_is_said_to_be():
    """Calibration: a is followed by b in 7 of 10 cases, else by something else."""
    rng, ahead = random.Random(4), SequenceLearner(threshold=0.0, look_ahead=1)
    for number in range(600):
        told = play(ahead, 'a', client=str(number), start=100.0 * number)
        follower = 'b' if rng.random() < 0.7 else f'o{number}'
        ahead.observe(Read('a', str(number), ('c', follower), 100.0 * number + 1))
    assert told['b'][0] == pytest.approx(0.7, abs=0.12)


def test_what_was_inserted_between_does_not_end_a_sequence():
    ahead = SequenceLearner()
    start = often(ahead, 'abcdefgh', times=10)
    found = play(ahead, ['a', 'b', 'noise'], start=start)
    found |= play(ahead, 'd', start=start + 3)
    assert {'e', 'f'} <= set(found)


def test_what_comes_soon_in_any_order_is_expected():
    rng, ahead = random.Random(5), SequenceLearner()
    for number in range(60):
        images = list('pqr')
        rng.shuffle(images)
        play(ahead, ['page', *images, f'other{number}'], start=1000.0 * number)
    assert set(play(ahead, ['page'], start=100_000)) == set('pqr')


def test_what_came_after_the_window_does_not_follow():
    ahead = SequenceLearner(window=60)
    start = often(ahead, 'ab', gap=61.0)
    assert play(ahead, 'a', start=start) == {}


def test_reading_the_same_again_is_no_sequence():
    ahead = SequenceLearner()
    often(ahead, 'aaaa')
    assert play(ahead, 'a', start=10_000) == {}


def test_a_client_that_reads_one_pair_for_ever_is_told_of_that_pair_alone():
    ahead = SequenceLearner()
    found = play(ahead, 'ab' * 5000)
    assert set(found) == {'a'}
    assert transitions(ahead) < 20


def test_interleaved_clients_do_not_mix_their_sequences():
    ahead = SequenceLearner()
    for turn in range(6):
        for number in range(4):
            for client in 'xy':
                ahead.observe(Read('a', client, ('c', f'{client}{number}'), 1000.0 * turn + number))
    assert set(play(ahead, ['x0'], start=9000)) == {'x1', 'x2', 'x3'}


def test_one_client_profits_from_anothers_sequence_of_the_same_account():
    ahead = SequenceLearner()
    start = often(ahead, 'ab', client='x')
    assert 'b' in play(ahead, 'a', client='y', start=start)


def test_nothing_learned_from_one_account_is_used_for_another():
    ahead = SequenceLearner()
    start = often(ahead, 'ab', account='a')
    assert play(ahead, 'a', account='b', start=start) == {}


def test_what_changed_is_forgotten():
    ahead = SequenceLearner(look_ahead=1)
    often(ahead, 'ab', times=100)
    play(ahead, 'z', start=100_000.0)
    for number in range(60):
        play(ahead, 'ac', start=200_000.0 + 1000 * number)
    found = play(ahead, 'a', start=1_000_000)
    assert found['c'][0] > found.get('b', (0, 0))[0]


@pytest.mark.parametrize('size, is_predicted', [(1000, True), (10**9, False)])
def test_what_is_large_must_be_likelier(size, is_predicted):
    """Than what is small: it comes every second time."""
    ahead, sizes, found = SequenceLearner(threshold=0.4), {'b': size}, []
    for number in range(100):
        for step, name in enumerate(('a', 'bc'[number % 2])):
            read = Read('a', f'client {number}', ('c', name), 1000.0 * number + step, sizes.get(name, 1000))
            found.append([prediction.key[1] for prediction in ahead.observe(read)])
    assert ('b' in found[-2]) is is_predicted


def test_what_was_forgotten_and_is_learned_anew_is_as_good_as_before():
    """Contexts of two reads too: that it is another tuple of the same name makes no difference."""
    ahead = SequenceLearner(max_contexts=12)
    for turn in range(4):
        for number in range(6):
            start = 10_000.0 * turn + 200.0 * number
            play(ahead, ['x', 'a', 'm'], start=start)
            play(ahead, ['y', 'a', 'n'], start=start + 100)
        # all are forgotten but `a`
        for number in range(30):
            play(ahead, [f'{turn} {number}', 'a'], start=10_000.0 * turn + 5000 + 100 * number)
    assert 'm' in play(ahead, ['x', 'a'], start=90_000.0)


def test_reads_that_arrive_late_teach_nothing_wrong():
    ahead = SequenceLearner()
    for number in range(6):
        ahead.observe(Read('a', 'x', ('c', 'b'), 100.0 * number + 2))
        ahead.observe(Read('a', 'x', ('c', 'a'), 100.0 * number + 1))
    assert play(ahead, 'b', start=10_000) == {}


def transitions(ahead):
    return sum(len(followers) for _, account in ahead.accounts for followers in account.followers.values())


def test_contexts_and_clients_are_bounded():
    ahead = SequenceLearner(max_contexts=50)
    for number in range(2000):
        ahead.observe(Read(f'a{number % 7}', str(number), ('c', str(number)), float(number)))
    assert ahead.accounts.contexts <= 50
    assert ahead.accounts.contexts == sum(len(account.followers) for _, account in ahead.accounts)
    assert len(ahead._clients) <= 50


def test_what_floods_one_account_costs_the_others_nothing():
    ahead = SequenceLearner(max_contexts=100)
    start = often(ahead, 'abc', account='quiet')
    for number in range(1000):
        ahead.observe(Read('loud', 'x', ('c', str(number)), start + number))
    assert 'b' in play(ahead, 'a', account='quiet', start=start + 2000)


def test_names_that_never_repeat_leave_what_is_bounded_for_each():
    ahead = SequenceLearner(max_contexts=500)
    for number in range(3000):
        ahead.observe(Read('a', 'x', ('c', str(number)), float(number)))
    assert transitions(ahead) <= 500 * 8


def test_a_popular_objects_followers_are_bounded():
    ahead = SequenceLearner()
    for number in range(500):
        play(ahead, ['popular', str(number)], start=1000.0 * number)
    assert len(ahead.accounts.of('a').followers['c', 'popular']) <= 32 + 24


class Names:
    """A listing: what is before and after, the nearest first; all of as many bytes."""

    def __init__(self, names, size=1000):
        self.names, self.size = sorted(names), size

    def __call__(self, account, key, reach):
        place = bisect_left(self.names, key[1])
        sides = self.names[max(0, place - reach):place][::-1], self.names[place + 1:place + 1 + reach]
        return tuple([(name, self.size) for name in side] for side in sides)


def test_a_name_next_to_what_is_read_is_expected_though_it_never_was_read():
    ahead = SequenceLearner(names=Names([f'{number:03}' for number in range(500)]))
    told = [play(ahead, [f'{number:03}'], start=100.0 * number) for number in range(300)]
    expected = {name for found in told[:299] for name in found}
    assert {'297', '298', '299'} <= expected and '320' not in expected


def test_neighbours_that_nobody_reads_are_not_expected_for_long():
    ahead = SequenceLearner(names=Names([f'{number:06}' for number in range(100_000)]))
    rng = random.Random(6)
    told = [len(play(ahead, [f'{rng.randrange(100_000):06}'], start=100.0 * number)) for number in range(1500)]
    assert sum(told[:500]) > 2000 and sum(told[1000:]) < 50


def test_neighbours_larger_than_is_usual_are_not_expected():
    names = [f'{number:03}' for number in range(200)]
    assert play(SequenceLearner(names=Names(names, size=10**9)), ['100']) == {}
    assert len(play(SequenceLearner(names=Names(names, size=100)), ['100'])) == 8
