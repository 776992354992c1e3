"""`swiftahead queue`: what an operator sees and does of misplaced records and dead letters."""
import json
import os
from dataclasses import replace

import pytest

from swiftahead.cli import main
from swiftahead.queues import Access, Misplaced, open_queue

RECORD = Misplaced('AUTH_a', 'c', 'an\nö/o', 1, '1700000000.00000')
READ = Access('AUTH_a', 'c', 'o', 'client', 1.0)


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / 'sidecar.conf'
    path.write_text(f'[sidecar]\ncache_dir = {tmp_path}\nswift_dir = {tmp_path}\n'
                    f'queue = sqlite:{tmp_path}/queue.db\n')
    return str(path)


@pytest.fixture
def queue(tmp_path):
    queue = open_queue(f'sqlite:{tmp_path}/queue.db')
    yield queue
    queue.close()


@pytest.fixture
def run(conf, capsys):
    """Exit code, and what was said."""
    def run(*arguments):
        code = main(['queue', *map(str, arguments), '--conf', conf])
        return code, capsys.readouterr().out
    return run


def bury(queue, *records):
    queue.put(records)
    kinds = {type(record).__name__ for record in records}
    queue.dead(queue.lease(100, 60, kinds), 'no\nsource')
    return [letter.id for letter in queue.dead_letters(100)]


def waiting(queue):
    return [letter.id for letter in queue.waiting('Misplaced', 100)]


def test_a_list_has_one_line_for_each_record_whatever_its_name(queue, run):
    queue.put([RECORD, READ, RECORD])
    code, said = run('list')
    assert code == 0 and len(said.splitlines()) == 3
    assert 'PUT /AUTH_a/c/an%0A%C3%B6/o policy 1 1700000000.00000' in said.splitlines()[0]


def test_a_list_goes_on_after_an_id(queue, run):
    queue.put([replace(RECORD, object=name) for name in 'abc'])
    first, second, third = waiting(queue)
    assert run('list', '--limit', 1)[1].splitlines()[-1] == f'more with --after {first}'
    found = json.loads(run('list', '--json', '--after', first)[1])
    assert ([one['id'] for one in found['records']], found['more']) == ([second, third], False)


def test_a_list_says_what_is_held_back(queue, run):
    queue.put([RECORD])
    queue.lease(1, 1000, ['Misplaced'])
    assert ' 1 tries, held back for ' in run('list')[1]


def test_dead_letters_are_listed_with_the_reason(queue, run):
    bury(queue, RECORD, READ)
    said = run('list', '--queue', 'dead')[1].splitlines()
    assert len(said) == 3 and all(line.endswith(r": 'no\nsource'") for line in said[:2])


def test_one_record_is_shown_whole(queue, run):
    queue.put([RECORD])
    code, said = run('show', *waiting(queue), '--json')
    assert code == 0
    assert json.loads(said)['record'] == vars(RECORD)


@pytest.mark.parametrize('name', ['misplaced', 'dead'])
def test_a_record_is_not_shown_retried_or_dropped_by_way_of_the_other_queue(queue, run, name):
    dead = bury(queue, RECORD)
    queue.put([RECORD])
    other = dead if name == 'misplaced' else waiting(queue)
    for word in ('show', 'retry', 'drop'):
        assert run(word, *other, '--queue', name)[0] == 1
    assert queue.depth() == {'dead': 1, 'dropped': 0, 'Misplaced': 1}


def test_reads_that_wait_are_no_business_of_this_command(queue, run):
    queue.put([READ])
    item, = queue.lease(1, 60)
    assert run('drop', item.id)[0] == 1
    assert queue.depth()['Access'] == 1


def test_what_is_held_back_can_be_tried_at_once(queue, run):
    queue.put([RECORD])
    queue.retry([queue.lease(1, 60, ['Misplaced'])[0].id], 2e9 * 2)
    assert queue.lease(1, 60, ['Misplaced']) == []
    assert run('retry', *waiting(queue)) == (0, '1 to be tried\n')
    assert queue.lease(1, 60, ['Misplaced'])[0].record == RECORD


def test_dead_letters_can_be_tried_again(queue, run):
    bury(queue, RECORD, READ)
    assert run('retry', '--all', '--queue', 'dead') == (0, '2 to be tried\n')
    assert queue.depth() == {'dead': 0, 'dropped': 0, 'Misplaced': 1, 'Access': 1}


@pytest.mark.parametrize('name', ['misplaced', 'dead'])
def test_records_can_be_dropped(queue, run, name):
    queue.put([RECORD, RECORD])
    ids = bury(queue, RECORD) if name == 'dead' else waiting(queue)
    assert run('drop', *ids, '--queue', name) == (0, f'{len(ids)} dropped\n')
    assert run('list', '--queue', name) == (0, '0 listed\n')


def test_an_unknown_id_is_said_and_the_others_are_dropped(queue, run):
    queue.put([RECORD])
    ids = waiting(queue)
    found = run('drop', *ids, 999, '--json')
    assert found[0] == 1
    assert json.loads(found[1]) == {'queue': 'misplaced', 'changed': ids, 'missing': [999]}
    assert waiting(queue) == []


def test_all_means_all_of_many(queue, run):
    queue.put([RECORD] * 2500)
    assert run('drop', '--all') == (0, '2500 dropped\n')


def test_a_queue_that_cannot_be_read_is_said_and_left(tmp_path, conf, capsys):
    (tmp_path / 'queue.db').write_bytes(b'no database, surely' * 100)
    assert main(['queue', 'drop', '--all', '--conf', conf]) == 2
    assert capsys.readouterr().err.startswith(f'swiftahead: {tmp_path}/queue.db: ')
    assert (tmp_path / 'queue.db').exists()


@pytest.mark.parametrize('arguments', [['drop'], ['retry'], ['drop', '1', '--all'], ['show'],
                                       ['list', '--queue', 'x']])
def test_a_command_that_names_nothing_is_refused(arguments, conf, capsys):
    with pytest.raises(SystemExit) as ended:
        main(['queue', *arguments, '--conf', conf])
    assert ended.value.code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')
def test_a_queue_of_another_user_is_not_touched(tmp_path, queue, conf, capsys):
    queue.put([RECORD])
    os.chown(tmp_path / 'queue.db', 65534, -1)
    assert main(['queue', 'drop', '--all', '--conf', conf]) == 2
    assert 'run this as the user that owns it, uid 65534' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['queue'], ['misplaced'], ['misplaced', 'scan'], *(
    ['queue', word] for word in ('list', 'show', 'retry', 'drop'))])
def test_help_is_given(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, '--help'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: swiftahead {" ".join(arguments)}')
