"""What the benchmark of the syncer computes; nothing is timed here."""
import http.client

import pytest
from bench import common, sync
from bench.common import BenchError, Sample, Spread, Table
from bench.passes import Pass, Request, requests_in
from bench.sync_memory import Other
from swift.common.utils import Timestamp

pytestmark = pytest.mark.tools

LINE = ('10:03:19.090 INFO proxy-server: 127.0.0.1 127.0.0.1 30/Nov/2026/10/03/19 {} /v1/AUTH_test/{} HTTP/1.0 '
        '404 - swiftahead-syncer - - - - tx253fa844007b4789b771a-006b0d49e7 - 0.0747 - cs:valid '
        '1796032999.015350819 1796032999.090055704 0 -\n')
HEAD, GET, PUT = (Request(method, 201, begin, begin + 0.5) for begin, method in enumerate(('HEAD', 'GET', 'PUT')))


def test_requests_for_a_containers_objects_are_found_in_a_log():
    text = (LINE.format('HEAD', 'c-1/o%3Fsymlink%3Dget') + LINE.format('GET', 'c-1') + LINE.format('PUT', 'c-10/o')
            + 'WARNING proxy-server: No authentication (txn: tx1)\n')
    assert requests_in(text, 'c-1') == [Request('HEAD', 404, 1796032999.015350819, 1796032999.090055704)]


def test_a_pass_lasts_from_its_first_request_to_the_end_of_the_last():
    values = Pass([HEAD, PUT], [GET], own_cpu=3, servers_cpu=1).values(10, start_cpu=2)
    assert values == {'rate': 4, 'head_ms': 500, 'get_ms': 500, 'put_ms': 500, 'own_ms': 100, 'servers_ms': 100}


def test_a_pass_that_sent_nothing_has_no_rate():
    with pytest.raises(BenchError, match='sent nothing'):
        Pass([], [], 1, 1).values(10, 0)


def samples(rates):
    return [Sample(case.name, side, 0, {'rate': rates[case, side], 'second_rate': rates[case, side]})
            for case in sync.CASES.values() for side in case.sides]


@pytest.mark.parametrize('ours, said', [(13.0, 'met'), (12.9, 'MISSED')])
def test_the_syncer_is_compared_with_upstream(ours, said):
    rates = {(case, side): ours if side == sync.SYNCER else 10.0 for case in sync.CASES.values()
             for side in case.sides}
    found = sync.bounds(samples(rates), list(sync.CASES.values()))
    assert [row[2] for row in found] == [f'>= 1.3: {said}'] * 2 + ['>= 5: MISSED', '', '', '>= 5: MISSED',
                                                                   '>= 0.9: met']


def test_what_was_not_measured_is_not_compared():
    assert sync.bounds([], [sync.LARGE_CASE]) == [('first pass, 10 MB: syncer / upstream', None,
                                                   '>= 1.3: not measured')]


def test_a_result_has_the_digits_that_pages_quote():
    table = Table('Title', ('a',), [(Spread(1.2345, 0.98765, 1234.5, 3), 7, None, 0.5)])
    assert common.as_shown(table)['rows'] == [[{'median': 1.23, 'low': 0.988, 'high': 1234}, 7, None, 0.5]]


def test_in_place_of_the_other_cluster_each_object_is_newer():
    with Other() as other:
        client = http.client.HTTPConnection('127.0.0.1', other.port, timeout=60)
        for number in (1, 2):
            client.request('HEAD', '/v1/AUTH_test/many/o')
            answer = client.getresponse()
            assert answer.status == 200 and Timestamp(answer.getheader('X-Timestamp')) > Timestamp.now()
            assert answer.read() == b'' and other.asked == number
        client.close()
