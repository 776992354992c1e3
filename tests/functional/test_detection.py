"""Misplaced objects, seen on a real cluster by reads that found nothing."""
import re
import shutil
import time
from configparser import RawConfigParser
from urllib.parse import quote

import pytest
from helpers.lab import clients
from helpers.lab.hands import Hands
from swift.common.utils import Timestamp

from swiftahead.lab import Lab
from swiftahead.queues import Misplaced, open_queue

GOLD, SILVER, EC = range(3)
DAY = 86400.0
# proxy 1 records, proxy 2 shows too
SHOWS = 1


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """Nobody moves what is found; one worker asks as often as the tests do."""
    with Lab(tmp_path_factory.mktemp('detect'), nodes=3, policies=('gold', 'silver', 'ec'), proxies=2,
             filter_conf={'detect_rate': '1000', 'set log_level': 'DEBUG'},
             sidecar_conf={'mover': {'enabled': 'off'}}) as lab:
        turn_on(lab, 'proxy2', 'serve_misplaced')
        yield lab


def turn_on(lab, program, option):
    path, conf = lab.conf_path(program), RawConfigParser(delimiters=('=',), strict=False)
    conf.optionxform = str
    conf.read(path)
    conf['filter:prefetch'][option] = 'on'
    with path.open('w') as file:
        conf.write(file)
    lab.restart(program)


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
    """Of an object that is not there, in a new container of policy gold."""
    container = clients.new_container(lab)
    return f'{container}/o'


def ago(seconds=0.0, offset=0):
    return Timestamp(time.time() - seconds, offset=offset).internal


class ObjectWatch:
    """What the proxies say of an object, and what is recorded of its container."""

    def __init__(self, lab, queue, path):
        self._logs = [lab.log(f'proxy{number}') for number in (1, 2)]
        self._queue = queue
        self._path = path.removeprefix('/v1')
        self._container = path.split('/')[3]

    def outcome(self) -> str:
        """Of the look for it; of several, the last."""
        line = re.compile(f'{re.escape(self._path)} was looked for in other policies: ([a-z]+)')
        return clients.until(lambda: [word for log in self._logs for word in line.findall(log.read_text())],
                             f'{self._path} was looked for')[-1]

    def records(self) -> list[Misplaced]:
        leased = self._queue.lease(100, 600, ('Misplaced',))
        return [one.record for one in leased if one.record.container == self._container]

    def recorded(self) -> Misplaced:
        return clients.until(self.records, 'something is recorded')[0]


@pytest.fixture
def watch(lab, queue, path):
    return ObjectWatch(lab, queue, path)


def refused(lab, watch, path) -> str:
    """Why what a read did not find is left alone."""
    answer = clients.request(lab, 'GET', path, proxy=SHOWS)
    outcome = watch.outcome()
    assert (answer.status, watch.records()) == (404, [])
    return outcome


@pytest.mark.parametrize('method', ['GET', 'HEAD'])
@pytest.mark.parametrize('policy', [SILVER, EC])
def test_what_a_read_did_not_find_is_recorded(lab, hands, path, watch, policy, method):
    timestamp = ago(offset=3)
    hands.put(path, policy, timestamp)
    assert clients.request(lab, method, path).status == 404
    record = watch.recorded()
    assert (record.object, record.policy_index, record.timestamp, record.op) == ('o', policy, timestamp, 'PUT')


@pytest.mark.parametrize('name', ['a b/c', 'a?b#%', 'é:"', '/', '1:/a/c/o', 'x%2Fy'])
def test_names_of_all_kinds_are_recorded(lab, hands, path, watch, name):
    hands.put(path[:-1] + name, SILVER, ago())
    assert clients.request(lab, 'GET', path[:-1] + quote(name)).status == 404
    assert watch.recorded().object == name


def test_the_404_is_swifts_as_it_was(lab, hands, path):
    hands.put(path, SILVER, ago())
    there, nowhere = clients.request(lab, 'GET', path), clients.request(lab, 'GET', path + '-nowhere')
    for answer in (there, nowhere):
        for own in ('date', 'x-trans-id', 'x-openstack-request-id'):
            del answer.headers[own]
    assert there == nowhere and there.headers['cache-status'] == 'swiftahead; fwd=miss'


def test_a_copy_in_each_other_policy_is_recorded(lab, hands, path, watch):
    for policy in (SILVER, EC):
        hands.put(path, policy, ago(policy))
    assert clients.request(lab, 'GET', path).status == 404
    found = []
    clients.until(lambda: found.extend(watch.records()) or len(found) == 2, 'both are recorded')
    assert sorted(record.policy_index for record in found) == [SILVER, EC]


def test_what_is_nowhere_is_not_found(lab, path, watch):
    assert refused(lab, watch, path) == 'nothing'


def test_what_a_client_deleted_stays_so(lab, hands, path, watch):
    hands.put(path, SILVER, ago(5))
    assert clients.request(lab, 'DELETE', path).status == 404
    assert refused(lab, watch, path) == 'deleted'


@pytest.mark.parametrize('policy', [GOLD, SILVER, EC])
@pytest.mark.parametrize('primary', [0, -1])
def test_one_newer_tombstone_anywhere_is_enough(lab, hands, path, watch, policy, primary):
    hands.put(path, SILVER, ago(5))
    hands.delete_one(path, policy, ago(), primary)
    # where proxy-server comes upon it, it says 404 itself
    assert refused(lab, watch, path) in ('deleted', 'nothing')


def test_an_older_tombstone_is_none(lab, hands, path, watch):
    hands.delete_one(path, GOLD, ago(5))
    hands.put(path, SILVER, ago())
    assert clients.request(lab, 'GET', path).status == 404
    assert watch.recorded().policy_index == SILVER


def test_what_was_moved_from_there_may_have_come_back(lab, hands, path, watch):
    """The tombstone that a move left has a smaller offset than the copy that it made."""
    written_at = time.time()
    hands.delete_one(path, GOLD, Timestamp(written_at, offset=1).internal)
    hands.put(path, SILVER, Timestamp(written_at, offset=3).internal)
    assert clients.request(lab, 'GET', path).status == 404
    assert watch.recorded().timestamp == Timestamp(written_at, offset=3).internal


@pytest.mark.parametrize('age', [7 * DAY, 6.5 * DAY, 3600], ids=['reclaimed', 'soon', 'before the container'])
def test_what_nobody_knows_of_any_more_is_left_alone(lab, hands, path, watch, age):
    hands.put(path, SILVER, ago(age))
    hands.delete_row(path, SILVER, ago())
    assert refused(lab, watch, path) == 'old'


@pytest.mark.parametrize('policy', [SILVER, EC])
def test_what_a_row_names_may_be_older_than_its_container(lab, hands, path, watch, policy):
    hands.put(path, policy, ago(3600))
    assert clients.request(lab, 'GET', path).status == 404
    assert watch.recorded().policy_index == policy


@pytest.mark.parametrize('policy', [SILVER, EC])
def test_what_a_row_of_the_containers_policy_names_may_be_of_any_age(lab, hands, path, watch, policy):
    timestamp = ago(30 * DAY)
    hands.put(path, policy, timestamp)
    hands.put_row(path, GOLD, timestamp)
    assert clients.request(lab, 'GET', path).status == 404
    assert watch.recorded().policy_index == policy


def test_what_was_deleted_so_long_ago_that_its_tombstone_is_gone_does_not_rise(lab, hands, path, watch):
    """The DELETE went to the container's policy; the row of the other was left as it is."""
    hands.put(path, SILVER, ago(30 * DAY))
    assert refused(lab, watch, path) == 'old'


def test_a_row_of_another_version_names_nothing(lab, hands, path, watch):
    hands.put(path, SILVER, ago(30 * DAY))
    hands.put_row(path, GOLD, ago())
    assert refused(lab, watch, path) == 'old'


def test_a_row_that_one_server_knows_to_be_dead_names_nothing(lab, hands, path, watch):
    hands.put(path, SILVER, ago(3600))
    hands.delete_row(path, SILVER, ago(), primaries=1)
    assert refused(lab, watch, path) == 'old'


def test_what_was_put_before_its_container_was_deleted_is_left_alone(lab, hands, path, watch):
    timestamp = ago()
    container = path[:-2]
    for method, status in (('DELETE', 204), ('PUT', 201)):
        assert clients.request(lab, method, container).status == status
    hands.put(path, SILVER, timestamp)
    hands.delete_row(path, SILVER, ago())
    assert refused(lab, watch, path) == 'old'


def test_a_server_that_lost_the_container_has_no_say(lab, hands, watch, queue):
    """It answers as if the container were of policy 0, and older than all."""
    container = clients.new_container(lab, {'X-Storage-Policy': 'silver'})
    hands.put(f'{container}/o', GOLD, ago())
    shutil.rmtree(next(lab.folder.glob(f'node*/d*/containers/*/*/{hands.container_folder(container + "/o")}')))
    assert clients.request(lab, 'GET', f'{container}/o').status == 404
    assert ObjectWatch(lab, queue, container).recorded().policy_index == GOLD


# -- shown at once -----------------------------------------------------------------------------------------

@pytest.mark.parametrize('policy', [SILVER, EC])
def test_where_it_is_turned_on_the_client_gets_the_object_at_once(lab, hands, path, watch, policy):
    hands.put(path, policy, ago(), body='0123456789', **{'X-Object-Meta-Colour': 'red'})
    answer = clients.request(lab, 'GET', path, proxy=SHOWS)
    assert (answer.status, answer.body, answer.headers['x-object-meta-colour']) == (200, b'0123456789', 'red')
    assert answer.headers['cache-status'] == 'swiftahead; fwd=miss; detail=misplaced'
    assert watch.recorded().policy_index == policy
    part = clients.request(lab, 'GET', path, headers={'Range': 'bytes=2-4'}, proxy=SHOWS)
    assert (part.status, part.body) == (206, b'234')


@pytest.mark.parametrize('headers, status', [({'If-Match': '"other"'}, 412), ({'If-None-Match': '*'}, 304)])
def test_conditions_hold_for_what_is_shown(lab, hands, path, headers, status):
    hands.put(path, SILVER, ago())
    assert clients.request(lab, 'GET', path, headers=headers, proxy=SHOWS).status == status


def test_what_is_shown_is_not_kept(lab, hands, path):
    hands.put(path, SILVER, ago())
    for _ in range(3):
        assert clients.request(lab, 'GET', path, proxy=SHOWS).headers['cache-status'].endswith('detail=misplaced')
    assert clients.request(lab, 'GET', path).status == 404


def test_what_is_shown_is_authorised_as_always(lab, hands, path, watch):
    hands.put(path, SILVER, ago())
    for token, status in ((clients.token(lab, 'test2:tester2', 'testing2'), 403), ('', 401)):
        assert clients.request(lab, 'GET', path, token=token, proxy=SHOWS).status == status
    assert clients.request(lab, 'POST', path[:-2], headers={'X-Container-Read': '.r:*'}).status == 204
    assert clients.request(lab, 'GET', path, token='', proxy=SHOWS).status == 200


def test_what_is_deleted_is_shown_no_longer(lab, hands, path):
    hands.put(path, SILVER, ago(5))
    assert clients.request(lab, 'GET', path, proxy=SHOWS).status == 200
    assert clients.request(lab, 'DELETE', path).status == 404
    assert clients.request(lab, 'GET', path, proxy=SHOWS).status == 404


def test_without_word_of_all_who_would_know_nothing_is_shown(lab, hands, path, watch):
    """One server down may have the tombstone: the majority suffices for the mover, which asks again."""
    hands.put(path, SILVER, ago())
    lab.stop('object1')
    try:
        assert clients.request(lab, 'GET', path, proxy=SHOWS).status == 404
        assert watch.recorded().policy_index == SILVER
    finally:
        lab.start('object1')


def test_who_wants_no_prefetch_leaves_no_record(lab, hands, path, watch):
    hands.put(path, SILVER, ago())
    answer = clients.request(lab, 'GET', path, headers={'X-No-Prefetch': 'true'}, proxy=SHOWS)
    assert (answer.status, watch.outcome(), watch.records()) == (200, 'unrecorded', [])
