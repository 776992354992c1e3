"""The status app: what it tells, to whom it listens, and what it does when something is broken."""
import json
import os
import re
import socket
import stat
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from helpers.common.builders import ListLogger, link
from prometheus_client.parser import text_string_to_metric_families
from swift.common.concurrency import Timeout, sleep, spawn
from webob import Request

from swiftahead.cache import Store
from swiftahead.metrics import Counters, counters_folder
from swiftahead.metrics.table import COUNTERS, METRICS
from swiftahead.queues import Access, Warm, open_queue
from swiftahead.sidecar.settings import read_settings
from swiftahead.sidecar.status import part as status_module
from swiftahead.sidecar.status.formats import as_text
from swiftahead.sidecar.status.part import Latest, StatusApp, StatusPart
from swiftahead.sidecar.status.report import mover_report, write
from swiftahead.sidecar.status.snapshot import REPORT_SECONDS, Figures, gather

SECRET = '/AUTH_test/c/<b>secret</b>'


@pytest.fixture
def make(tmp_path):
    """Settings of a node; `lines` belong to [status] and what follows."""
    def make(lines='bind_port = 0'):
        path = tmp_path / 'sidecar.conf'
        path.write_text(f'[sidecar]\ncache_dir = {tmp_path}/cache\nqueue = sqlite:{tmp_path}/cache/queue.db\n'
                        f'swift_dir = {tmp_path}\n[status]\n{lines}\n')
        return read_settings(str(path))
    return make


@pytest.fixture
def settings(make):
    return make()


@pytest.fixture
def node(settings):
    """A node on which all is well."""
    store = Store.create(settings.sidecar.cache_dir)
    report(store)
    movers_report(settings)
    return store


def movers_report(settings, **more):
    write(mover_report(status_module.queue_path(settings)), {'pid': 2, 'at': time.time(), 'under_way': 0, **more})


def report(store, **more):
    store.layout.report.write_text(json.dumps({
        'pid': 1, 'at': time.time(), 'entries': 2, 'bytes': 20480, 'cache_size': 2**30, 'counts': {}, **more}))


def count(settings, *names):
    counters = Counters(counters_folder(status_module.queue_path(settings)))
    for name in names:
        counters.count(*name) if isinstance(name, tuple) else counters.count(name)
    counters.close()


def put(settings, *records):
    queue = open_queue(settings.sidecar.queue)
    queue.put(records)
    queue.close()


@pytest.fixture
def app(settings):
    return StatusApp(lambda: gather(settings))


def ask(app, path, method='GET', **headers):
    req = Request.blank(path, method=method)
    req.headers.update({key.replace('_', '-'): value for key, value in headers.items()})
    return req.get_response(app)


def samples(text):
    """{(name, value of the label): number}"""
    return {(sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def until(condition):
    with Timeout(20):
        while not condition():
            sleep(0.01)


# the figures

def test_what_is_counted_is_told(settings, node):
    count(settings, 'hits', 'hits', ('bypassed', 3, 'newest'))
    counters = gather(settings).counters
    assert (counters['hits'], counters['bypassed.newest'], counters['misses']) == (2, 3, 0)


def test_what_there_is_is_told(settings, node):
    link(node, b'x')
    (node.layout.spool / 'f').write_bytes(b'x' * 5000)
    put(settings, Warm('AUTH_test', 'c'), Access('AUTH_test', 'c', 'o', 'me', 1.0))
    gauges = gather(settings).gauges
    told = {key: gauges[key] for key in ('entries', 'cache_bytes', 'cache_size', 'spool_bytes', 'queue_depth.warm',
                                         'queue_depth.access', 'queue_dead', 'healthy')}
    assert told == {'entries': 2, 'cache_bytes': 20480, 'cache_size': 2**30, 'spool_bytes': 8192,
                    'queue_depth.warm': 1, 'queue_depth.access': 1, 'queue_dead': 0, 'healthy': 1}
    assert gauges['free_bytes'] > 0 and 0 <= gauges['queue_age.warm'] < 60


def test_all_that_is_told_is_in_the_table(settings, node):
    report(node, rebuilding=True, backing_off=False)
    put(settings, Warm('AUTH_test', 'c'))
    figures = gather(settings)
    assert {*figures.counters, *figures.gauges} <= {slot for metric in METRICS for slot in metric.slots}
    assert (figures.gauges['rebuilding'], figures.gauges['backing_off']) == (1, 0)


@pytest.mark.parametrize('text', ['', 'rubbish', '[]', '{}', '{"at": "now", "entries": "many"}'])
def test_a_report_that_is_none_is_a_problem(settings, node, text):
    node.layout.report.write_text(text)
    figures = gather(settings)
    assert figures.problems == ['the prefetcher has not reported yet'] and 'entries' not in figures.gauges


def test_folders_that_cannot_be_read_are_a_problem(settings, node):
    report(node, failing_folders=3)
    assert gather(settings).problems == ['3 of the folders of entries cannot be read']


def test_an_old_report_is_a_problem(settings, node):
    report(node, at=time.time() - REPORT_SECONDS - 5)
    assert re.fullmatch(r'the prefetcher last reported 3\d s ago', gather(settings).problems[0])


def test_a_report_of_the_future_is_none(settings, node):
    report(node, at=time.time() + 5)
    figures = gather(settings)
    assert figures.is_healthy and figures.gauges['report_age.prefetcher'] == 0


def test_a_mover_that_hangs_is_a_problem(settings, node):
    movers_report(settings, at=time.time() - REPORT_SECONDS - 5)
    assert re.fullmatch(r'the mover last reported 3\d s ago', gather(settings).problems[0])


def test_what_the_mover_told_is_told(settings, node):
    movers_report(settings, under_way=3, rows=70, rows_age=12.5)
    gauges = gather(settings).gauges
    assert (gauges['moves_under_way'], gauges['swift_queue_rows'], gauges['swift_queue_age']) == (3, 70, 12.5)


def test_a_node_without_a_mover_needs_no_report_of_it(make, node):
    settings = make('bind_port = 0\n[mover]\nenabled = off')
    mover_report(status_module.queue_path(settings)).unlink()
    assert gather(settings).is_healthy


def test_without_a_cache_folder_the_rest_is_told(settings):
    figures = gather(settings)
    assert [problem.partition(':')[0] for problem in figures.problems] == ['cache folder', 'queue']
    assert figures.counters['hits'] == 0 and figures.gauges['healthy'] == 0


def test_a_queue_that_cannot_be_read_is_a_problem(settings, node, tmp_path):
    (tmp_path / 'cache' / 'queue.db').write_bytes(b'no database, surely' * 100)
    count(settings, 'hits')
    figures = gather(settings)
    assert figures.problems[0].startswith('queue: ') and len(figures.problems) == 1
    assert (figures.counters['hits'], figures.gauges['entries']) == (1, 2)


@pytest.fixture
def alone(tmp_path):
    """Settings of a node for the syncer alone."""
    path = tmp_path / 'sidecar.conf'
    path.write_text(f'[sidecar]\n[syncer]\nenabled = on\ndevices = {tmp_path}\n[status]\nbind_port = 0\n')
    return read_settings(str(path))


def test_of_a_node_without_a_cache_nothing_is_said_of_queue_and_cache(alone):
    figures = gather(alone)
    assert figures.problems == [] and figures.gauges['healthy'] == 1
    assert all(name.startswith('sync_') for name in {*figures.gauges, *figures.counters} - {'healthy'})


@pytest.mark.parametrize('path', ['/', '/status', '/healthz', '/metrics'])
def test_each_page_of_a_node_without_a_cache_is_there(alone, path):
    response = ask(StatusApp(lambda: gather(alone)), path)
    assert response.status_int == 200 and 'queue' not in response.text and 'cache' not in response.text


def test_counters_that_cannot_be_read_are_a_problem(settings, node):
    counters_folder(status_module.queue_path(settings)).touch()
    assert gather(settings).problems[0].startswith('counters: ')


def test_looking_makes_nothing(settings, node, tmp_path):
    before = sorted(tmp_path.rglob('*'))
    gather(settings)
    assert sorted(tmp_path.rglob('*')) == before


def test_a_node_without_a_prefetcher_needs_no_report(make, node):
    node.layout.report.unlink()
    settings = make('bind_port = 0\n[prefetcher]\nenabled = off')
    assert gather(settings).is_healthy


# the app

@pytest.mark.parametrize('path, content_type', [
    ('/', 'text/html; charset=utf-8'), ('/status', 'application/json'),
    ('/healthz', 'application/json'), ('/metrics', 'text/plain; version=0.0.4; charset=utf-8')])
def test_each_page_is_there_and_may_not_be_kept(app, node, path, content_type):
    response = ask(app, path)
    assert (response.status_int, response.headers['Content-Type']) == (200, content_type)
    assert response.headers['Cache-Control'] == 'no-store'
    assert "default-src 'none'" in response.headers['Content-Security-Policy']


@pytest.mark.parametrize('path', ['/', '/status', '/healthz', '/metrics'])
def test_head_is_get_without_a_body(app, node, path):
    response = ask(app, path, 'HEAD')
    assert (response.status_int, response.body) == (200, b'')
    assert response.headers['Content-Type'] == ask(app, path).headers['Content-Type']


@pytest.mark.parametrize('path', ['/', '/status', '/healthz', '/metrics'])
@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'X'])
def test_nothing_can_be_done_to_it(app, node, method, path):
    response = ask(app, path, method)
    assert (response.status_int, response.headers['Allow']) == (405, 'GET, HEAD')


@pytest.mark.parametrize('path', ['/x', '/metrics/', '//', '/../etc/passwd', '/<script>', '/%00', '/status?x'[:3]])
def test_nothing_else_is_there(app, node, path):
    response = ask(app, path)
    assert response.status_int == 404 and b'<script>' not in response.body


def test_the_metrics_are_what_was_counted(app, settings, node):
    count(settings, 'hits', 'hits', ('bypassed', 3, 'newest'))
    put(settings, Warm('AUTH_test', 'c'))
    found = samples(ask(app, '/metrics').text)
    assert found['swiftahead_hits_total',] == 2 and found['swiftahead_misses_total',] == 0
    assert found['swiftahead_bypassed_total', 'newest'] == 3
    assert found['swiftahead_queue_depth', 'warm'] == 1 and found['swiftahead_healthy',] == 1


def test_every_counter_is_a_metric_from_the_beginning(app, node):
    found = samples(ask(app, '/metrics').text)
    names = {f'swiftahead_{metric.name}_total' for metric in COUNTERS}
    assert names <= {name for name, *_ in found}


def test_what_is_not_known_is_no_zero(app, node):
    node.layout.report.unlink()
    assert 'swiftahead_cache_bytes' not in ask(app, '/metrics').text


def test_the_numbers_of_this_process_are_not_there(app, node):
    assert 'python_' not in ask(app, '/metrics').text


@pytest.mark.parametrize('accept, content_type', [
    ('', 'text/plain; version=0.0.4'), ('*/*', 'text/plain'), ('text/html;q=x,,;', 'text/plain'),
    ('application/openmetrics-text;version=1.0.0,*/*;q=0.1', 'application/openmetrics-text; version=1.0.0')])
def test_each_scraper_gets_its_format(app, node, accept, content_type):
    response = ask(app, '/metrics', Accept=accept)
    assert response.headers['Content-Type'].startswith(content_type)
    assert 'charset=utf-8' in response.headers['Content-Type']


def test_json_is_the_same(app, settings, node):
    count(settings, 'hits')
    found = json.loads(ask(app, '/status').body)
    assert (found['healthy'], found['problems'], found['counters']['hits'], found['gauges']['entries']) == (
        True, [], 1, 2)


def test_the_page_shows_it_to_people(app, settings, node):
    count(settings, *['hits'] * 1234, ('bytes_hit', 3 * 2**30))
    text = ask(app, '/').text
    assert '<td>hits</td><td class="n">1,234</td>' in text and '3.0 GiB' in text and 'All is well' in text
    assert '<meta http-equiv="refresh" content="5">' in text
    assert not re.search(r'(src|href)="(?!/)', text) and '<script' not in text


def test_the_page_escapes_what_it_is_told(node):
    figures = Figures(0.0, {'hits': 1}, {}, ['<script>alert(1)</script>'])
    text = ask(StatusApp(lambda: figures), '/').text
    assert '<script>' not in text and '&lt;script&gt;' in text


def test_no_name_of_an_object_is_told(app, settings, node):
    _, account, container, name = SECRET.split('/', 3)
    put(settings, Warm(account, container, name), Access(account, container, name, 'me', 1.0))
    for path in ('/', '/status', '/metrics', '/healthz'):
        text = ask(app, path).text
        assert 'AUTH_test' not in text and 'secret' not in text


@pytest.mark.parametrize('value, unit, text', [
    (0, 'bytes', '0 bytes'), (1023, 'bytes', '1,023 bytes'), (1024, 'bytes', '1.0 KiB'),
    (2**41, 'bytes', '2.0 TiB'), (1, 'yes', 'yes'), (0, 'yes', 'no'), (61.4, 'seconds', '61 s'),
    (12345, '', '12,345')])
def test_numbers_for_people(value, unit, text):
    assert as_text(value, unit) == text


# health

def test_all_is_well(app, node):
    response = ask(app, '/healthz')
    assert (response.status_int, response.json) == (200, {'healthy': True, 'problems': []})


def gone(store, tmp_path):
    (tmp_path / 'cache').rename(tmp_path / 'away')


def garbled(store, tmp_path):
    (tmp_path / 'cache' / 'queue.db').write_bytes(b'no database, surely' * 100)


@pytest.mark.parametrize('spoil, said', [
    (gone, 'cache folder: '), (garbled, 'queue: '),
    (lambda store, _: report(store, at=1.0), 'the prefetcher last reported'),
    (lambda store, _: store.layout.cache_dir.chmod(0o755), 'cache folder: ')])
def test_what_is_wrong_is_said(app, node, tmp_path, spoil, said):
    spoil(node, tmp_path)
    response = ask(app, '/healthz')
    assert (response.status_int, response.json['healthy']) == (503, False)
    assert response.json['problems'][0].startswith(said)
    assert ask(app, '/metrics').status_int == ask(app, '/').status_int == 200
    assert samples(ask(app, '/metrics').text)['swiftahead_healthy',] == 0


# gathering

class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_many_who_ask_at_once_cost_one_look():
    calls = []

    def look():
        calls.append(1)
        time.sleep(0.05)
        return Figures(0.0)
    latest = Latest(look)
    asking = [spawn(latest.figures) for _ in range(20)]
    assert len({id(green.wait()) for green in asking}) == len(calls) == 1


def test_who_asks_again_is_told_the_same_for_a_second():
    clock, calls = Clock(), []
    latest = Latest(lambda: calls.append(1) or Figures(0.0), lambda call: call(), clock)
    for _ in range(2):
        latest.figures()
    clock.now += 1
    latest.figures()
    assert len(calls) == 2


def test_a_disk_that_hangs_is_told_and_looked_at_once(monkeypatch):
    monkeypatch.setattr(status_module, 'GATHER_SECONDS', 0.05)
    gate, calls = threading.Event(), []
    latest = Latest(lambda: calls.append(1) or gate.wait(20) and Figures(0.0))
    for _ in range(3):
        assert latest.figures().problems == ['the disk does not answer']
    gate.set()
    until(lambda: not latest.figures().problems)
    assert len(calls) == 1


def test_a_fault_in_looking_is_told_and_tried_again():
    clock = Clock()

    def look():
        clock.now += 1
        if clock.now < 102:
            raise ValueError('at first')
        return Figures(0.0)
    latest = Latest(look, lambda call: call(), clock)
    assert latest.figures().problems == ["ValueError('at first')"]
    clock.now += 2
    assert latest.figures().is_healthy


# the server

class Running:
    """A server in a green thread of this process."""

    def __init__(self, settings):
        self.logger = ListLogger()
        self.over = False
        self._thread = spawn(StatusPart(settings, self.logger).run, lambda: self.over)

    def port(self):
        until(lambda: self.said('status on http://127.0.0.1:'))
        return int(self.said('status on http://127.0.0.1:')[0].rpartition(':')[2].strip('/'))

    def said(self, text):
        return [said for said in self.logger.said if text in said]

    def get(self, path):
        """(status, body), by a client in a thread of its own."""
        def get():
            try:
                with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=20) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()
        port = self.port()
        return status_module.tpool.execute(get)

    def stop(self):
        self.over = True
        with Timeout(20):
            self._thread.wait()


@pytest.fixture
def run(settings):
    begun = []

    def run(settings=settings):
        begun.append(Running(settings))
        return begun[-1]
    yield run
    for server in begun:
        server.stop()


def test_it_is_served(run, settings, node):
    server = run()
    count(settings, 'hits')
    status, body = server.get('/metrics')
    assert status == 200 and samples(body.decode())['swiftahead_hits_total',] == 1
    assert server.get('/nothing')[0] == 404


def test_a_node_without_a_cache_is_served(run, alone):
    server = run(alone)
    assert server.get('/healthz')[0] == 200
    assert not server.said('counters')


def test_it_listens_where_it_is_told_and_nowhere_else(run, node):
    server = run()
    port = server.port()
    rows = [line.split() for line in Path('/proc/net/tcp').read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[1].endswith(f':{port:04X}') and row[3] == '0A']
    assert listening == [f'0100007F:{port:04X}']


def test_a_port_in_use_is_said_once_and_had_when_it_is_free(run, make, node, monkeypatch):
    monkeypatch.setattr(status_module, 'RETRY_SECONDS', 0.02)
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        server = run(make(f'bind_port = {port}'))
        until(lambda: server.said('no status on 127.0.0.1'))
        sleep(0.1)
    assert server.port() == port
    assert len(server.said('no status on')) == 1 and 'in use' in server.said('no status on')[0]


def test_it_stops_while_it_waits_for_its_port(run, make, node):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        server = run(make(f'bind_port = {taken.getsockname()[1]}'))
        until(lambda: server.said('no status on'))
        server.stop()
    assert not server.said('status on http')


def test_a_client_that_says_nothing_holds_nobody_up(run, node):
    server = run()
    silent = [socket.create_connection(('127.0.0.1', server.port())) for _ in range(5)]
    try:
        assert server.get('/healthz')[0] == 200
    finally:
        for one in silent:
            one.close()


def test_counts_of_the_dead_are_added_up(run, settings, node):
    count(settings, 'hits')
    folder = counters_folder(status_module.queue_path(settings))
    run()
    until(lambda: (folder / 'total.json').exists())
    assert stat.S_IMODE(os.stat(folder / 'total.json').st_mode) == 0o600
    assert gather(settings).counters['hits'] == 1


def test_counts_that_cannot_be_added_up_are_said_once(settings, node):
    folder = counters_folder(status_module.queue_path(settings))
    folder.touch()
    logger = ListLogger()
    server = StatusPart(settings, logger)
    server._fold()
    server._fold()
    assert len(logger.said) == 1 and 'not added up' in logger.said[0]


def test_prometheus_own_parser_takes_all_of_it(app, node):
    families = list(text_string_to_metric_families(ask(app, '/metrics').text))
    kinds = {family.name: family.type for family in families}
    assert kinds['swiftahead_hits'] == 'counter' and kinds['swiftahead_free_bytes'] == 'gauge'
    assert all(family.documentation for family in families)
