"""The sidecar beside a real cluster: fetching ahead, and being stopped, killed, broken or not there."""
import shutil
import signal

import pytest
from helpers.lab import clients

from swiftahead.cache import Store
from swiftahead.lab import Lab
from swiftahead.queues import Access, Warm, open_queue
from swiftahead.queues.records import PREFETCH_KINDS

COUNT = 12


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """A lab of this module's own, since its programs are stopped and killed."""
    with Lab(tmp_path_factory.mktemp('lab')) as lab:
        yield lab


@pytest.fixture
def running(lab):
    """Whatever a test does to the sidecar, the next finds it running."""
    yield lab
    clients.ensure(lab, 'sidecar')


def fill(lab, container, count=COUNT):
    paths = [f'{container}/{number:03}' for number in range(count)]
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=path.encode() * 100).status == 201
    return paths


def forget(lab, container):
    assert clients.request(lab, 'POST', container + '?prefetch=forget').status == 202
    name = container.split('/')
    clients.until(lambda: not list(entries(lab, name[2], name[3])), 'entries are forgotten')


def entries(lab, account, container):
    store = Store.open(lab.cache_dir)
    prefix = store.naming.container(account, container)
    return [item for item in store.linked() if item.entry_name.startswith(prefix)]


def test_what_is_read_in_order_is_fetched_before_it_is_read_again(lab, container):
    paths = fill(lab, container)
    for path in paths:
        clients.request(lab, 'GET', path)
    for path in paths:
        clients.until_hit(lab, path)
    forget(lab, container)
    assert not clients.request(lab, 'GET', paths[0]).is_prefetched
    for path in paths[1:]:
        assert clients.until_prefetched(lab, path).body == path.encode() * 100
        clients.request(lab, 'GET', path)


def test_what_was_fetched_ahead_for_one_is_not_for_those_who_may_not_read(lab, container):
    paths = fill(lab, container, 2)
    assert clients.request(lab, 'POST', container + '?prefetch=warm').status == 202
    for path in paths:
        clients.until_prefetched(lab, path)
        stranger = clients.token(lab, 'test2:tester2', 'testing2')
        assert clients.request(lab, 'GET', path, token=stranger).status == 403


def test_warming_keeps_to_prefix_and_limit(lab, container):
    fill(lab, container, 5)
    assert clients.request(lab, 'POST', container + '?prefetch=warm&prefix=00&limit=3').status == 202
    for number in range(3):
        clients.until_prefetched(lab, f'{container}/{number:03}')
    account, name = container.split('/')[2:4]
    assert len(entries(lab, account, name)) == 3


def test_warming_a_container_that_is_not_there_is_swifts_to_answer(lab):
    assert clients.request(lab, 'POST', f'{clients.account(lab)}/none?prefetch=warm').status == 404


def test_a_written_object_is_not_served_from_what_was_fetched_ahead(lab, container):
    path, = fill(lab, container, 1)
    assert clients.request(lab, 'POST', container + '?prefetch=warm').status == 202
    clients.until_prefetched(lab, path)
    assert clients.request(lab, 'PUT', path, body=b'new').status == 201
    assert clients.request(lab, 'GET', path).body == b'new'


def test_without_the_sidecar_everything_is_answered(running, container):
    lab = running
    paths = fill(lab, container, 3)
    hit = clients.until_hit(lab, paths[0])
    lab.stop('sidecar', signal.SIGKILL)
    assert clients.request(lab, 'GET', paths[0]).headers['cache-status'] == hit.headers['cache-status']
    assert clients.request(lab, 'GET', paths[1]).status == 200
    assert clients.request(lab, 'PUT', paths[0], body=b'new').status == 201
    assert clients.request(lab, 'GET', paths[0]).body == b'new'


def test_what_was_captured_while_the_sidecar_was_away_is_admitted_later(running, container):
    lab = running
    path, = fill(lab, container, 1)
    lab.stop('sidecar', signal.SIGKILL)
    assert 'stored' in clients.request(lab, 'GET', path).headers['cache-status']
    lab.start('sidecar')
    clients.until_hit(lab, path, headers={'X-No-Prefetch': 'true'})


def test_the_cache_survives_kill_9_and_a_new_start(running, container):
    lab = running
    paths = fill(lab, container)
    for path in paths:
        clients.until_hit(lab, path)
    lab.stop('sidecar', signal.SIGKILL)
    lab.start('sidecar')
    for path in paths:
        answer = clients.request(lab, 'GET', path)
        assert answer.is_hit
    assert list(Store.open(lab.cache_dir).check()) == []


def test_a_stop_leaves_no_record_leased(running, container):
    lab = running
    fill(lab, container, 3)
    lab.stop('sidecar')
    queue = open_queue(f'sqlite:{lab.cache_dir}/queue.db')
    waiting = sum(count for kind, count in queue.depth().items() if kind in PREFETCH_KINDS)
    assert len(queue.lease(waiting + 1, 0.001)) == waiting
    queue.close()


def test_once_makes_one_pass_and_exits_0(running, container, tmp_path):
    lab = running
    paths = fill(lab, container, 3)
    lab.stop('sidecar')
    # a queue of its own: in the lab's a record may still be leased to a sidecar that another test killed
    conf = tmp_path / 'sidecar.conf'
    text = lab.conf_path('sidecar').read_text()
    conf.write_text(text.replace(f'{lab.cache_dir}/queue.db', f'{tmp_path}/queue.db'))
    account, name = container.split('/')[2:4]
    queue = open_queue(f'sqlite:{tmp_path}/queue.db')
    queue.put([Access(account, name, '000', 'client', 1.0, 10, 'miss'), Warm(account, name)])
    done = clients.run('swiftahead-sidecar', conf, 'once')
    assert done.returncode == 0, done.stderr
    assert queue.depth() == {'dead': 0, 'dropped': 0}
    queue.close()
    for path in paths:
        assert clients.request(lab, 'GET', path).is_prefetched


def test_a_cache_folder_that_is_removed_is_made_again(running, container):
    lab = running
    path, = fill(lab, container, 1)
    clients.until_hit(lab, path)
    lab.stop('sidecar')
    shutil.rmtree(lab.cache_dir)
    assert clients.request(lab, 'GET', path).body == path.encode() * 100
    lab.start('sidecar')
    assert clients.until_hit(lab, path).body == path.encode() * 100


def test_a_cache_folder_that_is_removed_under_everybody_is_made_again(running, container):
    lab = running
    path, = fill(lab, container, 1)
    clients.until_hit(lab, path)
    # at once: where somebody writes at the same moment, rmtree fails
    lab.cache_dir.rename(lab.cache_dir.with_name('removed'))
    assert clients.request(lab, 'GET', path).body == path.encode() * 100
    assert clients.until_hit(lab, path).body == path.encode() * 100


def test_the_smallest_conf_works(running, container, tmp_path):
    """The two keys and the pipeline, as on a cluster that nobody laid out for us."""
    lab = running
    path, = fill(lab, container, 1)
    lab.stop('sidecar')
    conf = tmp_path / 'sidecar.conf'
    conf.write_text(f"""
[DEFAULT]
swift_dir = {lab.swift_dir}
[sidecar]
cache_dir = {lab.cache_dir}
queue = sqlite:{lab.cache_dir}/queue.db
[pipeline:main]
pipeline = catch_errors proxy-logging cache proxy-server
""")
    queue = open_queue(f'sqlite:{lab.cache_dir}/queue.db')
    account, name = container.split('/')[2:4]
    queue.put([Warm(account, name)])
    queue.close()
    done = clients.run('swiftahead-sidecar', conf, 'once')
    assert done.returncode == 0, done.stderr
    assert clients.request(lab, 'GET', path).is_prefetched


def test_a_wrong_conf_says_what_is_wrong_and_exits_1(lab, tmp_path):
    conf = tmp_path / 'sidecar.conf'
    conf.write_text('[sidecar]\ncache_dir = /x\nqueue = sqlite:/x/q\ncache_size = big\n')
    done = clients.run('swiftahead-sidecar', conf)
    assert done.returncode == 1
    assert '[sidecar] cache_size = big: must be a size' in done.stderr
