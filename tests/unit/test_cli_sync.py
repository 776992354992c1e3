"""``swiftahead sync status``: what it tells of containers, of this node and others, with which exit code."""
import io
import itertools
import json
import time

import pytest
from helpers.sync.ledgers import syncer_conf, write

from swiftahead.cli import main
from swiftahead.cli.sync import span
from swiftahead.cli.sync_check import _followed
from swiftahead.sidecar.syncer.figures import SyncFigures

TO = '//realm/there/AUTH_test/c'


@pytest.fixture
def conf(tmp_path):
    return str(syncer_conf(tmp_path))


@pytest.fixture
def other(tmp_path):
    """Another node."""
    folder = tmp_path / 'other'
    folder.mkdir()
    return folder


def figures(name='c', **more):
    return SyncFigures(**{'at': time.time(), 'account': 'AUTH_test', 'container': name, 'sync_to': TO, **more})


def status(capsys, *words):
    code = main(['sync', 'status', *words])
    said = capsys.readouterr()
    return code, said.out.splitlines() or said.err.splitlines()


def document(capsys, *words):
    code, lines = status(capsys, *words, '--json')
    return code, json.loads(lines[0])


def test_a_container_that_is_in_step(conf, tmp_path, capsys):
    write(tmp_path, figures(puts=1234, deletes=2, bytes=2**20, rate=3.21, unseen=7))
    code, (headings, line) = status(capsys, conf)
    assert code == 0 and headings.split()[:4] == ['container', 'state', 'lag', 'behind']
    assert line.split() == ['AUTH_test/c', '->', TO, 'in-step', '0', 's', '0', '7', '0', '3.2', '0', 's', '1.0',
                            'MiB', '1,234', '0', '2', '0', 's', 'ago']


def test_a_container_that_is_behind_is_no_fault(conf, tmp_path, capsys):
    write(tmp_path, figures(behind=600, rate=2.0, lag=10.0, at=time.time() - 100))
    code, found = document(capsys, conf)
    one, = found['containers']
    assert (code, one['state'], one['behind'], one['seconds_left']) == (0, 'behind', 600, 300.0)
    assert 110 <= one['lag'] < 160


def test_time_left_is_not_told_where_nothing_was_sent_yet(conf, tmp_path, capsys):
    write(tmp_path, figures(behind=600))
    assert document(capsys, conf)[1]['containers'][0]['seconds_left'] is None
    assert '?' in status(capsys, conf)[1][1]


@pytest.mark.parametrize('more, state', [
    ({'failed_rows': 2}, 'failing'), ({'is_synced': False}, 'not-synced'),
    ({'is_synced': False, 'is_failure': True}, 'failing')])
def test_a_container_in_trouble_is_told_with_its_remedy(conf, tmp_path, capsys, more, state):
    write(tmp_path, figures(why='no realm\nx', remedy='add it', **more), figures('fine'))
    code, lines = status(capsys, conf)
    assert code == 1 and [line.split()[3] for line in lines[1:3]] == [state, 'in-step']
    assert lines[3:] == [r'AUTH_test/c: no realm\nx; add it']


def test_the_last_pass_looked_at_idle_containers_too(conf, tmp_path, capsys):
    now = time.time()
    write(tmp_path, figures(at=now - 5000), at=now)
    assert document(capsys, conf)[1]['containers'][0]['at'] == now


def test_a_syncer_that_does_nothing_is_told(conf, tmp_path, capsys):
    write(tmp_path, figures(at=time.time() - 90000))
    code, lines = status(capsys, conf)
    assert code == 1 and lines[-1].startswith(f'{conf}: the syncer has done nothing for 25 h; see that')


def test_a_node_that_syncs_nothing_yet(conf, capsys):
    assert status(capsys, conf) == (0, ['no container has been synced from here yet'])


def test_shares_of_several_nodes_are_put_together(conf, tmp_path, other, capsys):
    write(tmp_path, figures(puts=1, behind=10, rate=1.0, lag=5.0), figures('d'))
    write(other, figures(puts=2, behind=20, rate=1.0, lag=900.0, why='answered 503'))
    code, found = document(capsys, conf, str(syncer_conf(other)))
    one, two = found['containers']
    assert (code, one['puts'], one['behind'], one['rate'], one['seconds_left']) == (1, 3, 30, 2.0, 20.0)
    assert one['lag'] >= 900 and one['troubles'] == [{'why': 'answered 503', 'remedy': ''}]
    assert (len(one['shares']), len(two['shares'])) == (2, 1)


def test_the_output_of_other_nodes_is_taken_once(conf, tmp_path, other, capsys):
    write(tmp_path, figures(puts=1))
    write(other, figures(puts=2))
    file = tmp_path / 'other.json'
    file.write_text(json.dumps(document(capsys, str(syncer_conf(other)))[1]))
    alone = document(capsys, '--from', str(file))[1]['containers']
    both = document(capsys, conf, '--from', str(file), '--from', str(file))[1]['containers']
    assert [one['puts'] for one in alone] == [2] and [one['puts'] for one in both] == [3]


def test_problems_of_other_nodes_are_problems(conf, tmp_path, other, capsys):
    write(other, figures(at=time.time() - 90000))
    file = tmp_path / 'other.json'
    file.write_text(json.dumps(document(capsys, str(syncer_conf(other)))[1]))
    assert status(capsys, conf, '--from', str(file))[0] == 1


@pytest.mark.parametrize('text', [
    '', 'rubbish', '[]', '{}', '{"containers": [{"shares": [{}]}], "problems": []}',
    '{"containers": [{"shares": [{"node": "n", "device": "d", "puts": "many"}]}], "problems": []}',
    '{"containers": [{"shares": [{"node": "n", "device": "d", "at": "noon"}]}], "problems": []}'])
def test_a_file_that_is_no_output_is_refused(tmp_path, capsys, text):
    file = tmp_path / 'other.json'
    file.write_text(text)
    assert status(capsys, '--from', str(file)) == (
        2, [f'swiftahead: {file}: is no output of swiftahead sync status --json'])


def test_a_login_in_a_destination_is_not_shown(conf, tmp_path, capsys):
    write(tmp_path, figures(sync_to='http://me:password@there/v1/AUTH_test/c'))
    for words in ([], ['--json']):
        line = ''.join(status(capsys, conf, *words)[1])
        assert 'http://there/v1/AUTH_test/c' in line and 'password' not in line


def test_names_break_no_line(conf, tmp_path, capsys):
    write(tmp_path, figures('c\nd ü', sync_to='//realm/\nthere'))
    assert status(capsys, conf)[1][1].startswith('AUTH_test/c%0Ad%20%C3%BC -> //realm/\\nthere')


def test_a_conf_without_a_syncer_is_refused(tmp_path, capsys):
    path = tmp_path / 'sidecar.conf'
    path.write_text(f'[sidecar]\ncache_dir = {tmp_path}/cache\nqueue = sqlite:{tmp_path}/queue.db\n'
                    f'swift_dir = {tmp_path}\n')
    code, lines = status(capsys, str(path))
    assert (code, len(lines)) == (2, 1) and f'{path}: there is no syncer: [syncer] enabled is off' in lines[0]


def test_devices_that_are_gone_are_told(conf, tmp_path, capsys):
    (tmp_path / 'node').rmdir()
    assert status(capsys, conf) == (
        2, [f'swiftahead: {conf}: [syncer] devices = {tmp_path}/node: No such file or directory'])


def test_a_ledger_that_cannot_be_read_hides_no_other(conf, tmp_path, capsys):
    write(tmp_path, figures(), device='sdb')
    broken = tmp_path / 'node' / 'sda' / 'swiftahead_sync' / 'ledger'
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b'rubbish' * 1000)
    code, found = document(capsys, conf)
    assert code == 1 and len(found['containers']) == 1 and len(found['problems']) == 1
    assert found['problems'][0].startswith(f'{broken}: file is not a database; run this as the user ')


@pytest.mark.parametrize('seconds, text', [
    (0, '0 s'), (119, '119 s'), (120, '2 min'), (7200, '2 h'), (2e5, '2 d')])
def test_a_time_span_for_people(seconds, text):
    assert span(seconds) == text


# check

def check(capsys, *words):
    code = main(['sync', 'check', *words])
    return code, capsys.readouterr().err


def test_a_check_names_the_accounts_that_may_be_meant(conf, tmp_path, capsys):
    write(tmp_path, figures(), figures(account='AUTH_two'))
    code, said = check(capsys, 'c', '--conf', conf)
    assert (code, said.splitlines()) == (
        2, ['swiftahead: name the account with --account: this node syncs one in each of AUTH_test, AUTH_two'])


def test_a_check_of_a_container_that_is_not_synced_needs_an_account(conf, capsys):
    code, said = check(capsys, 'c', '--conf', conf)
    assert (code, said.splitlines()) == (
        2, ['swiftahead: name the account with --account: this node syncs no container of that name'])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_check_tells_a_terminal_each_second_how_far_it_is():
    clock, out = itertools.count(step=0.25), Terminal()
    assert list(_followed(range(10), 1000, lambda: next(clock), out)) == list(range(10))
    assert out.getvalue().splitlines() == [
        '4 names compared, of about 1,000', '8 names compared, of about 1,000']


def test_a_check_tells_a_file_nothing_on_the_way():
    clock, out = itertools.count(), io.StringIO()
    assert list(_followed(range(10), 1000, lambda: next(clock), out)) == list(range(10))
    assert out.getvalue() == ''
