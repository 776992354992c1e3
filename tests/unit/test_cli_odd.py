"""Every argument of every command with what nobody should give it: a sentence, the right exit code, no traceback.

The commands and their arguments come from the parser, so that none can be forgotten.
"""
import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.common.builders import close_logs
from swift.common import storage_policy, utils

from swiftahead.cli import main
from swiftahead.cli.commands import parser
from swiftahead.lab.prerequisites import check_folder
from swiftahead.lab.spec import LabError, LabLayout
from swiftahead.queues import Misplaced, open_queue

PROGRAM = 'import sys; from swiftahead.cli import main; sys.exit(main())'
RECORD = Misplaced('AUTH_a', 'c', 'o', 1, '1700000000.00000')
# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
# what is not UTF-8, breaks lines, moves the cursor, is too long for anything, or is nothing
TEXTS = ['\udcff', 'a\nb', '\x1b[2J', 'x' * 5000, '', '/', '..', '%', '-', '{}']
NUMBERS = ['-1', str(2**63), '9' * 20, '9' * 5000, '1e999', 'nan', 'inf', '', 'x', '\udcff', '1 2', '0x10']
# asks a proxy, and is checked there
REMOTE = ('warm', 'purge')
# would put up a lab in some of these places: tried without the command, below
PLACE = ('lab', 'up'), '--dir'


def leaves(top, words=()):
    """(words, parser) of each command."""
    inner = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield words, top
    for word, one in inner[0].choices.items() if inner else ():
        yield from leaves(one, (*words, word))


def arguments(one):
    """Those that take a value; what is chosen from a few words is argparse's own."""
    return [action for action in one._actions if action.nargs != 0 and not action.choices]


LEAVES = dict(leaves(parser()))
CASES = [(words, action.option_strings[-1] if action.option_strings else action.dest, action.type)
         for words, one in LEAVES.items() for action in arguments(one)]
COUNTED = [(words, name) for words, name, _ in CASES
           if words[0] not in REMOTE and name in ('id', '--limit', '--after', '--nodes', '--replicas', '--proxies',
                                                  '--latency-ms', '--concurrency', '--reclaim-age', '--passes',
                                                  '--sample', '--cache-size', '--max-object-size',
                                                  '--fetch-whole')]


@pytest.fixture
def given(tmp_path):
    """Values for what a command cannot do without; nothing is made or started with them."""
    (tmp_path / 'log').write_text('offset_ms,object,bytes\n0,o,1\n1,o,1\n')
    conf = tmp_path / 'sidecar.conf'
    conf.write_text(f'[sidecar]\ncache_dir = {tmp_path}/cache\nqueue = sqlite:{tmp_path}/queue.db\n'
                    f'swift_dir = {tmp_path}\n')
    return {'--dir': f'{tmp_path}/no lab', '--conf': str(conf), '--auth': 'http://127.0.0.1:1/', '--user': 'u',
            '--key': 'k', 'logs': f'{tmp_path}/log', 'path': 'a', 'container': 'c', 'id': '1',
            '--cache-size': '1GiB'}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Where a relative path leads to nothing of anybody's."""
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    # a command sets these, once in its life
    monkeypatch.setattr(storage_policy, '_POLICIES', storage_policy._POLICIES)
    for name in ('SWIFT_CONF_FILE', 'HASH_PATH_PREFIX', 'HASH_PATH_SUFFIX'):
        monkeypatch.setattr(utils, name, getattr(utils, name))
    yield
    close_logs()


@pytest.fixture
def queue(given, tmp_path):
    queue = open_queue(f'sqlite:{tmp_path}/queue.db')
    queue.put([RECORD])
    yield queue
    queue.close()


def call(words, given, name='', value='', *more):
    """The exit code of a command with one argument replaced."""
    line = [*words, *more]
    for action in arguments(LEAVES[words]):
        own = action.option_strings[-1] if action.option_strings else action.dest
        text = value if own == name else given.get(own)
        if text is not None:
            line += [f'{own}={text}'] if action.option_strings else [text]
    try:
        return main(line)
    except SystemExit as end:
        return end.code


def words_and_name(case):
    return ' '.join([*case[0], case[1]])


@pytest.mark.parametrize('case', [case for case in CASES if case[:2] != PLACE], ids=words_and_name)
def test_odd_text_is_a_sentence(given, queue, capfd, case):
    words, name, _ = case
    for value in TEXTS:
        code = call(words, given, name, value)
        told = capfd.readouterr()
        assert code in (0, 1, 2)
        assert code != 2 or told.err.strip() and not told.out, (value, told)
        assert 'Traceback' not in told.err


@pytest.mark.parametrize('case', COUNTED, ids=words_and_name)
def test_an_absurd_number_is_refused_with_the_rule(given, queue, capfd, case):
    words, name = case
    for value in NUMBERS:
        if not (value == '-1' and name == 'id'):
            assert call(words, given, name, value) == 2
            assert 'must be' in capfd.readouterr().err, value


def test_every_number_of_a_command_is_looked_at_here():
    typed = {name for words, name, cast in CASES if cast and words[0] not in REMOTE}
    assert typed - {'path', 'container', '--account', '--dir', '--peer', '--from'} == {name for _, name in COUNTED}


@pytest.mark.parametrize('word', ['list', 'show', 'retry', 'drop'])
@pytest.mark.parametrize('json_too', [False, True])
def test_a_queue_that_is_not_there_yet_is_said(given, capfd, tmp_path, word, json_too):
    assert call(('queue', word), given, '', '', *['--json'] * json_too) == 1
    told, said = capfd.readouterr(), f'{tmp_path}/queue.db is not there yet; start swiftahead-sidecar'
    assert told.err == ('' if json_too else f'swiftahead: {said}\n')
    assert told.out == (json.dumps({'error': said}) + '\n' if json_too else '')


@pytest.mark.parametrize('words', [words for words in LEAVES if words[0] not in REMOTE],
                         ids=' '.join)
def test_with_json_there_is_one_document_or_a_sentence(given, capfd, words):
    code = call(words, given, '', '', '--json')
    told = capfd.readouterr()
    if code == 2:
        assert told.out == '' and told.err.startswith('swiftahead: ') and told.err.count('\n') == 1
    else:
        assert json.loads(told.out)


@pytest.mark.parametrize('word', ['down', 'status', 'env', 'brain'])
def test_a_lab_that_is_not_there_is_1(given, capfd, word):
    assert call(('lab', word), given) == 1
    told = capfd.readouterr()
    assert told.out == '' and 'there is no lab in' in told.err


def test_a_lab_without_a_name_is_refused(given, capfd):
    assert call(*PLACE[:1], given, PLACE[1], '') == 2
    assert 'must not be empty' in capfd.readouterr().err


@pytest.mark.parametrize('place', ['\udcff', 'a\nb', 'a\n', '\x1b[2J', 'x' * 5000, '%', '{}', '/proc/self',
                                   '/etc/hosts'])
def test_a_lab_is_put_up_in_no_odd_place(place):
    with pytest.raises(LabError):
        check_folder(LabLayout(Path(place)))


@pytest.mark.parametrize('name', ['other', 'swift.conf', 'node', '.profile'])
def test_a_lab_is_put_up_in_no_folder_that_holds_other_things(tmp_path, name):
    (tmp_path / 'lab').mkdir()
    (tmp_path / 'lab' / name).touch()
    with pytest.raises(LabError, match='holds other things than a lab, such as .*; choose an empty folder'):
        check_folder(LabLayout(tmp_path / 'lab'))


def test_a_lab_that_was_killed_at_its_beginning_can_be_put_up_again(tmp_path):
    for name in ('etc', 'run', 'logs', 'node1'):
        (tmp_path / 'lab' / name).mkdir(parents=True)
    (tmp_path / 'lab' / 'lock').touch()
    check_folder(LabLayout(tmp_path / 'lab'))


# what takes a container's name, and what takes an account's; {} stands for the name
CONTAINERS = [['warm', '--', '{}'], ['purge', '--', '{}'], ['misplaced', 'scan', 'a/{}'],
              ['lab', 'brain', '--dir', 'd', '--', '{}']]
ACCOUNTS = [['misplaced', 'scan', '--', '{}'], ['lab', 'brain', '--dir', 'd', '--account={}', 'c']]


@pytest.mark.parametrize('name, why', [
    ('c\0', 'nor with a zero byte'), ('c\udcff', 'must be UTF-8'), ('c/o', 'without "/"'),
    ('c//o', 'without "/"'), ('x' * 257, 'at most 256 bytes'), ('ü' * 129, 'at most 256 bytes')])
@pytest.mark.parametrize('line', CONTAINERS, ids=' '.join)
def test_a_name_that_no_container_has_is_refused(line, name, why, capfd):
    with pytest.raises(SystemExit) as ended:
        main([word.format(name) for word in line])
    assert ended.value.code == 2
    assert 'the name of a container must ' in (said := capfd.readouterr().err) and why in said


@pytest.mark.parametrize('name, why', [
    ('', 'neither empty'), ('a\0', 'nor with a zero byte'), ('\udcff', 'must be UTF-8'),
    ('x' * 257, 'at most 256 bytes')])
@pytest.mark.parametrize('line', ACCOUNTS, ids=' '.join)
def test_a_name_that_no_account_has_is_refused(line, name, why, capfd):
    with pytest.raises(SystemExit) as ended:
        main([word.format(name) for word in line])
    assert ended.value.code == 2
    assert 'the name of an account must ' in (said := capfd.readouterr().err) and why in said


@pytest.mark.parametrize('name', ['.', '..', ' ', '%2F', '\n', 'x' * 256, 'ü' * 128])
@pytest.mark.parametrize('line', [*CONTAINERS, *ACCOUNTS], ids=' '.join)
def test_a_name_that_swift_takes_is_taken(line, name):
    args = vars(parser().parse_args([word.format(name) for word in line]))
    assert name in (args.get('container'), args.get('account'), *args.get('path', ()))


# the process

@pytest.fixture
def many(given, queue):
    queue.put([RECORD] * 3000)
    return ['queue', 'list', '--limit', '3000', '--conf', given['--conf']]


def run(line, streams):
    command = ['bash', '-c', f'"$@" {streams}', '', sys.executable, '-c', PROGRAM, *line]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize('streams, code, said', [
    ('<&-', 0, ''), ('2>&-', 0, ''), ('>&-', 2, 'swiftahead: standard output is closed\n'),
    ('<&- >&- 2>&-', 2, ''),
    ('>/dev/full', 2, 'swiftahead: standard output: No space left on device\n'),
    ('>/dev/full 2>/dev/full', 2, ''), ('2>/dev/full', 0, ''),
    ('| head -n 1 >/dev/null; exit ${PIPESTATUS[0]}', 0, '')])
def test_whatever_the_streams_are_there_is_no_traceback(many, queue, streams, code, said):
    done = run(many, streams)
    assert (done.returncode, done.stderr) == (code, said)
    assert queue.depth()['Misplaced'] == 3001


@pytest.mark.parametrize('streams', ['>/dev/full', '2>&-', '| head -n 0; exit ${PIPESTATUS[0]}'])
def test_help_may_be_lost(streams):
    # argparse itself lets go of what it cannot write
    done = run(['lab', 'up', '--help'], streams)
    assert done.returncode == 0 and 'Traceback' not in done.stderr and 'Exception ignored' not in done.stderr


@pytest.mark.parametrize('streams', ['2>&-', '2>/dev/full'])
def test_a_complaint_that_cannot_be_told_is_2(streams):
    assert run(['queue', 'show', '99999999999999999999'], streams).returncode == 2


# says when it is the program that minds the interrupt key, and no longer Python
TELLING = """import signal, sys
from swiftahead.cli import main
def telling(*args):
    before = set_handler(*args)
    print(flush=True)
    return before
set_handler, signal.signal = signal.signal, telling
sys.exit(main())"""


@pytest.mark.parametrize('tenths', [0, 1, 2, 4, 7])
def test_the_interrupt_key_while_it_loads_ends_it_quietly(many, tenths):
    with subprocess.Popen([sys.executable, '-c', TELLING, *many], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        time.sleep(tenths / 10)
        child.send_signal(signal.SIGINT)
        assert child.communicate()[1] == b''
    assert child.returncode in (-signal.SIGINT, 130, 0)
