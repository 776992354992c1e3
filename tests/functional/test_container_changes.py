"""What becomes of cached objects when their container or account changes: what becomes of them in Swift.

The second proxy has no filter. Answers are compared with its own, and changes through it are noticed by no filter.
"""
import os
import uuid

import pytest
from helpers.filter.matrix import Matrix, half_filtered
from helpers.lab import clients

from swiftahead.cache import Store
from swiftahead.conf.names import CONTAINER_DIGITS, ObjectName
from swiftahead.queues import Access, Admit, open_queue

OLD, NEW = os.urandom(70_000), os.urandom(70_000)
FILTERED, PLAIN = 0, 1
OFF, ON = {'X-Container-Meta-Prefetch': 'off'}, {'X-Container-Meta-Prefetch': 'on'}


@pytest.fixture(scope='module')
def matrix(tmp_path_factory):
    with half_filtered(tmp_path_factory.mktemp('lab'), policies=('gold', 'silver')) as lab:
        yield Matrix(lab)


@pytest.fixture
def container(matrix):
    return matrix.container(f'c-{uuid.uuid4().hex}', '')


@pytest.fixture
def path(matrix, container):
    """An object that is in the cache."""
    path = matrix.put(container, 'o', OLD)
    matrix.warm(path)
    return path


def ask(matrix, method, path, headers=None, body=None, proxy=FILTERED, **more):
    return clients.request(matrix.lab, method, path, headers, body, proxy, **more)


def same(matrix, path, readers=('owner', 'same account', 'other account', 'anonymous')):
    """The answer to the owner, when everybody gets the same as from Swift."""
    assert matrix.differences([path], readers) == []
    return matrix.ask('GET', path, 'owner', FILTERED)


def name_of(path):
    return ObjectName(*path.split('/', 4)[2:])


def entry_of(matrix, path):
    """(policy index, body) of what lies in the cache."""
    entry = Store.open(matrix.lab.cache_dir).entry(name_of(path))
    assert entry is not None
    with entry:
        return entry.meta.policy_index, b''.join(entry.blocks(0, entry.meta.body_length))


def remove(matrix, container, proxy):
    """The container and its one object."""
    assert ask(matrix, 'DELETE', container + '/o', proxy=proxy).status == 204
    # its listing may be behind
    clients.until(lambda: ask(matrix, 'DELETE', container, proxy=proxy).status == 204, f'{container} is gone')


# containers that are made again

@pytest.mark.parametrize('proxy', [FILTERED, PLAIN])
def test_a_container_that_is_deleted_takes_what_is_cached_along(matrix, container, path, proxy):
    remove(matrix, container, proxy)
    answer = same(matrix, path)
    assert (answer.status, answer.is_hit) == (404, False)


@pytest.mark.parametrize('proxy', [FILTERED, PLAIN])
def test_of_a_container_made_again_under_another_policy_nothing_old_is_served(matrix, container, path, proxy):
    """Where no filter saw any of it, the entry is the old one still."""
    remove(matrix, container, proxy)
    assert ask(matrix, 'PUT', container, {'X-Storage-Policy': 'silver'}, proxy=proxy).status == 201
    assert same(matrix, path).status == 404
    assert ask(matrix, 'PUT', path, body=NEW, proxy=proxy).status == 201
    assert same(matrix, path).body == NEW
    assert clients.until_hit(matrix.lab, path).body == same(matrix, path).body == NEW
    assert entry_of(matrix, path) == (1, NEW)


def test_an_entry_of_another_policy_is_seen_as_such(matrix, container, path):
    remove(matrix, container, PLAIN)
    assert ask(matrix, 'PUT', container, {'X-Storage-Policy': 'silver'}, proxy=PLAIN).status == 201
    assert entry_of(matrix, path) == (0, OLD)
    assert ask(matrix, 'GET', path).status == 404
    assert ask(matrix, 'PUT', path, body=NEW, proxy=PLAIN).status == 201
    answer = ask(matrix, 'GET', path)
    assert (answer.body, answer.headers['cache-status'].partition(' ')[2].startswith('fwd=')) == (NEW, True)


# rights

@pytest.mark.parametrize('proxy', [FILTERED, PLAIN])
def test_a_right_that_is_given_or_taken_counts_at_once(matrix, container, path, proxy):
    for acl, status in (('.r:*', 200), ('test:tester3', 401), ('.r:*', 200), ('', 401)):
        assert ask(matrix, 'POST', container, {'X-Container-Read': acl}, proxy=proxy).status == 204
        assert same(matrix, path).is_hit
        assert matrix.ask('GET', path, 'anonymous', FILTERED).status == status


# accounts

@pytest.fixture
def others(matrix):
    """(account, object) of somebody else, the object in the cache."""
    account = f'/v1/AUTH_{uuid.uuid4().hex}'
    token = clients.token(matrix.lab, 'admin:admin', 'admin')
    assert ask(matrix, 'PUT', account, token=token).status in (201, 202)
    for path, headers, body in ((account + '/c', {'X-Container-Read': '.r:*'}, None), (account + '/c/o', {}, OLD)):
        assert ask(matrix, 'PUT', path, headers, body, token=token).status == 201
    clients.until(lambda: ask(matrix, 'GET', account + '/c/o', token=token).is_hit, 'it is a hit')
    return account, account + '/c/o'


EVERYBODY = ('reseller admin', 'owner', 'anonymous')


def test_what_is_cached_of_a_deleted_account_goes_when_swift_has_it_no_more(matrix, others):
    """Swift itself answers from the object servers until the reaper comes, and its proxies know a container for
    a minute; that minute is cut short here."""
    account, path = others
    token = clients.token(matrix.lab, 'admin:admin', 'admin')
    assert ask(matrix, 'DELETE', account, token=token).status == 204
    assert matrix.differences([path, account], EVERYBODY) == []
    clients.flush_memcached(matrix.lab)
    assert matrix.differences([path, account], EVERYBODY) == []
    answer = matrix.ask('GET', path, 'reseller admin', FILTERED)
    assert answer.header('Cache-Status') == 'swiftahead; fwd=bypass; detail=container'


def test_of_an_account_that_was_reaped_nothing_is_served(matrix, others):
    account, path = others
    token = clients.token(matrix.lab, 'admin:admin', 'admin')
    assert ask(matrix, 'DELETE', account, token=token).status == 204
    assert '1 objects deleted' in matrix.lab.run_daemon('account-reaper')
    clients.flush_memcached(matrix.lab)
    assert matrix.differences([path, account], EVERYBODY) == []
    answer = matrix.ask('GET', path, 'reseller admin', FILTERED)
    assert (answer.status, answer.is_hit) == (404, False)


# X-Container-Meta-Prefetch

@pytest.fixture
def queue(matrix):
    """The queue, which nobody else empties meanwhile."""
    matrix.lab.stop('sidecar')
    queue = open_queue(f'sqlite:{matrix.lab.layout.queue}')
    yield queue
    queue.close()
    clients.ensure(matrix.lab, 'sidecar')


def told_of(matrix, queue, last):
    """[kind, keyed name of the container] of all records, once that object's read and capture are among them."""
    store, found = Store.open(matrix.lab.cache_dir), []
    wanted = {(kind, store.naming.container(*last.split('/')[2:4])) for kind in (Access, Admit)}

    def all_are_there():
        for record in (item.record for item in queue.lease(1000, 600)):
            name = (store.spooled_entry(record.spool_name)[:CONTAINER_DIGITS] if isinstance(record, Admit)
                    else store.naming.container(record.account, record.container))
            found.append((type(record), name))
        return wanted <= set(found)
    clients.until(all_are_there, f'there are records of {last}')
    return found


def status_of(matrix, path):
    return ask(matrix, 'GET', path).headers['cache-status'].removeprefix('swiftahead; ')


def test_where_prefetch_is_off_nothing_is_served_from_the_cache(matrix, container, path):
    assert same(matrix, path).is_hit
    assert ask(matrix, 'POST', container, OFF).status == 204
    assert status_of(matrix, path) == 'fwd=bypass; detail=container-opt-out'
    answer = same(matrix, path)
    assert (answer.status, answer.body, answer.is_hit) == (200, OLD, False)


def test_when_it_is_on_again_what_was_not_written_meanwhile_is_served_again(matrix, container, path):
    other = matrix.put(container, 'other', OLD)
    matrix.warm(other)
    assert ask(matrix, 'POST', container, OFF).status == 204
    assert ask(matrix, 'PUT', other, body=NEW).status == 201
    assert ask(matrix, 'POST', container, ON).status == 204
    assert same(matrix, path).is_hit
    assert same(matrix, other).body == NEW
    assert clients.until_hit(matrix.lab, other).body == NEW


def test_where_it_is_off_nothing_is_captured_and_nothing_learned(matrix, container, queue):
    """Records come to the queue in the order of the reads."""
    assert ask(matrix, 'POST', container, OFF).status == 204
    later = matrix.put(matrix.container(f'c-{uuid.uuid4().hex}', ''), 'o', OLD)
    for path in [matrix.put(container, name, OLD) for name in 'abc'] * 2:
        assert status_of(matrix, path) == 'fwd=bypass; detail=container-opt-out'
    assert status_of(matrix, later) == 'fwd=miss; stored'
    name = Store.open(matrix.lab.cache_dir).naming.container(*container.split('/')[2:4])
    assert [kind for kind, other in told_of(matrix, queue, later) if other == name] == []


def test_where_it_is_off_nothing_is_warmed(matrix, container):
    """The one that is not off is warmed after it."""
    later = matrix.container(f'c-{uuid.uuid4().hex}', '')
    assert ask(matrix, 'POST', container, OFF).status == 204
    paths = [[matrix.put(where, name, OLD) for name in 'abc'] for where in (container, later)]
    for where in (container, later):
        assert ask(matrix, 'POST', where + '?prefetch=warm').status == 202
    for path in paths[1]:
        clients.until_prefetched(matrix.lab, path)
    store = Store.open(matrix.lab.cache_dir)
    assert [path for path in paths[0] if store.has(name_of(path))] == []


# Cache-Control that is stored with an object

WISHES = ('no-store', 'private', 'public, Private="x"', 'max-age=5,NO-STORE')


@pytest.mark.parametrize('wish', WISHES)
def test_what_is_not_to_be_stored_is_not(matrix, container, wish):
    """Neither captured nor warmed; the one beside it is, by its reads and after it."""
    path = matrix.put(container, 'a', OLD, {'Cache-Control': wish})
    beside = matrix.put(container, 'b', OLD, {'Cache-Control': 'public, max-age=5'})
    assert [status_of(matrix, path) for _ in range(3)] == ['fwd=miss'] * 3
    assert ask(matrix, 'POST', container + '?prefetch=warm').status == 202
    clients.until_prefetched(matrix.lab, beside)
    answer = same(matrix, path)
    assert (answer.body, answer.header('Cache-Control'), answer.is_hit) == (OLD, wish, False)
    assert not Store.open(matrix.lab.cache_dir).has(name_of(path))


@pytest.mark.parametrize('wish', WISHES)
def test_what_is_no_longer_to_be_stored_is_served_from_the_cache_no_more(matrix, path, wish):
    assert same(matrix, path).is_hit
    assert ask(matrix, 'POST', path, {'Cache-Control': wish}).status == 202
    for _ in range(3):
        answer = same(matrix, path)
        assert (answer.body, answer.header('Cache-Control'), answer.is_hit) == (OLD, wish, False)
    store = Store.open(matrix.lab.cache_dir)
    clients.until(lambda: not store.has(name_of(path)), 'its bytes are gone')


def test_what_may_be_stored_again_is(matrix, container):
    path = matrix.put(container, 'o', OLD, {'Cache-Control': 'no-store'})
    assert not same(matrix, path).is_hit
    assert ask(matrix, 'POST', path, {'Cache-Control': 'public'}).status == 202
    assert clients.until_hit(matrix.lab, path).headers['cache-control'] == 'public'
    assert same(matrix, path).is_hit
