"""``swiftahead sync`` on two clusters: what it tells of the syncer's work, and of both sides of a container."""
import json
import subprocess
import sys

import pytest
from helpers.lab import clients
from helpers.sync.clusters import clusters

ACCOUNT = ['--account', 'AUTH_test']


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    with clusters(tmp_path_factory.mktemp('pair')) as pair:
        yield pair


@pytest.fixture
def conf(pair):
    return str(pair[0].lab.conf_path('syncer1'))


@pytest.fixture
def container(pair):
    """Three objects here, of which the other side has all."""
    container = pair.linked((0, 1))
    for name in ('a', 'b', 'ü c'):
        pair[0].put(container, name)
    pair.sync(0)
    pair.wait_equal(container)
    return container


def sync(*words, before=''):
    """A process of its own: Swift's client and its loggers leave sockets to the end of their process.

    :param before: what it does before it begins
    """
    program = f'import sys\nfrom swiftahead.cli import main\n{before}\nsys.exit(main())'
    ran = subprocess.run([sys.executable, '-c', program, 'sync', *words], capture_output=True, text=True,
                         timeout=120)
    return ran.returncode, (ran.stdout or ran.stderr).splitlines()


def check(conf, container, *more, **options):
    return sync('check', container, *ACCOUNT, '--conf', conf, *more, **options)


def told(conf, container):
    code, lines = sync('status', conf, '--json')
    return code, next(one for one in json.loads(lines[0])['containers'] if one['container'] == container)


def test_sides_that_are_in_step_are_alike(conf, container):
    assert check(conf, container) == (0, ['3 names compared: both sides are alike'])


def test_listings_of_many_pages_are_compared_whole(pair, conf, container):
    for name in ('ü d', 'x', 'y'):
        pair[0].put(container, name)
    code, lines = check(conf, container, before='from swiftahead.sidecar.syncer import sides\nsides.PAGE = 1')
    assert (code, lines) == (1, ['missing there: x', 'missing there: y', 'missing there: %C3%BC%20d',
                                 '6 names compared: 3 missing there'])


def test_differences_beyond_the_limit_are_counted(pair, conf, container):
    for name in ('a', 'b'):
        pair[0].delete(container, name)
    code, lines = check(conf, container, '--limit', '1')
    assert (code, lines) == (1, ['only there: a', '1 of 2 differences are shown; --limit shows more',
                                 '3 names compared: 2 only there'])


def test_differences_are_told_by_name(pair, conf, container):
    pair[0].put(container, 'new')
    pair[1].delete(container, 'a')
    pair[1].put(container, 'theirs')
    pair[1].put(container, 'ü c', b'other bytes')
    clients.until(lambda: pair[1].names(container) == ['b', 'theirs', 'ü c'], 'the other listing has come up')
    code, lines = check(conf, container)
    assert code == 1 and lines[-1] == '5 names compared: 1 differs, 2 missing there, 1 only there'
    assert lines[:3] == ['missing there: a', 'missing there: new', 'only there: theirs']
    assert lines[3].startswith('differs: %C3%BC%20c: last_modified ') and "bytes 5 here, 11 there" in lines[3]


def test_the_node_knows_the_account(pair, conf, container):
    code, lines = sync('check', container, '--conf', conf, '--json')
    document = json.loads(lines[0])
    assert (code, document['account'], document['alike'], document['compared']) == (0, 'AUTH_test', True, 3)


def test_a_manifest_is_compared_by_name_and_time(pair, conf):
    container = pair.linked((0, 1))
    pair[0].put(container, 'segment', b'x' * 100)
    pair[0].client.put_object(container, 'large', json.dumps([{'path': f'/{container}/segment'}]),
                              query_string='multipart-manifest=put')
    pair[0].client.put_object(container, 'link', b'', headers={'X-Symlink-Target': f'{container}/segment'})
    pair.sync(0)
    clients.until(lambda: len(pair[1].names(container)) == 3, 'all are there')
    assert check(conf, container) == (
        0, ['3 names compared, 1 manifests among them by name and time alone: both sides are alike'])


def test_a_key_that_the_other_side_refuses_is_told_and_shown_nowhere(pair, conf):
    container = pair.linked((0, 1), key='very-secret')
    pair[1].client.post_container(container, {'X-Container-Sync-Key': 'another'})
    code, lines = check(conf, container)
    assert code == 2 and len(lines) == 1
    assert 'answered 401' in lines[0] and 'secret' not in lines[0]


def test_a_container_without_a_realm_cannot_be_checked(pair, conf):
    container = pair.linked((0, 1))
    url = f'{pair[1].lab.urls[0]}/v1/AUTH_test/{container}'
    pair[0].client.post_container(container, {'X-Container-Sync-To': url})
    code, lines = check(conf, container)
    assert code == 2 and len(lines) == 1 and 'without a realm' in lines[0]


@pytest.mark.parametrize('name', ['c-that-is-not-there', 'c-without-a-destination'])
def test_a_container_without_another_side_is_told(pair, conf, name):
    pair[0].client.put_container('c-without-a-destination')
    code, lines = check(conf, name)
    assert code == 2 and len(lines) == 1 and name in lines[0]


@pytest.mark.holds('S8')
def test_the_status_tells_what_was_sent(pair, conf, container):
    pair[0].delete(container, 'a')
    pair.sync(0)
    pair.sync(0)
    code, found = told(conf, container)
    assert (code, found['state'], found['lag'], found['behind']) == (0, 'in-step', 0.0, 0)
    assert (found['puts'], found['bytes']) == (3, 15) and found['deletes'] >= 1


@pytest.mark.holds('S17')
def test_the_status_tells_why_a_container_fails(pair, conf):
    container = pair.linked((0, 1), key='very-secret')
    pair[1].client.delete_container(container)
    pair[0].put(container, 'o')
    pair.sync(0)
    pair.sync(0)
    code, lines = sync('status', conf)
    line = next(line for line in lines if line.startswith(f'AUTH_test/{container}: '))
    assert told(conf, container)[1]['lag'] > 0
    assert code == 1 and 'answered 401' in line and 'X-Container-Sync-Key' in line and 'secret' not in line
    pair[0].delete(container, 'o')
    pair[0].client.delete_container(container)
