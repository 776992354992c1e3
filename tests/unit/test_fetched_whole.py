"""Objects of which a part was read and nothing was cached: the sidecar fetches them whole, while that pays."""
import os
from dataclasses import asdict, replace

import pytest
from helpers.cache.chain import Chain
from helpers.cache.prefetching import BODY, UNIT, WARM, eventually, make_bench, name_of, read  # noqa: F401 - a fixture
from helpers.common.builders import NOW, spool

from swiftahead.conf.names import WHOLE
from swiftahead.eviction.evictor import IDLE_SECONDS
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.replay import Replay, ReplaySettings
from swiftahead.queues import Access, Admit, Forget, decode, encode
from swiftahead.sidecar.prefetcher.fetch_scheduler import LATE_SECONDS

# bytes on disk that may be fetched in vain
TRUST = 128 * 2**20
ACCESS = Access('AUTH_a', 'c', 'o', 'client', 1.0, 10, 'miss')


def part(object_, at=0, **more):
    """A range of it was read, and it was not there."""
    return read(object_, at, fetch=True, cut=True, **more)


# records

@pytest.mark.parametrize('field', ['manifest', 'cut', 'fetch'])
def test_what_a_record_says_survives_its_encoding(field):
    record = replace(ACCESS, **{field: True})
    assert decode(*encode(record)) == record != ACCESS


def test_a_record_of_an_earlier_version_asks_for_nothing():
    text = '{"account":"AUTH_a","container":"c","object":"o","client":"client","at":1.0,"bytes":10'
    assert decode('Access', text + ',"outcome":"miss"}') == ACCESS
    assert [key for key, value in asdict(ACCESS).items() if value is True] == []


# fetching

def test_it_is_fetched_whole(make):
    bench = make('a')
    bench.run(part('a'), at=0)
    assert bench.fetched() == bench.cached() == ['a']
    with bench.store.entry(name_of('a')) as entry:
        assert entry.meta.origin == 'whole' and entry.stamp is not None
    assert bench.counts == {'records.access': 1, 'fetched_whole': 1, 'prefetched_bytes': len(BODY), 'admitted': 1}


def test_many_parts_have_it_fetched_once(make):
    bench, gate = make('a'), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    for _ in range(3):
        bench.step(*[part('a')] * 100, at=0)
    gate.send()
    bench.run(part('a'), at=1)
    assert bench.fetched() == ['a']


def test_what_is_about_to_be_admitted_is_not_fetched(make):
    bench = make('a')
    bench.queue.put([Admit(spool(bench.store, BODY, name=name_of('a'))), part('a')])
    bench.run(at=0)
    assert (bench.fetched(), bench.cached()) == ([], ['a'])


def test_what_nobody_asked_to_have_whole_is_not_fetched(make):
    bench = make('a')
    bench.run(read('a', 0, cut=True), at=0)
    assert bench.fetched() == []


def test_a_stale_read_has_nothing_fetched(make):
    bench = make('a')
    bench.run(part('a'), at=LATE_SECONDS + 0.1)
    assert bench.fetched() == [] and len(bench.schedule) == 0


def test_who_goes_on_reading_parts_does_not_lose_its_turn(make):
    bench, gate = make('a', 'b', 'c', concurrency=1), make.hold()
    bench.put('c', chunks=[gate.wait, BODY])
    bench.step(part('c'), at=0)
    bench.step(part('a'), at=1)
    bench.step(part('b', 2), part('a', 3), at=3)
    gate.send()
    bench.prefetcher.drain()
    assert bench.fetched() == ['c', 'a', 'b']


def test_what_is_too_large_for_the_sidecar_is_not_fetched(make):
    bench = make()
    bench.put('a', body=bytes(2**20 + 1))
    bench.run(part('a'), at=0)
    assert bench.counts['not_fetched'] == 1 and bench.cached() == []


@pytest.mark.parametrize('age, fetched', [(IDLE_SECONDS - 1, []), (IDLE_SECONDS + 1, ['a'])])
def test_what_is_hotter_is_not_evicted_for_it(make, age, fetched):
    bench = make('a', size=4 * UNIT, marks=(75, 50))
    for object_ in 'efg':
        bench.run(Admit(spool(bench.store, BODY, name=name_of(object_))), at=0)
    for item in bench.store.linked():
        os.utime(bench.store.layout.entry(item.entry_name), (NOW, NOW))
    bench.run(part('a', age), at=age)
    assert bench.fetched() == fetched and ('a' in bench.cached()) is bool(fetched)


def test_it_was_not_fetched_ahead(make):
    bench = make('a')
    bench.run(part('a'), at=0)
    bench.run(read('a', 1, outcome='hit'), at=1)
    assert bench.counts['prefetched'] == bench.counts['prefetched_used'] == 0


def test_what_is_predicted_and_read_in_part_is_fetched_once(make):
    bench = make('a', 'b', learner=Chain())
    bench.learn()
    bench.run(read('a', 20), part('b', 20), at=20)
    bench.run(at=29.5)
    assert bench.fetched() == ['b']


def test_what_is_being_fetched_is_not_warmed_too(make):
    bench, gate = make('a'), make.hold()
    bench.put('a', chunks=[gate.wait, BODY])
    bench.step(part('a'), at=0)
    eventually(lambda: bench.fetched() == ['a'])
    bench.step(WARM)
    gate.send()
    bench.prefetcher.drain()
    assert bench.fetched() == ['a'] and bench.counts['warmed'] == 0


# whether it pays

@pytest.fixture
def throttled(make):
    """Makes benches where too much was fetched whole in vain, or all but some units too much."""
    def throttled(*objects, left=-1, account='AUTH_test', **more):
        bench = make(*objects, **more)
        watch(bench).ended(account, 0, TRUST - left * UNIT)
        return bench
    return throttled


def watch(bench):
    return bench.prefetcher.fetches.watches[WHOLE]


def share(bench):
    return watch(bench)._of('AUTH_test').precision


def test_what_is_fetched_whole_in_vain_is_throttled(throttled):
    bench = throttled(*'abcde', left=2)
    for at, object_ in enumerate('abcde'):
        bench.run(part(object_, at), at=at)
    # what makes it too much is still fetched
    assert bench.fetched() == ['a', 'b', 'c']
    assert (bench.counts['fetched_whole'], bench.counts['throttled.whole']) == (3, 2)


def test_many_at_once_are_no_more(throttled, make):
    bench, gate = throttled(*'abcde', left=2), make.hold()
    for object_ in 'abcde':
        bench.put(object_, chunks=[gate.wait, BODY])
    bench.step(*map(part, 'abcde'), at=0)
    gate.send()
    bench.prefetcher.drain()
    assert bench.fetched() == ['a', 'b', 'c'] and bench.counts['throttled.whole'] == 2


def test_what_is_throttled_leaves_its_place_to_the_next(throttled):
    bench = throttled(*'abcde', concurrency=1)
    bench.run(*map(part, 'abcde'), at=0)
    assert bench.counts['throttled.whole'] == 5 and len(bench.schedule) == 0


def test_one_in_ten_is_fetched_all_the_same(throttled):
    bench = throttled('a')
    for at in range(12):
        bench.run(part('a', at), at=at)
    assert bench.fetched() == ['a'] and bench.counts['throttled.whole'] == 9


@pytest.mark.parametrize('again', [{}, {'cut': True}])
def test_what_the_cache_answers_afterwards_has_paid(throttled, again):
    bench = throttled(*'abc', left=0)
    bench.run(part('a'), at=0)
    bench.run(part('b', 1), at=1)
    assert bench.fetched() == ['a']
    bench.run(read('a', 2, outcome='hit', **again), at=2)
    bench.run(part('c', 3), at=3)
    assert bench.fetched() == ['a', 'c'] and bench.counts['fetched_whole_used'] == 1


def test_it_pays_once(throttled):
    bench = throttled('a')
    watch(bench).used('AUTH_test', TRUST)
    bench.run(part('a'), at=0)
    shares = []
    for at in (1, 2, 3):
        bench.run(read('a', at, outcome='hit'), at=at)
        shares.append(share(bench))
    assert shares[0] == shares[1] == shares[2] and bench.counts['fetched_whole_used'] == 1


@pytest.mark.parametrize('lost', [True, False])
def test_what_is_gone_or_not_there_yet_when_it_is_read_has_not_paid(make, lost):
    bench = make('a')
    bench.run(part('a'), at=0)
    if lost:
        bench.evict_next()
    before = share(bench)
    bench.run(read('a', 1), at=1)
    assert share(bench) == before and bench.counts['fetched_whole_used'] == 0
    assert bench.counts['evicted_unused'] == lost


def test_what_was_written_before_it_is_read_again_has_not_paid(make):
    bench = make('a')
    bench.run(part('a'), at=0)
    before = share(bench)
    bench.run(Forget('AUTH_test', 'c', object='a'), Admit(spool(bench.store, BODY, name=name_of('a'))), at=1)
    bench.run(read('a', 2, outcome='hit'), at=2)
    assert share(bench) == before and bench.cached() == ['a']


def test_what_fails_costs_nothing(make):
    bench = make()
    before = share(bench)
    bench.run(part('a'), at=0)
    assert bench.counts['not_fetched'] == 1 and share(bench) == before


def test_who_fetches_in_vain_does_not_stop_others(throttled):
    bench = throttled('a', account='AUTH_other')
    bench.run(part('a'), at=0)
    assert bench.fetched() == ['a']


def test_what_is_fetched_whole_in_vain_does_not_stop_what_is_foreseen(throttled):
    bench = throttled('a', 'b', learner=Chain())
    bench.learn()
    bench.run(read('a', 20), at=29.5)
    assert bench.fetched() == ['b']


def test_guesses_in_vain_do_not_stop_what_is_fetched_whole(make):
    bench = make('a')
    for number in range(1000):
        bench.prefetcher.fetches.usefulness.fetched('AUTH_test', ('c', f'in vain {number}'))
    bench.run(part('a'), at=0)
    assert bench.fetched() == ['a']


def test_what_is_here_is_not_throttled_nor_fetched(throttled):
    bench = throttled()
    bench.step(Admit(spool(bench.store, BODY, name=name_of('a'))))
    for at in range(20):
        bench.run(part('a', at), at=at)
    assert bench.fetched() == [] and bench.counts['throttled.whole'] == 0


def test_what_cannot_be_cached_is_not_fetched_for_each_part(make):
    bench = make()
    bench.put('a', body=bytes(2**20 + 1))
    for at in range(5):
        bench.run(part('a', at), at=at)
    assert bench.fetched() == ['a'] and bench.counts['not_fetched'] == 1


def test_what_is_warmed_is_no_matter_to_it(throttled):
    bench = throttled('a')
    before = share(bench)
    bench.run(WARM)
    assert bench.fetched() == ['a'] and share(bench) == before


@pytest.mark.parametrize('asked', ['abcdefghij', 'ababcdcdefef', 'aabbccddeeff', 'abcdefghijabcdefghij' * 3])
def test_the_replay_fetches_the_same(throttled, asked):
    bench, replay = throttled(*'abcdefghij', left=3), Replay(
        ReplaySettings(1000 * UNIT, POLICIES['lru'], None, lambda size: 0.0, disk_bytes=lambda size: UNIT))
    replay._wholes.ended('AUTH_test', 0, TRUST - 3 * UNIT)
    for at, object_ in enumerate(asked):
        is_hit = object_ in bench.cached()
        bench.run(read(object_, at, outcome='hit') if is_hit else part(object_, at), at=at)
        counts = replay.run([LogRead(at, 'x', 'AUTH_test', 'c', object_, len(BODY), part=True)])
        # a miss is one GET, and two where the whole is fetched
        gets = 0 if is_hit else 1 + (object_ in bench.cached())
        assert (counts.hits, counts.backend_gets) == (is_hit, gets)
    assert replay._wholes._of('AUTH_test').precision == pytest.approx(share(bench))
