"""`swiftahead misplaced scan` on a real cluster."""
import json
import subprocess
import sys
import time
import uuid

import pytest
from helpers.lab import clients
from helpers.lab.hands import Hands
from swift.common.utils import Timestamp

from swiftahead.lab import Lab
from swiftahead.queues import open_queue

GOLD, SILVER = range(2)
DAY = 86_400.0


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """Nobody moves what is found."""
    mover = {'enabled': 'off', 'reclaim_age': 3 * DAY}
    with Lab(tmp_path_factory.mktemp('scan'), nodes=3, sidecar_conf={'mover': mover},
             filter_conf={'detect_misplaced': 'off'}) as lab:
        # the sidecar makes it at its first look
        clients.until((lab.cache_dir / 'queue.db').exists, 'there is a queue')
        yield lab


@pytest.fixture(scope='module')
def hands(lab):
    with Hands(lab) as hands:
        yield hands


@pytest.fixture(scope='module')
def queue(lab):
    queue = open_queue(f'sqlite:{lab.cache_dir}/queue.db')
    yield queue
    queue.close()


@pytest.fixture
def path(lab):
    """Of a container of policy gold, in an account of its own."""
    token = clients.token(lab)
    path = f'/v1/AUTH_test/c-{uuid.uuid4().hex}'
    assert clients.request(lab, 'PUT', path, {'X-Storage-Policy': 'gold'}, token=token).status == 201
    assert clients.request(lab, 'PUT', f'{path}/right', body=b'at home', token=token).status == 201
    return path


def scan(lab, path, *more):
    """(exit code, what was said as JSON)"""
    command = [sys.executable, '-c', 'import sys; from swiftahead.cli import main; sys.exit(main())', 'misplaced',
               'scan', path.removeprefix('/v1/'), '--json', '--conf', str(lab.conf_path('sidecar')), *more]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode in (0, 1), ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def ago(seconds):
    return Timestamp(time.time() - seconds).internal


def objects(found):
    return sorted(record['object'] for record in found['found'])


def names(queue, path):
    records = [json.loads(letter.body) for letter in queue.waiting('Misplaced', 1000)]
    return sorted(one['object'] for one in records if one['container'] == path.rpartition('/')[2])


def test_nothing_is_found_where_nothing_is_misplaced(lab, path):
    code, found = scan(lab, path)
    assert (code, found['outcomes'], found['unknown']) == (0, {'nothing': 1}, [])


@pytest.mark.parametrize('there, said', [('AUTH_none', 'there is no account /AUTH_none'),
                                         ('AUTH_test/none', 'there is no container /AUTH_test/none')])
def test_what_is_not_there_is_said(lab, there, said):
    assert scan(lab, there) == (1, {'error': said})


def test_what_rows_of_another_policy_name_is_found_and_recorded(lab, hands, queue, path):
    for name in ('lost', 'so: ünlucky'):
        hands.put(f'{path}/{name}', SILVER, Timestamp.now().internal)
    code, found = scan(lab, path)
    assert (code, objects(found), found['unknown']) == (1, ['lost', 'so: ünlucky'], [])
    assert names(queue, path) == ['lost', 'so: ünlucky']


def test_an_old_copy_beside_the_right_one_is_found(lab, hands, queue, path):
    hands.put(f'{path}/both', SILVER, Timestamp.now().internal)
    hands.put(f'{path}/both', GOLD, Timestamp.now().internal)
    assert objects(scan(lab, path)[1]) == ['both']
    assert names(queue, path) == ['both']


def test_what_was_deleted_is_left_alone(lab, hands, queue, path):
    hands.put(f'{path}/gone', SILVER, Timestamp.now().internal)
    hands.delete_one(f'{path}/gone', GOLD, Timestamp.now().internal)
    code, found = scan(lab, path)
    assert (code, found['outcomes']) == (0, {'nothing': 1, 'deleted': 1})
    assert names(queue, path) == []


def test_what_is_older_than_tombstones_last_is_left_alone(lab, hands, queue, path):
    """By the age that the sidecar's conf has, unless another is given."""
    hands.put(f'{path}/old', SILVER, ago(4 * DAY))
    code, found = scan(lab, path, '--dry-run', '--reclaim-age', str(7 * DAY))
    assert (code, objects(found)) == (1, ['old'])
    code, found = scan(lab, path)
    assert (code, found['outcomes']) == (0, {'nothing': 1, 'old': 1})
    assert names(queue, path) == []


def test_a_dry_run_records_nothing(lab, hands, queue, path):
    hands.put(f'{path}/lost', SILVER, Timestamp.now().internal)
    code, found = scan(lab, path, '--dry-run')
    assert (code, objects(found), found['recorded']) == (1, ['lost'], False)
    assert names(queue, path) == []


@pytest.mark.parametrize('nodes', [(2, 3), (1, 2, 3)])
def test_with_object_servers_down_nothing_is_said_to_be_well_that_nobody_knows(lab, hands, path, nodes):
    hands.put(f'{path}/lost', SILVER, Timestamp.now().internal)
    down = [f'object{node}' for node in nodes]
    for name in down:
        lab.stop(name)
    try:
        code, found = scan(lab, path)
    finally:
        lab.start(*down)
    assert (code, found['found'], len(found['unknown'])) == (1, [], 2)
