"""The operator's command: what it says, and with which exit code."""
import json
import time

import pytest
from helpers.common.builders import link, spool

from swiftahead.cache import Store
from swiftahead.cli import main
from swiftahead.conf.names import ObjectName
from swiftahead.metrics import Counters, counters_folder
from swiftahead.queues import Warm, open_queue
from swiftahead.sidecar.status.report import mover_report, write

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


@pytest.mark.parametrize('command', ['status', 'check', 'queue list', 'misplaced scan AUTH_test'])
def test_of_a_conf_for_the_syncer_alone_it_is_said_that_it_has_no_queue(tmp_path, capsys, command):
    (tmp_path / 'syncer.conf').write_text('[sidecar]\n[syncer]\nenabled = on\n')
    assert main([*command.split(), '--conf', f'{tmp_path}/syncer.conf']) == 2
    said, = capsys.readouterr().err.splitlines()
    assert f'{tmp_path}/syncer.conf is for the syncer alone, with neither cache_dir nor queue; ' in said


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
    queue = open_queue(f'sqlite:{tmp_path}/cache/queue.db')
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


@pytest.mark.parametrize('arguments', [[], ['fly'], ['warm']])
def test_a_wrong_command_is_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert 'usage: swiftahead' in capsys.readouterr().err
