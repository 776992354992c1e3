"""The prefetcher and the warmer, step by step: a real queue, real files, and a small app to fetch from."""
import json
import os

import pytest
from helpers.cache.chain import Chain
from helpers.cache.prefetching import BODY, UNIT, WARM, eventually, make_bench, name_of, read  # noqa: F401 - a fixture
from helpers.common.builders import NOW, spool
from swift.common.concurrency import Timeout, spawn, tpool
from swift.common.exceptions import ChunkReadTimeout

from swiftahead.predict.usefulness import FIRST_PRECISION
from swiftahead.queues import Admit, Forget, Warm, open_queue
from swiftahead.sidecar.prefetcher.consumer import LEASE_SECONDS, POSTPONE_SECONDS, STALE_SECONDS
from swiftahead.sidecar.prefetcher.fetch_scheduler import LATE_SECONDS
from swiftahead.sidecar.prefetcher.warmer import WARM_AT_A_TIME, WARM_TRIES


@pytest.fixture
def learning(make):
    """A bench that has learned that b follows a."""
    bench = make('a', 'b', learner=Chain())
    bench.learn()
    return bench


# reads

def test_what_follows_is_fetched_just_before_it_is_read(learning):
    learning.run(read('a', 20), at=20)
    assert learning.fetched() == []
    learning.run(at=29.5)
    assert learning.fetched() == learning.cached() == ['b']
    with learning.store.entry(name_of('b')) as entry:
        assert entry.meta.origin == 'prefetch' and entry.stamp is not None
    assert learning.waiting() == 0


def test_fetches_are_counted(learning):
    learning.run(read('a', 20), at=29.5)
    assert learning.counts == {'records.access': 3, 'prefetched': 1, 'prefetched_bytes': len(BODY), 'admitted': 1}


def test_nothing_is_fetched_ahead_without_a_learner(make):
    bench = make('a', 'b')
    bench.learn()
    bench.run(read('a', 20), at=30)
    assert bench.fetched() == []
    assert bench.waiting() == 0


def test_where_it_does_not_pay_little_is_fetched_and_that_is_counted(learning):
    worth = learning.prefetcher.fetches.usefulness
    for number in range(1000):
        worth.fetched('AUTH_test', ('c', f'in vain {number}'))
    learning.run(read('a', 20), at=29.5)
    assert learning.fetched() == [] and learning.counts['throttled.prefetch'] == 1


def test_what_does_not_pay_for_one_account_is_no_matter_to_others(learning):
    worth = learning.prefetcher.fetches.usefulness
    for number in range(1000):
        worth.fetched('AUTH_other', ('c', f'in vain {number}'))
    learning.run(read('a', 20), at=29.5)
    assert learning.fetched() == ['b'] and 'throttled.prefetch' not in learning.counts


def test_a_stale_read_is_not_acted_on(learning):
    learning.run(read('a', 20), at=20 + STALE_SECONDS + 0.1)
    assert learning.fetched() == [] and len(learning.schedule) == 0


def test_a_stale_read_is_learned_from(make):
    bench = make('a', 'b', learner=Chain())
    bench.step(read('a', 0, 'one'), read('b', 10, 'one'), at=1000)
    bench.run(read('a', 1000), at=1009.5)
    assert bench.fetched() == ['b']


def test_what_is_cached_is_not_fetched(learning):
    learning.run(read('a', 20), at=29.5)
    learning.run(read('a', 40, 'three'), at=49.5)
    assert learning.fetched() == ['b']


def test_what_is_captured_before_it_is_due_is_not_fetched(learning):
    learning.run(read('a', 20), at=20)
    learning.run(Admit(spool(learning.store, BODY, name=name_of('b'))), at=29.5)
    assert (learning.fetched(), learning.cached()) == ([], ['b'])


def test_what_is_being_fetched_is_not_fetched_again(learning, make):
    gate = make.hold()
    learning.put('b', chunks=[gate.wait, BODY])
    learning.step(read('a', 20), at=29.5)
    eventually(lambda: learning.fetched() == ['b'])
    learning.step(read('a', 30, 'three'), at=39.5)
    gate.send()
    learning.prefetcher.drain()
    assert learning.fetched() == learning.cached() == ['b']


def test_what_the_client_reads_meanwhile_is_not_fetched(learning):
    learning.run(read('a', 20), at=20)
    learning.run(read('b', 25), at=29.5)
    assert learning.fetched() == []


def test_used_prefetches_are_counted_once_each(learning):
    learning.run(read('a', 20), at=29.5)
    for at in (30, 31):
        learning.step(read('b', at, outcome='prefetched'), read('a', at, outcome='hit'), at=at)
    learning.evict_next()
    counts = learning.counts
    assert [counts[key] for key in ('prefetched_used', 'evicted', 'evicted_unused')] == [1, 1, 0]


def test_a_prefetch_that_nobody_read_is_told_when_it_goes(learning):
    learning.run(read('a', 20), at=29.5)
    learning.evict_next()
    assert (learning.counts['evicted'], learning.counts['evicted_unused']) == (1, 1)


def test_a_miss_of_what_is_being_fetched_is_told(learning, make):
    gate = make.hold()
    learning.put('b', chunks=[gate.wait, BODY])
    learning.step(read('a', 20), at=29.5)
    eventually(lambda: learning.fetched() == ['b'])
    learning.step(read('b', 29.6), at=29.6)
    assert learning.counts['prefetched_late'] == 1
    # the next one begins sooner
    assert learning.schedule.share < 1


@pytest.mark.parametrize('outcome, left', [('hit', 'a'), ('prefetched', 'a'), ('miss', 'b')])
def test_a_hit_keeps_an_entry_longer(make, outcome, left):
    bench = make()
    for object_ in 'ab':
        bench.step(Admit(spool(bench.store, BODY, name=name_of(object_))))
    bench.step(read('a', 0, outcome=outcome))
    bench.evict_next()
    assert bench.cached() == [left]


def test_readers_are_told_when_a_fetch_will_end(learning, make):
    learning.schedule.fetched(5.0)
    seconds = learning.schedule.takes(0)
    gate = make.hold()
    learning.put('b', chunks=[gate.wait, BODY])
    learning.step(read('a', 20), at=29.5)
    eventually(lambda: learning.fetched() == ['b'])
    assert learning.store.expected_at(name_of('b')) == pytest.approx(NOW + 29.5 + seconds)


def test_what_is_expected_and_there_is_kept(learning):
    for object_ in 'bc':
        learning.step(Admit(spool(learning.store, BODY, name=name_of(object_))))
    learning.run(read('a', 20), at=20)
    learning.evict_next()
    assert (learning.cached(), learning.fetched()) == (['b'], [])


def test_a_fetch_that_fails_is_counted_and_others_go_on(learning):
    learning.cluster.failing['/v1' + name_of('b').path] = '503 Service Unavailable'
    learning.run(read('a', 20), at=29.5)
    assert (learning.counts['fetch_failed'], learning.counts['prefetched']) == (1, 0)
    learning.cluster.failing.clear()
    learning.run(read('a', 40, 'three'), at=49.5)
    assert learning.cached() == ['b']


@pytest.mark.parametrize('how', [{'Cache_Control': 'private'}, {'body': b'x' * (2**20 + 1)}])
def test_what_cannot_be_cached_is_fetched_once_and_not_at_each_prediction(learning, how):
    learning.put('b', **how)
    for number in range(5):
        at = 20 + 40 * number
        learning.run(read('a', at, f'client {number}'), at=at + 9.5)
    assert learning.fetched() == ['b'] and learning.counts['not_fetched'] == 1


def test_an_error_in_mid_fetch_is_counted_and_logged(learning):
    learning.put('b', chunks=[BODY[:10], OSError('disk on fire')])
    learning.run(read('a', 20), at=29.5)
    assert learning.counts['fetch_failed'] == 1
    assert any('/AUTH_test/c/b not fetched' in said and 'fire' in said for said in learning.logger.said)


def test_a_backend_that_times_out_in_mid_fetch_is_counted_and_logged(learning):
    learning.put('b', chunks=[BODY[:10], ChunkReadTimeout()])
    learning.run(read('a', 20), at=29.5)
    assert learning.counts['fetch_failed'] == 1
    assert any('/AUTH_test/c/b not fetched' in said for said in learning.logger.said)


def test_a_fetched_object_whose_bytes_are_wrong_is_refused(learning):
    learning.put('b', chunks=[b'y' * len(BODY)])
    learning.run(read('a', 20), at=29.5)
    assert (learning.counts['refused'], learning.cached()) == (1, [])


@pytest.fixture
def one_place(make):
    """A bench with one place, which knows that b follows a, and d follows c."""
    bench = make('b', 'd', concurrency=1, learner=Chain())
    for first, second, client in (('a', 'b', 'one'), ('c', 'd', 'two')):
        bench.step(read(first, 0, client), read(second, 10, client), at=10)
    return bench


def test_a_fetch_that_ends_makes_place_for_the_next(one_place):
    one_place.step(read('a', 20, 'three'), read('c', 20, 'four'), at=29.5)
    eventually(lambda: one_place.cached() == ['b', 'd'], 1)


def test_what_finds_no_place_is_not_waited_for(one_place, make):
    gate = make.hold()
    one_place.put('b', chunks=[gate.wait, BODY])
    one_place.step(read('a', 20, 'three'), read('c', 20, 'four'), at=29.5)
    assert one_place.prefetcher.seconds_to_next(5.0) == 5.0
    gate.send()
    one_place.prefetcher.drain()
    assert one_place.cached() == ['b', 'd']


def test_the_wait_is_until_the_next_start_and_not_below_0(learning):
    assert learning.prefetcher.seconds_to_next(5.0) == 5.0
    learning.step(read('a', 20), at=20)
    assert learning.prefetcher.seconds_to_next(60.0) == pytest.approx(10 - 0.8)
    assert learning.prefetcher.seconds_to_next(5.0) == 5.0
    learning.now = NOW + 100
    assert learning.prefetcher.seconds_to_next(5.0) == 0.0


def test_a_busy_backend_is_given_a_rest(learning):
    learning.cluster.failing['/v1' + name_of('b').path] = '503 Service Unavailable'
    for turn in range(3):
        learning.run(read('a', 20 + 20 * turn, f'client {turn}'), at=29.5 + 20 * turn)
    assert learning.pace.is_stopped and learning.counts['fetch_failed'] == 3
    learning.cluster.failing.clear()
    learning.run(read('a', 200, 'late'), at=209.5)
    assert learning.cached() == ['b'] and not learning.pace.is_stopped


def test_a_prediction_whose_time_is_long_past_is_dropped(learning):
    learning.run(read('a', 20), at=20)
    learning.run(at=30 + LATE_SECONDS + 1)
    assert learning.fetched() == [] and len(learning.schedule) == 0


def test_where_all_is_hotter_nothing_is_fetched_ahead(make):
    bench = make('a', 'b', learner=Chain(), size=3 * UNIT, marks=(100, 100))
    bench.step(*(Admit(spool(bench.store, BODY, name=name_of(object_))) for object_ in 'cde'))
    for item in bench.store.linked():
        # half a second before it is to be fetched what is expected in half a second
        os.utime(bench.store.layout.entry(item.entry_name), (NOW + 29, NOW + 29))
    bench.learn()
    bench.run(read('a', 20), at=29.5)
    assert (bench.cached(), bench.counts['no_room'], bench.fetched()) == (['c', 'd', 'e'], 1, [])
    bench.run(read('a', 200, 'three'), at=209.5)
    # of those of one turn, which are admitted at the same time, one had to go
    assert 'b' in bench.cached() and len(bench.cached()) == 3


def test_what_is_fetched_and_finds_no_room_then_did_not_pay(make):
    bench = make('a', 'b', learner=Chain(), size=3 * UNIT, marks=(100, 100))
    bench.learn()
    gate = make.hold()
    bench.put('b', chunks=[gate.wait, BODY])
    bench.step(read('a', 20), at=29.5)
    eventually(lambda: bench.fetched() == ['b'])
    bench.step(*(Admit(spool(bench.store, BODY, name=name_of(object_))) for object_ in 'cde'), at=29.6)
    bench.prefetcher.settle()
    for item in bench.store.linked():
        os.utime(bench.store.layout.entry(item.entry_name), (NOW + 29.6, NOW + 29.6))
    gate.send()
    bench.prefetcher.drain()
    bench.step(read('b', 30), at=30)
    assert bench.cached() == ['c', 'd', 'e']
    assert bench.prefetcher.fetches.usefulness._of('AUTH_test').precision < FIRST_PRECISION


# fills and what is to be forgotten

def test_fills_and_forgets_of_one_object_are_handled_in_their_order(make):
    bench = make()
    fills = [Admit(spool(bench.store, BODY, name=name_of('a'), timestamp=f'180000000{turn}.00000'))
             for turn in range(3)]
    forget = Forget('AUTH_test', 'c', object='a')
    bench.step(fills[0], forget, fills[1], forget, fills[2])
    assert (bench.cached(), bench.counts['forgotten']) == (['a'], 2)
    bench.step(Admit(spool(bench.store, BODY, name=name_of('b'))), Forget('AUTH_test', 'c'))
    assert bench.cached() == []


@pytest.fixture
def held(make):
    """A bench whose check of one large file waits; `send` lets it go on."""
    gate, held = make.hold(), []

    def execute(call, *args):
        if held and args == (held[0],):
            gate.wait()
        return tpool.execute(call, *args)

    bench = make(execute=execute)
    held.append(spool(bench.store, BODY, name=name_of('a')))
    bench.queue.put([Admit(held[0])])
    bench.prefetcher.step()
    bench.gate = gate
    return bench


def test_a_large_fill_holds_up_no_other_record(held):
    held.queue.put([Admit(spool(held.store, BODY, name=name_of('b'))), read('c', 0)])
    held.prefetcher.step()
    eventually(lambda: held.cached() == ['b'])
    assert held.counts['records.access'] == 1
    held.gate.send()
    held.prefetcher.settle()
    assert held.cached() == ['a', 'b'] and held.waiting() == 0


def test_a_fill_is_done_only_when_it_is_admitted(held):
    held.prefetcher.step()
    assert held.queue.depth()['Admit'] == 1
    held.now += LEASE_SECONDS + 1
    assert held.prefetcher.step() == 1
    held.gate.send()
    held.prefetcher.settle()
    assert (held.counts['admitted'], held.counts['refused'], held.waiting()) == (1, 0, 0)


def test_stopping_puts_back_what_is_being_admitted(held, monkeypatch):
    monkeypatch.setattr('swiftahead.sidecar.prefetcher.consumer.STOP_SECONDS', 0.01)
    held.prefetcher.stop()
    assert [item.tries for item in held.queue.lease(10, 60)] == [1]
    held.gate.send()
    held.prefetcher.settle()
    spooled, = held.store.spool_files()
    assert held.cached() == []
    (held.store.layout.spool / spooled.entry_name).unlink()


def test_stopping_lets_what_is_under_way_end(held):
    spawn(held.gate.send)
    held.prefetcher.stop()
    assert held.cached() == ['a'] and held.waiting() == 0



def test_a_fill_is_admitted(make):
    bench = make()
    assert bench.step(Admit(spool(bench.store, BODY, name=name_of('a')))) == 1
    assert (bench.cached(), bench.counts['admitted'], bench.waiting()) == (['a'], 1, 0)


def test_a_damaged_fill_is_refused_and_the_others_are_handled(make):
    bench = make()
    names = [spool(bench.store, BODY, name=name_of(object_)) for object_ in 'abc']
    (bench.store.layout.spool / names[1]).write_bytes(b'rubbish')
    bench.step(*map(Admit, [names[0], names[1], 'gone', names[2]]))
    assert bench.cached() == ['a', 'c']
    assert (bench.counts['admitted'], bench.counts['refused'], bench.waiting()) == (2, 2, 0)


def test_forgotten_entries_are_dropped_and_counted(make):
    bench = make()
    bench.step(*(Admit(spool(bench.store, BODY, name=name_of(object_))) for object_ in 'abc'))
    bench.step(Forget('AUTH_test', 'c', object='a'), Forget('AUTH_test', 'c', object='none'))
    assert (bench.cached(), bench.counts['forgotten'], bench.counts['records.forget']) == (['b', 'c'], 1, 2)


def test_a_record_that_nobody_can_handle_is_a_dead_letter_and_the_others_are_handled(make):
    bench = make()
    good = Admit(spool(bench.store, BODY, name=name_of('b')))
    bench.step(Admit(spool_name=None), good)
    assert (bench.counts['records_failed'], bench.store.has(name_of('b'))) == (1, True)
    assert bench.queue.depth() == {'dead': 1, 'dropped': 0}


def test_a_read_that_nobody_can_handle_is_a_dead_letter_alone_and_the_others_of_its_row_are_handled(make):
    bench = make('a', 'b')
    bench.run(read('a', 0, fetch=True), read(None, 0, outcome='hit'), read('b', 0, fetch=True))
    assert (bench.counts['records_failed'], bench.counts['records.access'], bench.cached()) == (1, 3, ['a', 'b'])
    letter, = bench.queue.dead_letters(10)
    assert json.loads(letter.body)['object'] is None
    assert bench.queue.depth() == {'dead': 1, 'dropped': 0}


def test_a_record_that_meets_a_broken_disk_is_dropped_and_the_others_are_handled(make):
    bench = make()
    folder = bench.store.layout.cache_dir
    away = folder.rename(folder.with_name('away'))
    bench.step(Admit('x'), read('a', 0))
    assert (bench.counts['records_failed'], bench.counts['records.access'], bench.waiting()) == (1, 1, 0)
    assert 'Admit' in bench.logger.said[-1]
    away.rename(folder)


def test_a_turn_without_records_is_none(make):
    assert make().step() == 0


# while it is not known what lies in the folder

FORGET_A = Forget('AUTH_test', 'c', object='a')


def captured(bench, object_):
    return Admit(spool(bench.store, BODY, name=name_of(object_)))


@pytest.fixture
def starting(make):
    """A bench whose cache holds b, and whose sidecar has just been started again."""
    bench = make('a', 'b', 'c')
    bench.step(captured(bench, 'b'))
    bench.start(learner=Chain())
    return bench


def test_what_was_captured_waits_in_queue_and_spool_until_all_is_known(starting):
    starting.step(captured(starting, 'a'))
    assert (starting.cached(), starting.waiting(), len(list(starting.store.spool_files()))) == (['b'], 1, 1)
    starting.manager.load()
    starting.step()
    assert (starting.cached(), starting.waiting()) == (['a', 'b'], 0)


@pytest.mark.parametrize('forget', [Forget('AUTH_test', 'c', object='b'), Forget('AUTH_test', 'c')])
def test_what_is_to_be_forgotten_goes_at_once(starting, forget):
    starting.step(forget)
    assert starting.cached() == []
    starting.manager.load()
    starting.step()
    assert (starting.manager.inventory.entries, starting.waiting()) == (0, 0)


def test_what_is_leased_again_before_all_is_known_is_counted_once(starting):
    starting.step(Forget('AUTH_test', 'c'))
    starting.step(at=LEASE_SECONDS + 1)
    assert starting.counts['records.forget'] == 1


def test_what_was_to_be_forgotten_while_the_folder_could_not_be_read_goes_later(starting):
    objects = starting.store.layout.objects
    objects.rename(objects.with_name('away'))
    starting.step(Forget('AUTH_test', 'c'))
    objects.with_name('away').rename(objects)
    starting.manager.load()
    starting.step()
    assert (starting.cached(), starting.waiting()) == ([], 0)


@pytest.mark.parametrize('forget', [FORGET_A, Forget('AUTH_test', 'c', 'a'), Forget('AUTH_test', 'c')])
def test_what_was_captured_before_it_was_forgotten_does_not_come_after_it(starting, forget):
    starting.step(captured(starting, 'a'), forget)
    starting.manager.load()
    starting.step()
    assert (starting.store.has(name_of('a')), starting.waiting()) == (False, 0)


def test_what_was_captured_after_it_was_forgotten_comes(starting):
    starting.step(FORGET_A, captured(starting, 'a'))
    starting.manager.load()
    starting.step()
    assert (starting.cached(), starting.waiting()) == (['a', 'b'], 0)


def test_what_is_forgotten_while_the_last_of_the_folder_is_read_does_not_come_after_it(starting, monkeypatch):
    """The record was leased before all was known, and is handled after."""
    real = starting.queue.lease

    def lease(*args):
        found = real(*args)
        starting.manager.load()
        return found

    monkeypatch.setattr(starting.queue, 'lease', lease)
    starting.step(captured(starting, 'a'), FORGET_A)
    starting.step()
    assert (starting.cached(), starting.waiting()) == (['b'], 0)


def test_what_was_forgotten_is_handled_again_after_a_stop(starting):
    starting.step(captured(starting, 'a'), FORGET_A)
    starting.prefetcher.stop()
    starting.queue = open_queue(f'sqlite:{starting.queue.path}', clock=starting.clock)
    starting.start()
    starting.manager.load()
    starting.step()
    assert (starting.cached(), starting.waiting()) == (['b'], 0)


def test_reads_are_learned_from_and_what_they_foretell_is_fetched_when_all_is_known(starting):
    starting.step(read('a', 0, 'one'), read('c', 10, 'one'), at=10)
    starting.run(read('a', 20), at=29.5)
    assert (starting.fetched(), starting.prefetcher.seconds_to_next(9.0)) == ([], 9.0)
    starting.manager.load()
    starting.run()
    assert (starting.fetched(), starting.cached()) == (['c'], ['b', 'c'])


# warming

def test_warming_waits_until_it_is_known_how_much_room_there_is(make):
    bench = make('a')
    bench.start()
    bench.run(WARM)
    assert (bench.fetched(), bench.waiting()) == ([], 1)
    bench.manager.load()
    bench.run()
    assert (bench.cached(), bench.waiting()) == (['a'], 0)


def test_a_container_is_warmed(make):
    bench = make('a', 'b', 'c')
    bench.run(WARM)
    assert (bench.cached(), bench.counts['warmed'], bench.waiting()) == (['a', 'b', 'c'], 3, 0)
    with bench.store.entry(name_of('a')) as entry:
        assert entry.meta.origin == 'warm'


@pytest.mark.parametrize('record, objects', [
    (Warm('AUTH_test', 'c', limit=2), ['a', 'b']), (Warm('AUTH_test', 'c', 'b'), ['b']),
    (Warm('AUTH_test', 'c', 'x'), []), (Warm('AUTH_test', 'none'), [])])
def test_what_is_asked_for_is_warmed(make, record, objects):
    bench = make('a', 'b', 'c')
    bench.run(record)
    assert bench.fetched() == bench.cached() == objects
    assert bench.waiting() == 0


def test_what_is_cached_is_not_warmed_again_and_not_part_of_the_limit(make):
    bench = make('a', 'b', 'c')
    bench.step(Admit(spool(bench.store, BODY, name=name_of('a'))))
    bench.run(Warm('AUTH_test', 'c', limit=1))
    assert bench.fetched() == ['b']


def test_warming_stops_at_the_low_mark_and_evicts_nothing(make):
    bench = make(*'abcdefgh', size=10 * UNIT)
    bench.step(Admit(spool(bench.store, BODY, name=name_of('j'))))
    bench.run(WARM)
    assert bench.cached() == ['a', 'b', 'c', 'd', 'j']


def test_warming_goes_on_as_long_as_listed_lengths_leave_room(make):
    bench = make(*'abcdefgh', size=10 * UNIT, concurrency=1)
    bench.run(WARM)
    assert bench.cached() == ['a', 'b', 'c', 'd', 'e']


def test_warming_evicts_nothing_where_both_marks_are_one(make):
    # bodies of a whole page: with header and table each takes three
    bench = make('b', size=5 * 4096, marks=(100, 100))
    bench.put('b', body=b'x' * 4096)
    bench.step(Admit(spool(bench.store, b'x' * 4096, name=name_of('a'))))
    bench.run(WARM)
    assert 'a' in bench.cached()


def test_nothing_is_warmed_onto_a_full_disk(make):
    bench = make('a', size=0)
    bench.run(WARM)
    assert (bench.fetched(), bench.waiting()) == ([], 0)


def test_a_failing_object_does_not_end_the_warming(make):
    bench = make('a', 'b', 'c')
    bench.cluster.failing['/v1' + name_of('b').path] = '404 Not Found'
    bench.run(WARM)
    assert (bench.cached(), bench.counts['warmed'], bench.counts['not_fetched']) == (['a', 'c'], 2, 1)
    assert bench.waiting() == 0


def test_a_warm_record_is_done_when_all_is_fetched(make):
    bench, gate = make('a', 'b'), make.hold()
    bench.put('b', chunks=[gate.wait, BODY])
    bench.step(WARM)
    eventually(lambda: 'a' in bench.cached() and 'b' in bench.fetched())
    assert bench.waiting() == 1
    gate.send()
    bench.prefetcher.drain()
    assert (bench.cached(), bench.waiting()) == (['a', 'b'], 0)


def test_a_lease_that_runs_out_meanwhile_does_not_begin_the_warming_again(make):
    bench, gate = make('a'), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    bench.step(WARM)
    assert bench.step(at=LEASE_SECONDS + 1) == 1
    gate.send()
    bench.prefetcher.drain()
    assert (bench.fetched(), bench.waiting()) == (['a'], 0)


def test_stopping_puts_a_warm_record_back(make):
    bench, gate = make('a'), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    bench.step(WARM)
    assert bench.queue.lease(10, 60) == []
    bench.prefetcher.stop()
    assert [(item.record, item.tries) for item in bench.queue.lease(10, 60)] == [(WARM, 1)]


def test_a_container_that_cannot_be_listed_is_tried_again_after_the_lease(make):
    bench = make('a')
    bench.cluster.failing['/v1/AUTH_test/c'] = '503 Service Unavailable'
    bench.run(WARM)
    assert (bench.counts['records_failed'], bench.waiting()) == (1, 1)
    bench.cluster.failing.clear()
    bench.run(at=LEASE_SECONDS + 1)
    assert (bench.cached(), bench.waiting()) == (['a'], 0)


def test_a_container_that_can_never_be_listed_is_given_up(make):
    bench = make()
    bench.cluster.failing['/v1/AUTH_test/c'] = '403 Forbidden'
    bench.run(WARM)
    for turn in range(1, WARM_TRIES):
        assert bench.queue.depth() == {'Warm': 1, 'dead': 0, 'dropped': 0}
        bench.run(at=turn * (LEASE_SECONDS + 1))
    assert bench.queue.depth() == {'dead': 1, 'dropped': 0}


def test_a_warming_under_way_does_not_hold_up_the_turn(make):
    bench, gate = make('a', concurrency=1), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    bench.step(*[WARM] * 5)
    fill = Admit(spool(bench.store, BODY, name=name_of('j')))
    with Timeout(20):
        bench.step(fill)
    assert bench.cached() == ['j']


def test_one_container_too_many_is_warmed_later(make):
    bench, gate = make('a', 'b'), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    bench.step(*[Warm('AUTH_test', 'c', 'a')] * WARM_AT_A_TIME, Warm('AUTH_test', 'c', 'b'))
    gate.send()
    bench.prefetcher.drain()
    assert (bench.cached(), bench.waiting()) == (['a'], 1)
    bench.run(at=POSTPONE_SECONDS + 1)
    assert (bench.cached(), bench.waiting()) == (['a', 'b'], 0)


def test_waiting_for_a_place_is_no_try(make):
    bench, gate = make('a'), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    bench.step(*[WARM] * WARM_AT_A_TIME, Warm('AUTH_test', 'c', 'b'))
    for turn in range(1, WARM_TRIES):
        bench.step(at=turn * (POSTPONE_SECONDS + 1))
    gate.send()
    bench.prefetcher.drain()
    bench.cluster.failing['/v1/AUTH_test/c'] = '503 Service Unavailable'
    bench.run(at=WARM_TRIES * (POSTPONE_SECONDS + 1))
    assert bench.queue.depth() == {'Warm': 1, 'dead': 0, 'dropped': 0}
