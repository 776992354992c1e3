"""F11: proxies that are reloaded, restarted and killed under load, as Swift's operators do it."""
import os
import signal
import tempfile
from pathlib import Path

import pytest
from helpers.lab import clients, labs
from helpers.lab.load import Load, Reader, Writer
from helpers.lab.processes import all_workers, below, children, is_running, listening, sockets, workers

from swiftahead.lab import Lab

COUNT = 4
# the parent loads the filter as root, a worker uses it as nobody
MADE_BY_ROOT = """
import os, pwd, shutil, sys
from helpers.common.builders import NAME, FakeSwift, container_info, infocache
from swift.common.concurrency import sleep
from swift.common.swob import Request
from swift.common.utils import drop_privileges
from swiftahead.cache import Store
from swiftahead.middleware import filter_factory

cache, swift = sys.argv[1], FakeSwift()
swift.put('/v1' + NAME.path, b'body')
app = filter_factory({}, cache_dir=cache, queue=f'sqlite:{cache}/queue.db', freshness='max-age')(swift)
assert not os.path.exists(cache)
os.mkdir(cache, 0o700)
shutil.chown(cache, 'nobody', pwd.getpwnam('nobody').pw_gid)
drop_privileges('nobody')
Store.create(cache)
env = {'swift.authorize': lambda req: None, 'swift.infocache': infocache(container_info())}
assert Request.blank('/v1' + NAME.path, environ=env).get_response(app).body == b'body'
while not app._runtime.recorder.idle:
    sleep(0.01)
"""
HOT = 5
PORTIONS = 40 * 1024 * 1024


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """One proxy of several workers."""
    with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies=('gold',), workers=COUNT) as lab:
        yield lab


@pytest.fixture
def hot(lab, container):
    """Path -> body of objects that are cached."""
    bodies = {f'{container}/hot{number}': os.urandom(100_000 * number) for number in range(HOT)}
    for path, body in bodies.items():
        assert clients.request(lab, 'PUT', path, body=body).status == 201
        clients.until_hit(lab, path)
    return bodies


def reload(lab, number):
    """As swift-init does it. Afterwards a new generation of workers answers; the old one may have work left."""
    before = all_workers(lab, COUNT)
    if number == signal.SIGTERM:
        lab.restart('proxy1')
    elif number == signal.SIGUSR1:
        clients.signal_program(lab, 'proxy1', number)
    else:
        clients.signal_program(lab, 'proxy1', number)
        clients.until(lambda: not lab.pid('proxy1'), 'the parent has ended')
        lab.start('proxy1')
    port = int(lab.urls[0].rpartition(':')[2])
    # each worker has a socket of its own
    clients.until(lambda: len(workers(lab) - before) == COUNT and len(listening(port)) == COUNT,
                  'new workers have taken over')


def reload_under_load(lab, container, hot, number, times):
    writers = [Writer(lab, f'{container}/{name}') for name in 'ab']
    with Load(*writers, Reader(lab, hot), Reader(lab, hot)) as load:
        for _ in range(times):
            reload(lab, number)
            load.wait_for(20)
    return load


@pytest.mark.holds('F11')
@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGUSR1], ids=['hup', 'usr1'])
def test_a_reload_under_load_harms_no_client(lab, container, hot, number):
    load = reload_under_load(lab, container, hot, number, 2)
    assert load.errors == []
    # a seamless one refuses nobody; what waits at a socket that is closed is upstream's loss, and seldom
    assert number == signal.SIGHUP or load.counts['not taken'] <= load.counts['done'] / 100
    for path, body in hot.items():
        assert clients.until_hit(lab, path).body == body


@pytest.mark.holds('F11')
def test_a_restart_under_load_cuts_answers_off_and_spoils_none(lab, container, hot):
    load = reload_under_load(lab, container, hot, signal.SIGTERM, 3)
    # workers die at once: an answer may end early, none may be wrong
    cut_off = 'IncompleteRead', 'ConnectionResetError'
    assert [error for error in load.errors if not error.startswith(cut_off)] == []
    for path, body in hot.items():
        assert clients.until_hit(lab, path).body == body


@pytest.mark.holds('F11')
@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGUSR1], ids=['hup', 'usr1'])
def test_many_reloads_under_load_harm_no_client(lab, container, hot, number):
    assert not reload_under_load(lab, container, hot, number, 40).errors


@pytest.mark.holds('F11')
@pytest.mark.parametrize('number', [None, signal.SIGUSR1], ids=['start', 'reload'])
def test_the_parent_opens_nothing_of_cache_or_queue(lab, container, hot, number):
    if number:
        reload(lab, number)
    for path in list(hot) * 4 * COUNT:
        clients.request(lab, 'GET', path)
    parent = lab.pid('proxy1')
    assert below(lab.cache_dir, parent) == []
    # with nothing of the parent's but the sockets on which they listen, workers share nothing else
    assert sockets(parent) <= listening(int(lab.urls[0].rpartition(':')[2]))
    clients.until(lambda: any(str(lab.cache_dir / 'queue.db') in below(lab.cache_dir, pid)
                              for pid in all_workers(lab, COUNT)), 'a worker has opened the queue')


@pytest.mark.holds('F11')
def test_workers_share_no_socket_but_those_they_listen_on(lab, hot):
    for path in list(hot) * 4 * COUNT:
        clients.request(lab, 'GET', path)
    shared = listening(int(lab.urls[0].rpartition(':')[2]))
    own = [sockets(pid) - shared for pid in all_workers(lab, COUNT)]
    assert any(own)
    assert sum(map(len, own)) == len(set().union(*own))


@pytest.mark.holds('F11')
def test_two_generations_work_side_by_side(lab, container, hot):
    """An old worker sends an entry that was evicted meanwhile, new ones serve, and the sidecar is restarted."""
    path, body = f'{container}/large', os.urandom(PORTIONS)
    assert clients.request(lab, 'PUT', path, body=body).status == 201
    clients.until_hit(lab, path)
    with clients.reading(lab, path) as slow:
        assert slow.headers['cache-status'].startswith('swiftahead; hit')
        first = slow.read(1000)
        old = all_workers(lab, COUNT)
        assert clients.request(lab, 'POST', f'{container}?prefetch=forget&name=large').status == 202
        clients.until(lambda: any(is_unlinked_open(lab, pid) for pid in old), 'it is evicted while it is read')
        reload(lab, signal.SIGUSR1)
        lab.restart('sidecar')
        assert [pid for pid in old if is_running(pid)] != []
        for other, expected in hot.items():
            assert clients.until_hit(lab, other).body == expected
        assert clients.until_hit(lab, path).body == body
        assert first + slow.read() == body
    clients.until(lambda: not any(map(is_running, old)), 'the old workers have ended')


def is_unlinked_open(lab, pid):
    return any('/objects/' in path and path.endswith('(deleted)') for path in below(lab.cache_dir, pid))


def owners(folder):
    return {path.owner() for path in [folder, *folder.rglob('*')]}


def is_open_to(user):
    """Whether another user can run this Python: its folder may be closed to others."""
    probe = f'import os; from swift.common.utils import drop_privileges; drop_privileges({user!r}); ' \
            'import xml.etree.ElementTree, swiftahead.conf'
    return os.geteuid() == 0 and clients.run('python', '-c', probe).returncode == 0


@pytest.fixture
def public_folder():
    """A folder that other users may pass through."""
    with tempfile.TemporaryDirectory(prefix='swiftahead-') as folder:
        os.chmod(folder, 0o711)
        yield Path(folder)


@pytest.mark.holds('F11')
def test_nothing_in_the_cache_is_roots_where_the_user_is_another(public_folder):
    if not is_open_to('nobody'):
        pytest.skip('needs root, and a Python that nobody may run')
    with Lab(public_folder / 'lab', nodes=1, replicas=1, policies=('gold',), user='nobody', workers=2) as lab:
        container = f'{clients.account(lab)}/c'
        assert clients.request(lab, 'PUT', container).status == 201
        assert clients.request(lab, 'PUT', f'{container}/o', body=b'body').status == 201
        clients.until_hit(lab, f'{container}/o')
        clients.signal_program(lab, 'proxy1', signal.SIGUSR1)
        lab.restart('sidecar')
        clients.until_hit(lab, f'{container}/o')
        assert owners(lab.cache_dir) == {'nobody'}


@pytest.mark.holds('F11')
def test_a_filter_made_by_root_leaves_its_users_files_in_the_cache(public_folder):
    """A part of the above that needs no Python which others may run: privileges go when all is loaded."""
    if os.geteuid():
        pytest.skip('needs root')
    cache = public_folder / 'cache'
    done = clients.run('python', '-c', MADE_BY_ROOT, cache, env={'PYTHONPATH': str(labs.TESTS)})
    assert done.returncode == 0, done.stderr
    assert owners(cache) == {'nobody'}
    assert len(list(cache.glob('v1/spool/*'))) == 1
    assert {'queue.db', 'key'} <= {path.name for path in cache.iterdir()}


@pytest.mark.holds('F11')
def test_nothing_is_left_of_a_killed_parents_workers(lab, container, hot):
    old = all_workers(lab, COUNT)
    os.kill(lab.pid('proxy1'), signal.SIGKILL)
    clients.until(lambda: not lab.pid('proxy1'), 'the parent has ended')
    path, body = next(iter(hot.items()))
    assert clients.request(lab, 'GET', path).body == body
    lab.stop('proxy1')
    assert not any(map(is_running, old))
    lab.start('proxy1')
    assert clients.until_hit(lab, path).body == body


@pytest.mark.holds('F11')
def test_every_process_of_two_generations_ends_with_the_lab(tmp_path):
    with Lab(tmp_path / 'lab', nodes=1, replicas=1, policies=('gold',)) as lab:
        container = f'{clients.account(lab)}/c'
        clients.request(lab, 'PUT', container)
        clients.request(lab, 'PUT', f'{container}/o', body=os.urandom(PORTIONS))
        with clients.reading(lab, f'{container}/o'):
            pid, old = lab.pid('proxy1'), all_workers(lab, 1)
            clients.signal_program(lab, 'proxy1', signal.SIGUSR1)
            clients.until(lambda: children(pid) > old, 'the parent has begun anew')
            lab.down()
    assert not any(map(is_running, {pid, *old}))
