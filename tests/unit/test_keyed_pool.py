"""Lanes: at the same time, but in order where it is about the same."""
import pytest
from swift.common.concurrency import Event, Timeout, sleep

from swiftahead.sidecar.prefetcher.keyed_pool import KeyedPool


@pytest.fixture
def bench():
    """Lanes of two places, and jobs that begin, wait for their gate if they have one, and end."""
    class Bench:
        def __init__(self):
            self.idle = 0
            self.lanes = KeyedPool(2, self.is_idle)
            self.did, self.gates = [], {}

        def is_idle(self):
            self.idle += 1

        def job(self, name, held=False):
            if held:
                self.gates[name] = Event()

            def job():
                self.did.append(f'{name} begins')
                if held:
                    self.gates[name].wait()
                self.did.append(name)
            return job

        def wait(self):
            with Timeout(20):
                self.lanes.wait()

    bench = Bench()
    yield bench
    for gate in bench.gates.values():
        if not gate.ready():
            gate.send()
    bench.wait()


def until_all_wait():
    for _ in range(10):
        sleep(0)


def test_jobs_of_one_key_run_one_after_the_other(bench):
    bench.lanes.add('a', bench.job('1', held=True))
    bench.lanes.add('a', bench.job('2'))
    bench.lanes.add('b', bench.job('3'))
    until_all_wait()
    assert bench.did == ['1 begins', '3 begins', '3'] and len(bench.lanes) == 2
    bench.gates['1'].send()
    bench.wait()
    assert bench.did[3:] == ['1', '2 begins', '2'] and len(bench.lanes) == 0 and 'a' not in bench.lanes


def test_no_more_run_than_there_are_places(bench):
    for number in '123':
        bench.lanes.add(number, bench.job(number, held=number != '3'))
    until_all_wait()
    assert bench.did == ['1 begins', '2 begins']
    bench.gates['2'].send()
    until_all_wait()
    assert bench.did[2:] == ['2', '3 begins', '3']


def test_what_comes_after_waits_for_all_that_begin_so(bench):
    bench.lanes.add('ab', bench.job('1', held=True))
    bench.lanes.add('ac', bench.job('2', held=True))
    bench.lanes.add_after('a', bench.job('3'))
    until_all_wait()
    bench.gates['1'].send()
    until_all_wait()
    assert bench.did[-1] == '1'
    bench.gates['2'].send()
    bench.wait()
    assert bench.did[-2:] == ['3 begins', '3']


def test_what_comes_after_nothing_begins_at_once(bench):
    bench.lanes.add('b', bench.job('1', held=True))
    bench.lanes.add_after('a', bench.job('2'))
    until_all_wait()
    assert bench.did == ['1 begins', '2 begins', '2']


def test_it_is_told_when_all_have_ended(bench):
    bench.lanes.add('a', bench.job('1', held=True))
    bench.lanes.add('b', bench.job('2'))
    until_all_wait()
    assert bench.idle == 0
    bench.gates['1'].send()
    bench.wait()
    assert bench.idle == 1


def test_stopped_lanes_begin_nothing(bench):
    bench.lanes.add('a', bench.job('1', held=True))
    bench.lanes.add('a', bench.job('2'))
    until_all_wait()
    bench.lanes.stop()
    bench.lanes.add('b', bench.job('3'))
    bench.gates['1'].send()
    bench.wait()
    assert bench.did == ['1 begins', '1'] and len(bench.lanes) == 2
