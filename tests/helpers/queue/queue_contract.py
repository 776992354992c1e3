"""The promises of every queue; a test class inherits them and has a fixture `make`.

`make(**options)` gives a queue with the options of the back end; all that one test makes are the same queue, each
as another process would see it.
"""
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from swiftahead.queues import Access, Admit, Forget, Misplaced, Queue, Record, Warm, open_queue

ACCESS = Access('AUTH_a', 'c', 'o', 'client', 1.0, 10, 'miss')
MISPLACED = Misplaced('AUTH_a', 'c', 'o', 1, '1700000000.00000')
WARM = Warm('AUTH_a', 'c', 'p', 3)
FORGET = Forget('AUTH_a', 'c', object='o')
ADMIT = Admit('file', 2.0)
ALL_KINDS = ('Access', 'Warm', 'Forget', 'Admit', 'Misplaced')
DAY = 86_400.0


class Clock:
    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@contextmanager
def makes(url: str, **defaults) -> Iterator[Callable[..., Queue]]:
    """`make` of this URL; all that it made is closed at the end."""
    made: list[Queue] = []

    def make(**options):
        made.append(open_queue(url, **{**defaults, **options}))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def unreadable() -> Record:
    """It calls itself an Admit and has none of its fields."""
    @dataclass(frozen=True)
    class Strange:
        colour: str = 'red'

    Strange.__name__ = 'Admit'
    return Strange()  # type: ignore[return-value]


def accesses(first: int, last: int) -> list[Access]:
    return [replace(ACCESS, object=str(number)) for number in range(first, last)]


def leased(queue, n=1000, seconds=60.0, kinds=ALL_KINDS):
    return [item.record for item in queue.lease(n, seconds, kinds)]


def bury(queue, records, why='broken'):
    """Dead letters of these, oldest first."""
    queue.put(records)
    items = queue.lease(1000, 60, ALL_KINDS)
    queue.dead(items, why)
    queue.done([item.id for item in items])
    return queue.dead_letters(1000)


class QueueContract:

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def queue(self, make, clock):
        return make(clock=clock)

    # put, lease, done

    def test_records_come_in_the_order_they_went(self, queue):
        records = accesses(0, 5)
        queue.put(records[:3])
        queue.put(records[3:])
        assert leased(queue, n=3) == records[:3]
        assert leased(queue) == records[3:]

    def test_kinds_leased_together_come_in_order_too(self, queue):
        records = [ACCESS, ADMIT, WARM, MISPLACED, FORGET, ADMIT]
        queue.put(records)
        assert leased(queue, n=4) == records[:4]

    def test_reads_go_before_the_others_that_they_were_put_with(self, queue):
        queue.put([ADMIT, *accesses(0, 2), WARM, *accesses(2, 4)])
        assert leased(queue) == [*accesses(0, 4), ADMIT, WARM]

    def test_the_newest_come_first_where_they_are_asked_for(self, queue, clock):
        records = [replace(MISPLACED, object=str(number)) for number in range(5)]
        queue.put(records)
        first, = queue.lease(1, 60, ['Misplaced'], newest=True)
        queue.retry([first.id], clock.now + 10)
        clock.now += 11
        assert [item.record for item in queue.lease(3, 60, ['Misplaced'], newest=True)] == records[:1:-1]

    def test_all_records_of_a_put_or_none(self, queue):
        with pytest.raises(TypeError):
            queue.put([ACCESS, MISPLACED, replace(ACCESS, object=object())])
        assert leased(queue) == []

    def test_a_leased_record_is_nobody_elses_until_its_lease_runs_out(self, queue, make, clock):
        other = make(clock=clock)
        queue.put([ACCESS])
        assert leased(queue, seconds=60) == [ACCESS]
        clock.now += 59
        assert leased(queue) == leased(other) == []
        clock.now += 1
        item, = other.lease(1, 60)
        assert (item.record, item.tries) == (ACCESS, 1)
        assert leased(queue) == []

    def test_what_is_done_does_not_come_back(self, queue, clock):
        queue.put([ACCESS, ADMIT])
        queue.done([queue.lease(1, 60)[0].id])
        clock.now += 1000
        assert leased(queue) == [ADMIT]

    def test_what_is_done_twice_or_unknown_is_no_error(self, queue):
        queue.put([ACCESS])
        item, = queue.lease(1, 60)
        queue.done([item.id])
        queue.done([item.id, item.id + 1])
        queue.retry([item.id], 0)
        queue.dead([item], 'broken')
        assert queue.depth() == {'dead': 0, 'dropped': 0}

    def test_each_consumer_leases_its_own_kinds(self, queue, make, clock):
        mover = make(clock=clock)
        queue.put([MISPLACED, ACCESS, MISPLACED, WARM])
        assert leased(queue, kinds=('Access', 'Warm')) == [ACCESS, WARM]
        assert leased(mover, kinds=('Misplaced',)) == [MISPLACED, MISPLACED]

    def test_a_misplaced_record_is_leased_only_by_who_asks_for_it(self, queue):
        queue.put([MISPLACED])
        assert queue.lease(10, 60) == []

    # rows

    def test_a_lease_takes_whole_rows_until_it_has_enough(self, queue, make, clock):
        other = make(clock=clock)
        for first in (0, 5, 10):
            queue.put(accesses(first, first + 5))
        assert leased(queue, n=6) == accesses(0, 10)
        assert leased(other, n=1) == accesses(10, 15)

    def test_records_that_share_a_row_share_its_end(self, queue, clock):
        queue.put(accesses(0, 5))
        queue.put(accesses(5, 10))
        items = queue.lease(10, 60)
        assert len({item.id for item in items}) == 2
        queue.done([items[0].id])
        clock.now += 60
        assert leased(queue) == accesses(5, 10)

    def test_records_that_share_a_row_are_given_back_together(self, queue, clock):
        queue.put(accesses(0, 5))
        queue.retry([queue.lease(5, 60)[2].id], clock.now + 5)
        clock.now += 5
        assert [(item.record, item.tries) for item in queue.lease(5, 60)] == [(one, 1) for one in accesses(0, 5)]

    def test_records_whose_consumer_died_amid_a_row_come_again(self, queue, make, clock):
        other = make(clock=clock)
        queue.put(accesses(0, 5))
        queue.dead(queue.lease(5, 60)[:1], 'broken')
        clock.now += 60
        assert leased(other) == accesses(0, 5)

    def test_a_record_that_fails_is_a_dead_letter_alone_and_keeps_none_of_its_row(self, queue, clock):
        queue.put(accesses(0, 5))
        items = queue.lease(5, 60)
        queue.dead([items[2]], 'broken')
        assert queue.depth() == {'Access': 5, 'dead': 1, 'dropped': 0}
        queue.done([item.id for item in items])
        clock.now += DAY
        assert (leased(queue), queue.depth()) == ([], {'dead': 1, 'dropped': 0})

    def test_a_dead_letter_of_a_row_is_one_record_to_the_operator(self, queue, clock):
        queue.put(accesses(0, 5))
        items = queue.lease(5, 60)
        queue.dead([items[2], items[4]], 'broken')
        queue.done([items[0].id])
        letters = queue.dead_letters(10)
        assert [json.loads(letter.body)['object'] for letter in letters] == ['2', '4']
        assert [(letter.tries, letter.put_at, letter.why) for letter in letters] == [(1, clock.now, 'broken')] * 2
        assert queue.revive([letters[0].id]) == 1
        assert leased(queue) == accesses(2, 3)

    # retry, dead

    def test_what_is_given_back_comes_at_its_time(self, queue, clock):
        queue.put([ACCESS])
        queue.retry([item.id for item in queue.lease(1, 60)], clock.now + 5)
        clock.now += 4.9
        assert leased(queue) == []
        clock.now += 0.1
        assert leased(queue) == [ACCESS]

    def test_what_is_given_back_for_now_comes_first(self, queue):
        queue.put([ACCESS, ADMIT])
        queue.retry([queue.lease(1, 60)[0].id], 0)
        assert leased(queue) == [ACCESS, ADMIT]

    def test_records_that_wait_for_their_time_do_not_stand_in_the_way(self, queue, clock):
        queue.put(accesses(0, 20))
        queue.retry([item.id for item in queue.lease(20, 60)], clock.now + 3600)
        queue.put([ADMIT])
        assert leased(queue, n=1) == [ADMIT]

    def test_a_dead_letter_is_kept_and_not_leased(self, queue, clock):
        bury(queue, [ACCESS])
        clock.now += DAY
        assert leased(queue) == []
        assert queue.depth()['dead'] == 1

    def test_what_cannot_be_decoded_is_a_dead_letter_and_stops_nobody(self, queue):
        queue.put([ACCESS, unreadable(), MISPLACED])
        assert leased(queue) == [ACCESS, MISPLACED]
        letter, = queue.dead_letters(10)
        assert (letter.kind, letter.body) == ('Admit', '{"colour":"red"}')
        assert 'not a record of kind Admit' in letter.why

    # the clock (F8)

    @pytest.mark.holds('F8')
    def test_a_lease_does_not_outlive_a_clock_that_is_set_back_by_a_day(self, queue, clock):
        queue.put([ACCESS])
        queue.lease(1, 60)
        clock.now -= DAY
        assert leased(queue) == [ACCESS]

    @pytest.mark.holds('F8')
    def test_a_lease_outlives_a_clock_that_is_set_back_a_little(self, queue, clock):
        queue.put([ACCESS])
        queue.lease(1, 60)
        clock.now -= 50
        assert leased(queue) == []
        clock.now += 110
        assert leased(queue) == [ACCESS]

    @pytest.mark.holds('F8')
    def test_a_retry_in_a_day_waits_when_the_clock_is_set_back_by_an_hour(self, queue, clock):
        queue.put([ACCESS])
        queue.retry([queue.lease(1, 60)[0].id], clock.now + DAY)
        clock.now -= 3600
        assert leased(queue) == []
        clock.now += 3600 + DAY
        assert leased(queue) == [ACCESS]

    @pytest.mark.holds('F8')
    def test_a_retry_in_an_hour_does_not_wait_for_a_clock_that_is_set_back_by_a_day(self, queue, clock):
        queue.put([ACCESS])
        queue.retry([queue.lease(1, 60)[0].id], clock.now + 3600)
        clock.now -= DAY
        assert leased(queue) == [ACCESS]

    @pytest.mark.holds('F8')
    def test_what_is_put_is_there_whatever_the_clock_says(self, queue, clock):
        queue.put([ACCESS])
        clock.now -= 100 * DAY
        assert leased(queue) == [ACCESS]

    # the bound

    @pytest.mark.holds('F10')
    def test_a_full_queue_drops_its_oldest_records_and_counts_them(self, make):
        queue = make(limit=100)
        for number in range(15):
            queue.put(accesses(10 * number, 10 * number + 10))
        assert queue.depth() == {'Access': 100, 'dead': 0, 'dropped': 50}
        assert leased(queue) == accesses(50, 150)

    @pytest.mark.holds('F10')
    def test_of_what_was_put_together_the_oldest_are_dropped_one_by_one(self, make):
        queue = make(limit=10)
        for first, last in ((0, 7), (7, 14), (14, 15)):
            queue.put(accesses(first, last))
        assert queue.depth() == {'Access': 10, 'dead': 0, 'dropped': 5}
        assert leased(queue) == accesses(5, 15)

    def test_misplaced_records_are_never_dropped_and_do_not_count(self, make):
        queue = make(limit=10)
        queue.put([MISPLACED] * 50)
        queue.put(accesses(0, 20))
        assert queue.depth() == {'Misplaced': 50, 'Access': 10, 'dead': 0, 'dropped': 10}

    def test_accesses_go_before_fills_before_forgets_before_warms(self, make):
        queue = make(limit=4)
        queue.put([WARM, replace(FORGET, account='AUTH_b'), ADMIT, ACCESS])
        left = []
        for number in range(4):
            queue.put([replace(WARM, account=str(number))])
            left.append(set(queue.depth()) - {'dead', 'dropped'})
        assert left == [{'Admit', 'Forget', 'Warm'}, {'Forget', 'Warm'}, {'Warm'}, {'Warm'}]
        assert [record.account for record in leased(queue)] == list('0123')

    def test_what_waits_is_dropped_before_what_is_leased(self, make):
        queue = make(limit=10)
        queue.put(accesses(0, 10))
        held = queue.lease(4, 60)
        queue.put(accesses(10, 16))
        assert leased(queue) == accesses(10, 16)
        queue.retry([item.id for item in held], 0)
        assert leased(queue) == accesses(0, 4)

    def test_an_account_cannot_push_out_what_others_asked_for(self, make):
        queue = make(limit=100)
        queue.put([WARM, FORGET, *accesses(0, 50)])
        queue.put([replace(WARM, account='AUTH_b', prefix=str(number)) for number in range(1000)])
        found = leased(queue)
        assert found[:52] == [*accesses(0, 50), WARM, FORGET]
        assert [record.prefix for record in found[52:]] == ['995', '996', '997', '998', '999']

    def test_dead_letters_of_prefetch_records_are_bounded(self, queue):
        for number in range(3):
            queue.put([*accesses(500 * number, 500 * number + 500), MISPLACED])
            items = queue.lease(1000, 60, ALL_KINDS)
            queue.dead(items, 'broken')
            queue.done([item.id for item in items])
        assert queue.depth() == {'dead': 1003, 'dropped': 500}

    # what the operator asks and does

    def test_depth_counts_what_waits_and_what_is_leased(self, queue):
        queue.put([ACCESS, MISPLACED, MISPLACED])
        queue.lease(1, 60, ['Misplaced'])
        assert queue.depth() == {'Access': 1, 'Misplaced': 2, 'dead': 0, 'dropped': 0}

    def test_the_age_of_the_oldest_of_each_kind(self, queue, clock):
        queue.put([ACCESS, ADMIT])
        clock.now += 10
        queue.put([ACCESS, MISPLACED])
        clock.now += 5
        assert queue.oldest() == {'Access': 15.0, 'Admit': 15.0, 'Misplaced': 5.0}

    def test_what_is_held_back_ages_and_what_is_done_does_not(self, queue, clock):
        queue.put([MISPLACED, ACCESS])
        queue.retry([item.id for item in queue.lease(1, 60, ['Misplaced'])], clock.now + DAY)
        queue.done([item.id for item in queue.lease(1, 60)])
        clock.now += 100
        queue.put([MISPLACED])
        assert queue.oldest() == {'Misplaced': 100.0}

    @pytest.mark.holds('F8')
    def test_nothing_is_younger_than_now(self, queue, clock):
        queue.put([ACCESS])
        clock.now -= 10
        assert queue.oldest() == {'Access': 0.0}

    def test_dead_letters_are_listed_in_pages(self, queue):
        letters = bury(queue, accesses(0, 5))
        assert [letter.why for letter in letters] == ['broken'] * 5
        assert queue.dead_letters(2) == letters[:2]
        assert queue.dead_letters(10, after=letters[1].id) == letters[2:]

    def test_what_waits_is_listed_by_kind_and_in_pages(self, queue):
        queue.put([MISPLACED, ACCESS, replace(MISPLACED, object='p'), replace(MISPLACED, object='q')])
        letters = queue.waiting('Misplaced', 10)
        assert [json.loads(letter.body)['object'] for letter in letters] == ['o', 'p', 'q']
        assert queue.waiting('Misplaced', 1, after=letters[0].id) == letters[1:2]

    def test_what_is_leased_is_listed_with_its_end_and_what_is_dead_is_not(self, queue, clock):
        bury(queue, [MISPLACED])
        queue.put([MISPLACED, MISPLACED])
        queue.lease(1, 60, ['Misplaced'])
        assert [(letter.tries, letter.due) for letter in queue.waiting('Misplaced', 10)] == [
            (1, clock.now + 60), (0, 0.0)]

    def test_a_dead_letter_can_be_revived_once(self, queue, clock):
        letter, = bury(queue, [WARM])
        assert [queue.revive([letter.id]), queue.revive([letter.id])] == [1, 0]
        item, = queue.lease(10, 60)
        assert (item.id, item.record, item.tries) == (letter.id, WARM, 0)
        assert queue.depth() == {'Warm': 1, 'dead': 0, 'dropped': 0}

    def test_a_dead_letter_can_be_dropped(self, queue):
        first, second = bury(queue, [ACCESS, ADMIT])
        assert queue.drop([first.id, first.id]) == 1
        assert queue.dead_letters(10) == [second]

    def test_the_living_can_be_neither_revived_nor_dropped(self, queue):
        queue.put([ACCESS])
        item, = queue.lease(1, 60)
        assert [queue.revive([item.id]), queue.drop([item.id])] == [0, 0]
        assert queue.depth()['Access'] == 1
