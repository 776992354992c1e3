"""The operator's command: what it says, and with which exit code."""
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from helpers import link, spool

from swiftahead.cache import Store
from swiftahead.cli import main
from swiftahead.conf.naming import ObjectName
from swiftahead.queues import Counters, SqliteQueue, Warm, counters_folder
from swiftahead.sidecar.report import mover_report, write

SECONDS_AGO = 3600


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / 'sidecar.conf'
    path.write_text(f'[sidecar]\ncache_dir = {tmp_path}/cache\nqueue = sqlite:{tmp_path}/cache/queue.db\n'
                    f'swift_dir = {tmp_path}\n')
    return str(path)


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


def report(store, **more):
    store.layout.report.write_text(json.dumps({
        'pid': 123, 'at': time.time(), 'entries': 2, 'bytes': 20480, 'cache_size': 107374182400,
        'counts': {'admitted': 2, 'refused': 1}, **more}))
    movers_report(store)


def movers_report(store, **more):
    write(mover_report(store.layout.cache_dir / 'queue.db'),
          {'pid': 124, 'at': time.time(), 'under_way': 3, **more})


def damage(store, linked):
    path = store.layout.entry(linked.entry_name)
    path.write_bytes(path.read_bytes()[:-1] + b'?')


# status

def test_status_of_a_sidecar_that_runs(conf, store, capsys):
    report(store)
    assert main(['status', '--conf', conf]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ['sidecar    running, pid 123', 'cache      2 entries, 20,480 of 107,374,182,400 bytes',
                        'spool      0 bytes']
    assert said[3] == 'mover      running, pid 124, 3 objects under way'
    assert said[4:] == ['queue      error it is not there yet', 'counters   all 0']


def test_status_of_a_mover_that_hangs(conf, store, capsys):
    report(store)
    movers_report(store, at=time.time() - 100)
    assert main(['status', '--conf', conf]) == 1
    assert 'mover      NOT RUNNING' in capsys.readouterr().out


def test_status_tells_of_swifts_queue(conf, store, capsys):
    report(store)
    movers_report(store, rows=7, rows_age=60.0)
    assert main(['status', '--conf', conf]) == 0
    assert "3 objects under way, 7 rows in Swift's queue" in capsys.readouterr().out


def test_status_without_a_mover(conf, store, capsys):
    with open(conf, 'a') as file:
        file.write('[mover]\nenabled = off\n')
    report(store)
    assert main(['status', '--conf', conf]) == 0
    assert 'mover' not in capsys.readouterr().out


def test_status_shows_what_was_counted_by_the_names_of_the_metrics(conf, store, tmp_path, capsys):
    report(store)
    counters = Counters(counters_folder(tmp_path / 'cache' / 'queue.db'))
    for name, by, reason in (('hits', 1234, None), ('bypassed', 2, 'newest')):
        counters.count(name, by, reason)
    counters.close()
    assert main(['status', '--conf', conf]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[6:]] == [
        ['hits', '1,234'], ['bypassed.newest', '2']]
    assert main(['status', '--json', '--conf', conf]) == 0
    told = json.loads(capsys.readouterr().out)['counters']
    assert (told['hits'], told['bypassed.newest'], told['misses']) == (1234, 2, 0)


def test_status_of_counters_that_cannot_be_read_says_so(conf, store, tmp_path, capsys):
    report(store)
    (tmp_path / 'cache' / 'queue.db.counters').touch()
    assert main(['status', '--conf', conf]) == 0
    assert '  error [Errno' in capsys.readouterr().out


@pytest.mark.parametrize('text', [None, 'rubbish', '{}'])
def test_status_without_a_report_says_what_to_start(conf, store, capsys, text):
    if text is not None:
        store.layout.report.write_text(text)
    assert main(['status', '--conf', conf]) == 1
    assert 'NOT RUNNING: start swiftahead-sidecar' in capsys.readouterr().out


def test_an_old_report_is_no_sign_of_life(conf, store, capsys):
    report(store, at=SECONDS_AGO)
    assert main(['status', '--conf', conf]) == 1
    said = capsys.readouterr().out
    assert 'NOT RUNNING' in said and '2 entries' in said


def test_status_tells_how_far_the_index_is(conf, store, capsys):
    report(store, rebuilding=True, rebuilt_percent=12.5)
    assert main(['status', '--conf', conf]) == 0
    assert 'the index is being made anew: 12.5 percent' in capsys.readouterr().out


def test_status_as_json_has_queue_and_spool(conf, store, tmp_path, capsys):
    report(store)
    spool(store, b'x' * 4000)
    queue = SqliteQueue(f'sqlite:{tmp_path}/cache/queue.db')
    queue.put([Warm('AUTH_test', 'c')])
    queue.close()
    assert main(['status', '--json', '--conf', conf]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found['alive'], found['spool_bytes'], found['queue']) == (
        True, 8192, {'Warm': 1, 'dead': 0, 'dropped': 0})


def test_status_of_a_queue_that_cannot_be_read_says_so(conf, store, tmp_path, capsys):
    report(store)
    (tmp_path / 'cache' / 'queue.db').write_bytes(b'no database, surely' * 100)
    assert main(['status', '--conf', conf]) == 0
    assert 'queue      error ' in capsys.readouterr().out


# check

def test_a_cache_that_is_whole(conf, store, capsys):
    link(store, b'good')
    assert main(['check', '--conf', conf]) == 0
    assert capsys.readouterr().out == '0 damaged\n'


def test_a_damaged_entry_is_named_and_left(conf, store, capsys):
    linked = link(store, b'bad')
    damage(store, linked)
    assert main(['check', '--conf', conf]) == 1
    said = capsys.readouterr().out
    assert linked.entry_name in said and '1 damaged' in said and 'removed' not in said
    assert len(list(store.linked())) == 1


def test_a_damaged_entry_is_removed_when_that_is_asked_for(conf, store, capsys):
    damage(store, link(store, b'bad'))
    good = link(store, b'good', name=ObjectName('a', 'c', 'good'))
    assert main(['check', '--fix', '--conf', conf]) == 0
    assert '(removed)' in capsys.readouterr().out
    assert [item.entry_name for item in store.linked()] == [good.entry_name]


def test_a_check_as_json(conf, store, capsys):
    linked = link(store, b'bad')
    damage(store, linked)
    assert main(['check', '--json', '--fix', '--conf', conf]) == 0
    found = json.loads(capsys.readouterr().out)
    assert ([row['entry'] for row in found['damaged']], found['fixed']) == ([linked.entry_name], True)


# what cannot be carried out

@pytest.mark.parametrize('command', ['status', 'check'])
def test_a_conf_that_is_not_there(command, tmp_path, capsys):
    assert main([command, '--conf', f'{tmp_path}/none.conf']) == 2
    said = capsys.readouterr().err
    assert said.startswith(f'swiftahead: {tmp_path}/none.conf: ') and 'name the conf with --conf' in said


@pytest.mark.parametrize('text, match', [
    ('', 'no [sidecar] section'), ('[sidecar]\nqueue = sqlite:/q\n', 'cache_dir is missing'),
    ('[sidecar]\ncache_dir = /c\nqueue = sqlite:/q\ncache_size = big\n', '[sidecar] cache_size = big'),
    ('rubbish', 'no section headers')])
def test_a_conf_that_is_wrong(tmp_path, capsys, text, match):
    path = tmp_path / 'wrong.conf'
    path.write_text(text)
    assert main(['status', '--conf', str(path)]) == 2
    assert match in capsys.readouterr().err


@pytest.mark.parametrize('command', ['status', 'check'])
@pytest.mark.parametrize('there', [False, True])
def test_without_a_cache_it_is_said_who_makes_it(conf, tmp_path, capsys, command, there):
    """Also where only its folder is there."""
    if there:
        (tmp_path / 'cache').mkdir(0o700)
    assert main([command, '--conf', conf]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        '', f'swiftahead: there is no cache in {tmp_path}/cache yet; start swiftahead-sidecar\n')


def test_a_folder_of_somebody_elses_is_said(conf, store, capsys):
    store.layout.cache_dir.chmod(0o755)
    assert main(['status', '--conf', conf]) == 2
    said = capsys.readouterr().err
    assert 'mode 0700; set it with: chmod 0700 ' in said and '; run this as the user ' in said


# the command

@pytest.mark.parametrize('arguments', [['--help'], *([word, '--help'] for word in (
    'status', 'check', 'warm', 'purge', 'plan', 'lab'))])
def test_help_is_given(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: swiftahead {" ".join(arguments[:-1])}'.rstrip())


def test_help_names_all_commands(capsys):
    with pytest.raises(SystemExit):
        main(['--help'])
    said = capsys.readouterr().out
    assert all(f'    {word} ' in said for word in ('lab', 'status', 'check', 'warm', 'purge', 'plan'))


@pytest.mark.parametrize('arguments', [[], ['fly'], ['warm'], ['warm', 'c', '--limit', 'x']])
def test_a_wrong_command_is_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert 'usage: swiftahead' in capsys.readouterr().err


# warm and purge

class Proxy(BaseHTTPRequestHandler):
    """TempAuth's v1 auth, and one answer to every POST."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        right = self.headers.get('X-Auth-Key') == 'testing'
        self._answer(200 if right else 401, {
            'X-Storage-Url': f'http://127.0.0.1:{self.server.server_port}/v1/AUTH_test',
            'X-Auth-Token': 'AUTH_tk'})

    def do_POST(self):
        self.server.asked.append((self.path, self.headers.get('X-Auth-Token')))
        self._answer(self.server.status, {}, self.server.body)

    def _answer(self, status, headers, body=b''):
        self.send_response(status)
        for key, value in {**headers, 'Content-Length': str(len(body)), 'Connection': 'close'}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(status=202, body=b''):
    with HTTPServer(('127.0.0.1', 0), Proxy) as server:
        server.status, server.body, server.asked = status, body, []
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server, *arguments, key='testing'):
    return main([*arguments, '--auth', f'http://127.0.0.1:{server.server_port}/auth/v1.0', '--user', 'test:tester',
                 '--key', key])


@pytest.mark.parametrize('arguments, path', [
    (['warm', 'c'], '/v1/AUTH_test/c?prefetch=warm'),
    (['warm', 'c', '--prefix', 'a b/ü', '--limit', '5'],
     '/v1/AUTH_test/c?prefetch=warm&prefix=a+b%2F%C3%BC&limit=5'),
    (['purge', 'c'], '/v1/AUTH_test/c?prefetch=forget'),
    (['purge', 'c', '--object', 'o&x'], '/v1/AUTH_test/c?prefetch=forget&name=o%26x'),
    (['purge', 'c d?', '--prefix', 'p'], '/v1/AUTH_test/c%20d%3F?prefetch=forget&prefix=p')])
def test_a_request_that_is_taken(arguments, path, capsys):
    with serving() as server:
        assert ask(server, *arguments) == 0
        assert server.asked == [(path, 'AUTH_tk')]
    assert f'request for {arguments[1]} taken' in capsys.readouterr().out


@pytest.mark.parametrize('status, body, said', [
    (204, b'', 'there is no prefetch filter in this proxy'),
    (403, b'', 'this user may not write to the container'),
    (401, b'', 'this user may not write to the container'), (404, b'', 'no such container'),
    (503, b'the queue takes no records\n', '503 the queue takes no records')])
def test_a_request_that_is_not_taken_says_why(status, body, said, capsys):
    with serving(status, body) as server:
        assert ask(server, 'warm', 'c') == 1
    assert capsys.readouterr().out.startswith(f'not taken: {said}')


@pytest.mark.parametrize('status, code', [(202, 0), (403, 1)])
def test_an_answer_as_json(status, code, capsys):
    with serving(status) as server:
        assert ask(server, 'purge', 'c', '--json') == code
    assert json.loads(capsys.readouterr().out) == {'taken': code == 0, 'status': status, 'container': 'c'}


def test_a_wrong_key_is_said_with_the_address(capsys):
    with serving() as server:
        assert ask(server, 'warm', 'c', key='wrong') == 2
        assert server.asked == []
    assert '/auth/v1.0: ' in capsys.readouterr().err


def test_an_address_where_nobody_listens_is_said(capsys):
    with serving() as server:
        pass
    assert ask(server, 'warm', 'c') == 2
    assert f'swiftahead: http://127.0.0.1:{server.server_port}/auth/v1.0: ' in capsys.readouterr().err


def test_without_credentials_it_is_said_what_to_set(monkeypatch, capsys):
    for key in ('ST_AUTH', 'ST_USER', 'ST_KEY'):
        monkeypatch.delenv(key, raising=False)
    assert main(['warm', 'c']) == 2
    assert 'set ST_AUTH, ST_USER and ST_KEY' in capsys.readouterr().err


def test_credentials_come_from_the_environment(monkeypatch):
    with serving() as server:
        monkeypatch.setenv('ST_AUTH', f'http://127.0.0.1:{server.server_port}/auth/v1.0')
        monkeypatch.setenv('ST_USER', 'test:tester')
        monkeypatch.setenv('ST_KEY', 'testing')
        assert main(['warm', 'c']) == 0
