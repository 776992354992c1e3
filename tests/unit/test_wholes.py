"""Objects of which a part was read and nothing was cached: the sidecar fetches them whole."""
import os
from dataclasses import asdict, replace

import pytest
from chain import Chain
from helpers import NOW, spool
from prefetching import BODY, UNIT, WARM, eventually, make_bench, name_of, read  # noqa: F401 - a fixture

from swiftahead.predict.idle import IDLE_SECONDS
from swiftahead.queues import Access, Fill, decode, encode
from swiftahead.sidecar.fetches import LATE_SECONDS

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
    bench.queue.put([Fill(spool(bench.store, BODY, name=name_of('a'))), part('a')])
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
        bench.run(Fill(spool(bench.store, BODY, name=name_of(object_))), at=0)
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
