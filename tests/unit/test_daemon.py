"""The daemon without its forks: what it is given, what it makes, and one worker's turns."""
import json
import os
import pwd
import re
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
from helpers.cache.cache_managers import in_order
from helpers.common.builders import NAME, ListLogger, close_logs, make_swift_dir, spool
from swift.common.concurrency import Timeout

from swiftahead.cache import Store
from swiftahead.cache.folder import CacheLayout
from swiftahead.conf.names import ObjectName
from swiftahead.queues import Admit, Waker, Warm, open_queue
from swiftahead.sidecar.daemon import Sidecar
from swiftahead.sidecar.main import main
from swiftahead.sidecar.prefetcher import part
from swiftahead.sidecar.prefetcher.part import Worker
from swiftahead.sidecar.settings import read_settings
from swiftahead.sidecar.start import prepare
from swiftahead.sidecar.status.report import tell_filter, write

USER = pwd.getpwuid(os.geteuid()).pw_name
# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_swift_dir(tmp_path, monkeypatch)
    yield tmp_path
    close_logs()


@pytest.fixture
def make(folder):
    """A Sidecar by its conf; `prefetcher` are lines of that section, `own` of [sidecar]."""
    def make(prefetcher='', cache_dir=folder / 'cache', user=USER, logger=None, own=''):
        path = folder / 'sidecar.conf'
        path.write_text(
            f'[sidecar]\ncache_dir = {cache_dir}\nqueue = sqlite:{cache_dir}/queue.db\nuser = {user}\n'
            f'swift_dir = {folder}\n{own}\n[prefetcher]\n{prefetcher}\n'
            '[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:1\n')
        prepare(read_settings(str(path)))
        sidecar = Sidecar({'__file__': str(path)})
        sidecar.logger = logger or ListLogger()
        return sidecar
    return make


@pytest.fixture
def sidecar(make):
    return make()


@pytest.fixture
def worker(sidecar):
    worker = Worker(sidecar.settings, ListLogger(), poll_seconds=0.01)
    worker.manager.load()
    yield worker
    worker.close()


@pytest.fixture
def queue(sidecar):
    queue = open_queue(sidecar.settings.sidecar.queue)
    yield queue
    queue.close()


def store_of(sidecar):
    return Store.open(sidecar.settings.sidecar.cache_dir)


def open_to_others(folder):
    """And with a file in it that may be theirs."""
    (folder / 'cache' / 'theirs').touch()
    (folder / 'cache').chmod(0o755)


def counted(worker, *slot):
    return worker.metrics.values[worker.metrics.slot(*slot)]


# what the daemon is given and makes

@pytest.mark.parametrize('prefetcher, status, parts', [
    ('', '', ['mover', 'prefetcher', 'status']), ('', 'enabled = off', ['mover', 'prefetcher']),
    ('enabled = off', '', ['mover', 'status'])])
def test_there_is_a_worker_for_each_part(make, prefetcher, status, parts):
    assert make(f'{prefetcher}\n[status]\n{status}').get_worker_args() == [{'part': part} for part in parts]


def test_one_pass_needs_no_worker(sidecar):
    assert sidecar.get_worker_args(once=True) == []


def test_a_daemon_without_parts_needs_no_worker_and_no_folder(make, folder):
    sidecar = make('enabled = off\n[mover]\nenabled = off\n[status]\nenabled = off')
    assert sidecar.get_worker_args() == []
    sidecar.run_once()
    assert not (folder / 'cache').exists()


def test_a_daemon_for_the_syncer_alone_runs_no_part_that_needs_a_queue(folder):
    path = folder / 'sidecar.conf'
    path.write_text(f'[sidecar]\nuser = {USER}\nswift_dir = {folder}\n[syncer]\nenabled = on\n')
    prepare(read_settings(str(path)))
    before = sorted(folder.rglob('*'))
    parts = [one['part'] for one in Sidecar({'__file__': str(path)}).get_worker_args()]
    assert 'status' in parts and not {'prefetcher', 'mover'} & {*parts}
    assert sorted(folder.rglob('*')) == before


def test_a_daemon_without_parts_waits_to_be_stopped(make):
    sidecar = make('enabled = off')
    sidecar._stop(SIGTERM, None)
    sidecar.run_forever()
    assert sidecar.logger.said == ['no part is enabled']


def test_the_folder_is_made_closed_to_others(sidecar, folder):
    status = (folder / 'cache').stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a folder away')
def test_the_folder_is_made_for_the_user(make, folder):
    make(user='nobody')
    assert (folder / 'cache').stat().st_uid == pwd.getpwnam('nobody').pw_uid


def test_a_folder_that_is_there_is_closed_by_who_uses_it(make, folder):
    (folder / 'cache').mkdir(mode=0o750)
    sidecar = make()
    assert (folder / 'cache').stat().st_mode & 0o777 == 0o750
    Worker(sidecar.settings, ListLogger()).close()
    assert (folder / 'cache').stat().st_mode & 0o777 == 0o700


def test_an_unknown_user_leaves_no_folder_behind(make, folder):
    with pytest.raises((KeyError, ValueError), match='no-such-user'):
        make(user='no-such-user')
    assert not (folder / 'cache').exists()


def test_the_daemon_runs_as_the_user_of_the_conf(sidecar):
    assert sidecar.conf['user'] == USER


# a worker

def test_a_worker_takes_over_what_an_earlier_one_left(sidecar):
    store = Store.create(sidecar.settings.sidecar.cache_dir)
    store.admit(spool(store, b'abc'))
    logger = ListLogger()
    worker = Worker(sidecar.settings, logger)
    with Timeout(20):
        worker.rebuilding.wait()
    assert worker.manager.inventory.entries == 1
    assert logger.said[-1].startswith('1 entries of 8192 bytes in ')
    worker.close()


def test_what_goes_first_and_what_is_kept_is_what_the_conf_says(make):
    sidecar = make(own='eviction = gdsf\nadmit = second_hit')
    worker = Worker(sidecar.settings, ListLogger())
    worker.manager.load()
    manager, large = worker.manager, ObjectName('AUTH_test', 'c', 'large')
    assert [manager.admit(spool(manager.store, b'abc')) for _ in range(2)] == [False, True]
    assert manager.admit(spool(manager.store, bytes(100_000), name=large, origin='prefetch'))
    assert in_order(manager)[0] == manager.store.naming.entry(large)
    assert counted(worker, 'first_reads') == 1
    worker.close()


def test_a_turn_handles_what_waits_and_reports(worker, queue):
    store = worker.manager.store
    queue.put([Admit(spool(store, b'abc'))])
    assert worker.turn()
    worker.prefetcher.settle()
    assert store.has(NAME) and counted(worker, 'admitted') == 1
    assert store.report()['spool_size'] == 5 * 2**30


def test_the_filter_is_told_before_the_first_turn(make):
    worker = Worker(make('max_object_size = 5 MiB\n[mover]\nreclaim_age = 86400', own='free_space = 7').settings,
                    ListLogger())
    told = worker.manager.store.report()
    assert (told['max_object_size'], told['free_space'], told['reclaim_age']) == (5 * 2**20, 7.0, 86400.0)
    worker.close()


@pytest.mark.parametrize('once', [False, True])
@pytest.mark.parametrize('mover', ['on', 'off'])
def test_without_a_prefetcher_the_filter_is_told_anew_by_the_daemon(make, once, mover):
    Worker(make().settings, ListLogger()).close()
    sidecar = make(f'enabled = off\n[mover]\nenabled = {mover}\nreclaim_age = 86400\n[status]\nenabled = off')
    report = CacheLayout(Path(sidecar.settings.sidecar.cache_dir)).report
    before = json.loads(report.read_text())
    assert len(sidecar.get_worker_args(once)) == (mover == 'on' and not once)
    assert json.loads(report.read_text()) == {**before, 'reclaim_age': 86400.0}


def test_a_report_that_cannot_be_brought_up_to_date_keeps_no_part_from_starting(make):
    Worker(make().settings, ListLogger()).close()
    sidecar = make('enabled = off')
    report = CacheLayout(Path(sidecar.settings.sidecar.cache_dir)).report
    report.unlink()
    (report / 'in the way').mkdir(parents=True)
    assert [args['part'] for args in sidecar.get_worker_args()] == ['mover', 'status']


def test_a_report_that_cannot_be_written_keeps_no_worker_from_starting(make):
    sidecar, logger = make(), ListLogger()
    (Store.create(sidecar.settings.sidecar.cache_dir).layout.report / 'in the way').mkdir(parents=True)
    worker = Worker(sidecar.settings, logger)
    worker.upkeep()
    assert len([said for said in logger.said if 'cache folder: ' in said]) == 2
    worker.close()


def test_without_a_cache_folder_nobody_is_told(make):
    sidecar = make('enabled = off')
    tell_filter(sidecar.settings)
    assert not (Path(sidecar.settings.sidecar.cache_dir) / 'sidecar.json').exists()


def test_a_turn_is_begun_by_a_wake_up(worker, queue):
    worker._poll_seconds = 60.0
    waker = Waker(queue.path)
    waker.wake()
    waker.close()
    # without one it would take a minute, and the test its time limit
    assert worker.turn()


def test_a_queue_that_cannot_be_read_is_said_once(worker, queue):
    queue.path.mkdir()
    assert worker.turn() and worker.turn()
    assert len([said for said in worker._logger.said if 'queue cannot be read' in said]) == 1
    queue.path.rmdir()
    queue.put([Warm('AUTH_test', 'c')])
    assert worker.turn()
    assert counted(worker, 'records', 'warm') == 1


def test_another_cache_folder_ends_the_worker(worker, folder):
    (folder / 'cache').rename(folder / 'away')
    Store.create(folder / 'cache')
    assert not worker.turn()
    assert 'starting anew' in worker._logger.said[-1]


def test_old_spool_files_are_swept(worker):
    store = worker.manager.store
    name = spool(store, b'abc')
    os.utime(store.layout.spool / name, (1000, 1000))
    worker.upkeep()
    assert list(store.spool_files()) == []


def test_upkeep_on_a_broken_folder_is_an_error_that_is_said(worker):
    worker.manager.store.layout.spool.rmdir()
    worker.upkeep()
    assert worker._logger.said[-1].startswith('cache folder: ')


def test_a_wake_up_socket_is_left_to_nobody_else(worker, queue):
    path = queue.path.with_name(queue.path.name + '.wake')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_report_is_written_whole_and_alone(worker):
    write(worker.manager.store.layout.report, worker.report())
    layout = worker.manager.store.layout
    assert [path.name for path in layout.cache_dir.glob('sidecar.json*')] == ['sidecar.json']


def test_a_queue_whose_path_is_too_long_for_a_socket_is_polled(make, folder):
    sidecar = make(cache_dir=folder / ('x' * 100))
    Worker(sidecar.settings, ListLogger()).close()


# the daemon's passes

def test_one_pass_admits_and_warms_and_reports(sidecar, queue):
    store = Store.create(sidecar.settings.sidecar.cache_dir)
    queue.put([Admit(spool(store, b'abc')), Warm('AUTH_test', 'c')])
    sidecar.run_once()
    assert store.has(NAME)
    assert store.layout.report.exists()


def test_one_pass_logs_the_report_of_each_part(sidecar, queue):
    store = Store.create(sidecar.settings.sidecar.cache_dir)
    queue.put([Admit(spool(store, b'abc'))])
    sidecar.run_once()
    said = dict(re.findall(r'pass of the (\w+): (.*)', '\n'.join(sidecar.logger.said)))
    assert sorted(said) == ['mover', 'prefetcher']
    assert json.loads(said['mover'])['under_way'] == 0
    assert json.loads(said['prefetcher'])['entries'] == 1


def test_one_pass_without_a_folder_ends_with_why(make, folder):
    sidecar = make()
    open_to_others(folder)
    with pytest.raises(SystemExit, match='no whole pass of the prefetcher: .* is open to others') as ended:
        sidecar.run_once()
    assert sidecar.logger.said[-1] == ended.value.code


# its cluster does not answer, and meanwhile somebody stops it
STOPPED = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from swift.common.concurrency import sleep
from swiftahead.sidecar.main import main
from swiftahead.sidecar.prefetcher.warmer import Warmer
def run(*_):
    signal.raise_signal(int(sys.argv[1]))
    sleep(600)
Warmer.run = run
sys.exit(main(sys.argv[2:]))"""


@pytest.mark.parametrize('number', [SIGINT, SIGTERM])
def test_a_pass_that_is_stopped_ends_soon_and_keeps_what_it_has_not_done(make, queue, folder, number):
    (folder / 'swift.conf').write_text('[swift-hash]\nswift_hash_path_suffix = test\n')
    queue.put([Warm('AUTH_test', 'c')])
    ended = subprocess.run([sys.executable, '-c', STOPPED, str(int(number)), str(folder / 'sidecar.conf'),
                            'once'], capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (128 + number, b'')
    assert len(queue.waiting('Warm', 9)) == 1


def test_a_stopped_daemon_ends_its_worker(sidecar, queue, monkeypatch):
    # without Swift's patched sockets a wait holds the rebuild up as well
    monkeypatch.setattr(part, 'Worker', partial(Worker, poll_seconds=0.01))

    class StopsTheDaemon(ListLogger):
        def info(self, text, *args):
            super().info(text, *args)
            sidecar._stop(SIGTERM, None)

    sidecar.logger = StopsTheDaemon()
    sidecar.run_forever('prefetcher')
    assert sidecar.logger.said[-1] == 'prefetcher stopped'


def test_a_daemon_that_is_stopped_before_it_has_a_folder_ends(sidecar, folder):
    class StopsTheDaemon(ListLogger):
        def error(self, text, *args):
            super().error(text, *args)
            sidecar._stop(SIGTERM, None)

    open_to_others(folder)
    sidecar.logger = StopsTheDaemon()
    sidecar.run_forever('prefetcher')
    assert len(sidecar.logger.said) == 2 and 'no cache folder' in sidecar.logger.said[0]


# the program

@pytest.mark.parametrize('text, match', [
    (None, 'No such file'), ('', 'no [sidecar] section'), ('[sidecar]\n', 'cache_dir is missing'),
    ('[sidecar]\ncache_dir = /c\nqueue = sqlite:/q\nlow_water = 99\n', 'low_water = 99')])
def test_a_wrong_conf_is_exit_code_1(tmp_path, capsys, text, match):
    path = tmp_path / 'sidecar.conf'
    if text is not None:
        path.write_text(text)
    assert main([str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f'swiftahead-sidecar: {path}: ') and match in said


@pytest.mark.parametrize('arguments, code', [(['--help'], 0), ([], 2), (['x.conf', 'twice'], 2)])
def test_the_programs_arguments(arguments, code, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    assert 'usage: swiftahead-sidecar' in ''.join(capsys.readouterr())
