"""What the benchmarks of many clients compute and read; nothing is timed here."""
import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bench import clients, coalesce, crowd, load
from bench.common import BenchError, Sample

pytestmark = pytest.mark.tools

BODY = bytes(range(256)) * 2000
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
PATH = '/v1/AUTH_test/bench/cold-1'
LINE = ('07:42:18.301 INFO object-server: 127.0.0.1 - - [23/Nov/2026:07:42:18 +0000] '
        '"{method} /d1/13/{path}" {status} 5 '
        '"GET http://127.0.0.1:20978/v1/{path}" "tx2e9c" "proxy-server {pid}" 0.0019 "-" 6476 0')


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64


@contextmanager
def serving(status=200, body=BODY, more=0):
    """Answers each GET with that. :param more: bytes that are said to come, and do not

    :returns: its URL, and the list of the headers that came
    """
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            came.append((self.path, self.headers['X-Auth-Token']))
            self.send_response(status)
            self.send_header('Content-Length', str(len(body) + more))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with Server(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}', came
        finally:
            server.shutdown()
            thread.join()


def test_each_of_a_crowd_asks_once_and_gets_the_whole_object():
    with serving() as (url, came):
        seen = crowd.read(url, PATH, {'X-Auth-Token': 'token'}, 20, MD5)
    assert (came, seen.failures) == ([(PATH, 'token')] * 20, {})
    assert 0 < seen.first_byte <= seen.last and seen.median <= seen.last


@pytest.mark.parametrize('answer, failures', [
    ({'status': 404}, {'status 404': 3}), ({'more': 1}, {'cut short': 3}),
    ({'body': BODY[1:] + b'x'}, {'wrong bytes': 1})])
def test_a_crowd_that_does_not_get_the_object_does_not_count(answer, failures):
    with serving(**answer) as (url, _):
        assert crowd.read(url, PATH, {}, 3, MD5).failures == failures


def lines(*entries):
    return '\n'.join(LINE.format(**{'method': 'GET', 'path': 'AUTH_test/bench/cold-1', 'status': 200, **entry})
                     for entry in entries)


def test_backend_gets_are_counted_by_who_sent_them():
    text = lines({'pid': 7}, {'pid': 7, 'status': 206}, {'pid': 8})
    assert coalesce.gets_in(text, PATH) == {'proxy-server 7': 2, 'proxy-server 8': 1}


def test_what_is_no_get_of_the_object_is_not_counted():
    other = 'AUTH_test/bench/cold-11'
    text = lines({'pid': 7, 'method': 'PUT'}, {'pid': 7, 'path': other}, {'pid': 7, 'status': 404})
    assert coalesce.gets_in(text, PATH) == {}


def test_coalescing_is_judged_by_the_worst_round():
    others = dict.fromkeys(('median', 'first byte', 'cpu', 'gets', 'senders'), 1)
    samples = [Sample('1', name, number, {'last': last, 'most': most, **others})
               for number, name, last, most in ((0, 'plain', 4, 200), (0, 'filter', 1, 1), (1, 'plain', 4, 200),
                                                (1, 'filter', 1, 2), (2, 'plain', 4, 200), (2, 'filter', 1, 1))]
    _, bounds = coalesce.tables(samples, ['1'])
    assert [verdict for _, _, verdict in bounds.rows] == ['<= 1: met', '<= 1: MISSED']


def test_hits_are_told_beside_the_report():
    assert load.parse_hits('Running\nhits 12\nreport {}\n') == 12
    with pytest.raises(BenchError, match='did not tell'):
        load.parse_hits('Running\nreport {}\n')


def test_clients_are_compared_within_their_case():
    samples = [Sample('mix, 8', 'plain', 0, {'rate': 100, 'cpu_us': 2}),
               Sample('mix, 8', 'filter', 0, {'rate': 300, 'cpu_us': 1})]
    table, = clients.tables(samples, ['mix, 8', 'hits, 1'])
    assert [row[:4] for row in table.rows[:2]] == [('mix', 8, 'plain', 100), ('mix', 8, 'filter', 300)]
    assert (table.rows[1][-2].median, table.rows[1][-1].median, table.rows[3][-1]) == (3, 0.5, None)
