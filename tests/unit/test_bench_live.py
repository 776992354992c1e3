"""What the replay on clusters computes, and the balancer's conf; nothing is timed here."""
import subprocess
from pathlib import Path

import pytest
from bench import apart, live
from bench.common import find_program

from demo.replay import TimedRead
from demo.tracefile import TraceRead

pytestmark = pytest.mark.tools

READS = [TraceRead(number * 0.5, '', f'o{number}', 10) for number in range(8)]


def reading(name, milliseconds, hit=False, right=True):
    return TimedRead(name, milliseconds / 1000, hit, False, right)


def result(system, *means):
    """A pass of each mean, all misses of one object."""
    return live.Result(system, [[reading('a', mean)] for mean in means])


def compared(plain, off, on):
    results = [result(live.System(live.PLAIN), *plain), result(live.System('off', 'lru', False), *off),
               result(live.System('on', 'lru'), *on)]
    return live.tables(results)[1].rows[0]


def test_all_systems_of_one_run_share_work_and_differ_in_one_thing():
    systems = live.chosen(live.arguments(['--trace', 'x', '--eviction', 'lru', 'gdsf']))
    assert [(one.eviction, one.learns) for one in systems] == [
        ('', True), ('lru', False), ('lru', True), ('gdsf', False), ('gdsf', True)]


def test_each_client_reads_all_of_it_and_begins_elsewhere():
    made = list(live.shifted(READS, 4))
    for client in '0123':
        own = [read.object for read in made if read.client == client]
        assert sorted(own) == sorted(read.object for read in READS)
    assert [read.object for read in made[:4]] == ['o0', 'o2', 'o4', 'o6']
    assert made == sorted(made, key=lambda read: read.offset)


@pytest.mark.parametrize('mean, said', [(15.0, 'met'), (15.1, 'MISSED')])
def test_pass_2_must_take_half_of_swift_alone(mean, said):
    assert compared((30, 30), (20, 20), (30, mean))[2] == f'<= 0.5: {said}'


@pytest.mark.parametrize('mean, said', [(20.0, 'met'), (20.1, 'MISSED')])
def test_learning_must_not_cost_more_than_it_saves(mean, said):
    assert compared((50, 50), (50, 20), (50, mean))[4] == f'<= 1: {said}'


@pytest.mark.parametrize('mean, said', [(32.0, 'met'), (32.1, 'MISSED')])
def test_pass_1_may_cost_what_a_miss_costs(mean, said):
    assert compared((30, 30), (32, 20), (mean, 10))[-1] == f'<= 2: {said}'


def test_what_a_miss_costs_is_told_by_the_same_reads_without_the_filter():
    plain = [reading('small', 10), reading('large', 100)]
    cached = [reading('large', 102), reading('small', 1, hit=True)]
    assert live.miss_cost(plain, cached) == pytest.approx(2)


def test_two_proxies_are_compared_with_one():
    systems = live.chosen(live.arguments(['--trace', 'x', '--proxies', '2']))
    rows = live.tables([result(system, 10, 10 + number) for number, system in enumerate(systems)])[1].rows
    assert [(name, round(ratio, 2)) for name, _, ratio in rows] == [
        (live.ONE, 1.0), (live.SPLIT, 1.09), (live.HASHED, 1.18)]


def test_the_manual_has_the_conf_that_was_run():
    told = (Path(__file__).parents[2] / 'doc/deployment.rst').read_text().partition('With HAProxy::')[2]
    ran = apart.conf_text(1, apart.HASHED, [])
    lines = [line.strip() for line in told.partition('\n- ')[0].splitlines()]
    assert {line.strip() for line in ran.splitlines()} - set(lines) == {
        'global', 'maxconn 1000', 'frontend swift', 'bind 127.0.0.1:1', 'default_backend proxies'}


@pytest.mark.skipif(not find_program('haproxy'), reason='haproxy is not installed')
@pytest.mark.parametrize('balance', [apart.SPLIT, apart.HASHED])
def test_haproxy_takes_the_conf(balance, tmp_path):
    path = tmp_path / 'haproxy.cfg'
    path.write_text(apart.conf_text(1, balance, ['http://127.0.0.1:2', 'http://127.0.0.1:3']))
    done = subprocess.run([find_program('haproxy'), '-c', '-f', path], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
