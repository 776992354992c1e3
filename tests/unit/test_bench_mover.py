"""What the benchmark of the mover computes; nothing is timed here."""
import pytest
from bench import mover
from bench.common import Sample

pytestmark = pytest.mark.tools

UPSTREAM = {'upstream, 1': 13.0, 'upstream, 8': 16.0}


def samples(rates, requests=10.0):
    return [Sample(case, side, 0, {'rate': rate, 'cpu_ms': 1.0,
                                   'requests': requests if side.startswith('mover') else 10.0})
            for case in mover.CASES for side, rate in rates.items()]


def first_row(rates, latency=0.0, requests=10.0):
    return mover.compared(samples(rates, requests), list(rates), latency).rows[0]


def test_what_an_empty_pass_takes_is_not_the_objects():
    cost = mover.Cost(seconds=12, requests=130, cpu=3).per_object(mover.Cost(2, 30, 1), 100)
    assert cost == {'rate': 10.0, 'requests': 1.0, 'cpu_ms': 20.0}


@pytest.mark.parametrize('rate, said', [(24.0, 'met'), (23.9, 'MISSED')])
def test_the_mover_is_compared_with_upstreams_best(rate, said):
    assert first_row({**UPSTREAM, 'mover, default': rate})[2] == f'>= 1.5: {said}'


@pytest.mark.parametrize('rate, said', [(65.0, 'met'), (64.9, 'MISSED')])
def test_with_latency_it_is_compared_with_upstreams_default(rate, said):
    assert first_row({**UPSTREAM, 'mover, default': rate}, latency=20)[2] == f'>= 5: {said}'


@pytest.mark.parametrize('requests, said', [(7.0, 'met'), (7.1, 'MISSED')])
def test_the_mover_must_ask_less(requests, said):
    assert first_row({**UPSTREAM, 'mover, default': 30.0}, requests=requests)[4] == f'<= 0.7: {said}'


def test_without_the_mover_nothing_is_compared():
    assert len(mover.tables(samples(UPSTREAM), list(UPSTREAM), 0)) == 1


def test_requests_are_counted_in_the_access_lines_of_servers_alone():
    line = b'INFO object-server: 127.0.0.1 - - [..] "GET /d1/61/a/c/o" 200 9 "GET http://x/v1/a/c/o" "tx"'
    assert len(mover.ACCESS.findall(line)) == 1
