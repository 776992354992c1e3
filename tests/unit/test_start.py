"""Starting the sidecar: what is wrong, and what it says of it; most of it in this process."""
import os
import pwd
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from helpers.common.builders import ListLogger, close_logs, make_swift_dir
from helpers.common.mounts import Mount, root_only
from swift.common import utils

from swiftahead.cache import Store
from swiftahead.conf import ConfError
from swiftahead.queues import open_queue
from swiftahead.sidecar import main, start
from swiftahead.sidecar.settings import read_settings

USER = pwd.getpwuid(os.geteuid()).pw_name
PROGRAM = 'import sys; from swiftahead.sidecar import main; sys.exit(main())'
# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
SWIFT_CONF = '[swift-hash]\nswift_hash_path_suffix = x\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a Swift of its own, and nothing else."""
    make_swift_dir(tmp_path, monkeypatch)
    (tmp_path / 'swift.conf').write_text(SWIFT_CONF)
    # `main` sets these
    for name in ('SWIFT_CONF_FILE', 'HASH_PATH_PREFIX', 'HASH_PATH_SUFFIX'):
        monkeypatch.setattr(utils, name, getattr(utils, name))
    yield tmp_path
    close_logs()


@pytest.fixture
def conf(folder):
    """The path of a conf with these options of [sidecar] and these lines after them."""
    def conf(more='', **own):
        options = {'cache_dir': folder / 'cache', 'queue': f'sqlite:{folder}/cache/queue.db', 'user': USER,
                   'swift_dir': folder, **own}
        lines = [f'{key} = {value}' for key, value in options.items()]
        path = folder / 'sidecar.conf'
        path.write_text('\n'.join(['[sidecar]', *lines, *([] if '[status]' in more else [
            '[status]', 'bind_port = 0']), more]))
        return str(path)
    return conf


def look(path, **conf):
    """All troubles, after what is mended before anybody looks."""
    settings = read_settings(path)
    start.prepare(settings)
    return list(start.troubles(settings, conf, ListLogger()))


def only(path, **conf):
    trouble, = look(path, **conf)
    assert '\n' not in trouble.text
    return trouble


def test_nothing_is_wrong_with_a_conf_and_no_folder(conf, folder):
    assert look(conf()) == []
    assert stat.S_IMODE((folder / 'cache').stat().st_mode) == 0o700


def test_nothing_is_left_open(conf):
    path, before = conf(), set(os.listdir('/proc/self/fd'))
    assert start.is_ready(read_settings(path), {}, False, pytest.fail)
    assert set(os.listdir('/proc/self/fd')) == before


# the conf and Swift's: told before anything is made

@pytest.mark.parametrize('text, said', [
    (b'', 'there is no [sidecar] section'), (b'rubbish', 'no section headers'),
    (b'\xff\xfe', 'must be UTF-8, which byte 0 is not'),
    (b'[sidecar]\n', 'cache_dir is missing'),
    (b'[sidecar]\ncache_dir = /c\ncache_dir = /d\nqueue = sqlite:/q\n', "option 'cache_dir' in section 'sidecar'"),
    (b'[sidecar]\ncache_dir = /c\n[sidecar]\nqueue = sqlite:/q\n', "section 'sidecar' already exists"),
    (b'[sidecar]\ncache_dir = /c\nqueue = sqlite:/q\nuser = no-such-user\n', 'must be a user of this machine'),
    (b'[sidecar]\ncache_dir = /c\0d\nqueue = sqlite:/q\n', 'must be an absolute path without NUL'),
    (b'[sidecar]\ncache_dir = /c\nqueue = sqlite:/q\n[pipeline:main]\npipeline =\n', 'pipeline is empty'),
    (b'[sidecar]\ncache_dir = /c\nqueue = sqlite:/q\nlog_name = %(nothing)s\n', 'Bad value substitution')])
def test_a_wrong_conf_is_one_line(folder, capsys, text, said):
    (folder / 'wrong.conf').write_bytes(text)
    assert main([f'{folder}/wrong.conf']) == 1
    assert_one_line(capsys.readouterr().err, f'{folder}/wrong.conf', said)
    assert not (folder / 'cache').exists()


def assert_one_line(told, path, said):
    assert told.startswith(f'swiftahead-sidecar: {path}: ') and told.count('\n') == 1
    assert said in told and '[Errno' not in told


@pytest.mark.parametrize('name, said', [('none.conf', 'No such file'), ('x' * 300, 'File name too long'),
                                        ('d', 'there is no [sidecar] section'), ('f/x', 'Not a directory')])
def test_a_conf_that_cannot_be_read_is_one_line(folder, capsys, name, said):
    (folder / 'd').mkdir()
    (folder / 'f').touch()
    assert main([f'{folder}/{name}']) == 1
    assert_one_line(capsys.readouterr().err, f'{folder}/{name}', said)


@pytest.mark.parametrize('text, said', [
    (None, 'No such file or directory'), ('', 'swift_hash_path_suffix'), ('rubbish', 'no section headers'),
    (f'{SWIFT_CONF}[storage-policy:x]\nname = a\n', 'Invalid Storage Policy Configuration')])
def test_a_wrong_swift_conf_is_one_line(folder, conf, capsys, text, said):
    (folder / 'swift.conf').unlink()
    if text is not None:
        (folder / 'swift.conf').write_text(text)
    path = conf()
    assert main([path]) == 1
    assert_one_line(capsys.readouterr().err, path, f'[sidecar] swift_dir = {folder}: ')
    assert not (folder / 'cache').exists()


# the cache folder

def mkdir(folder, mode=0o700, owner=None):
    folder.mkdir()
    folder.chmod(mode)
    if owner is not None:
        os.chown(folder, owner, -1)


@pytest.mark.parametrize('mode', [0o755, 0o750, 0o777])
def test_a_folder_as_mkdir_leaves_it_is_closed(folder, conf, mode):
    mkdir(folder / 'cache', mode)
    assert look(conf()) == []
    assert stat.S_IMODE((folder / 'cache').stat().st_mode) == 0o700


def test_a_folder_that_a_proxy_has_put_its_queue_into_is_closed(folder, conf):
    mkdir(folder / 'cache', 0o755)
    with closing(open_queue(f'sqlite:{folder}/cache/queue.db')) as queue:
        queue.put([])
    (folder / 'cache' / 'queue.db.counters').mkdir(0o700)
    assert look(conf()) == []
    assert stat.S_IMODE((folder / 'cache').stat().st_mode) == 0o700


@pytest.mark.parametrize('put, said', [
    (Path.touch, 'must be a folder; move away what is in its place'),
    (lambda path: path.symlink_to('/nowhere'), 'must be a folder; move away what is in its place'),
    (lambda path: (mkdir(path, 0o755), (path / 'other').touch()), "is open to others, and 'other' in it"),
    pytest.param(lambda path: mkdir(path, owner=12345), f'must belong to {USER}, and belongs to uid 12345',
                 marks=root_only),
    (lambda path: (mkdir(path), (path / 'v1').symlink_to('/tmp')), 'v1 must be a folder, not a link'),
    (lambda path: (mkdir(path), (path / 'key').write_text('')), 'key must hold 32 bytes')])
def test_a_folder_that_cannot_be_mended_refuses_the_start(folder, conf, put, said):
    put(folder / 'cache')
    trouble = only(conf())
    assert trouble.text.startswith(f'[sidecar] cache_dir = {folder}/cache: ') and said in trouble.text
    assert not trouble.passes


@pytest.mark.parametrize('name, said', [
    ('file/cache', 'Not a directory; what is above it is no folder'),
    ('x' * 300, 'File name too long; choose a shorter path'), ('loop/cache', 'its links lead nowhere')])
def test_a_folder_that_cannot_be_made_refuses_the_start(folder, conf, name, said):
    (folder / 'file').touch()
    (folder / 'loop').symlink_to('loop')
    with pytest.raises(ConfError) as refused:
        look(conf(cache_dir=folder / name))
    assert said in str(refused.value)


def test_a_read_only_file_system_refuses_the_start_and_says_what_systemd_has_to_do_with_it(folder, conf):
    said = 'Read-only file system; .* ReadWritePaths'
    with Mount(folder / 'disk', 'ro') as disk, pytest.raises(ConfError, match=said):
        look(conf(cache_dir=disk.folder / 'cache'))


@pytest.mark.parametrize('used', [0, 40])
def test_a_full_disk_is_waited_for(folder, conf, used):
    """Also one on which nothing can be made but the first folders."""
    with Mount(folder / 'disk', f'size=64k,nr_inodes={used + 2}') as disk:
        trouble = only(conf(cache_dir=disk.folder / 'cache', queue=f'sqlite:{disk.folder}/cache/queue.db'))
    assert trouble.passes and 'No space left on device' in trouble.text


def test_a_second_sidecar_is_refused_when_the_first_does_not_end(folder, conf, monkeypatch):
    monkeypatch.setattr(start, 'LOCK_SECONDS', 0.2)
    with closing(Store.create(folder / 'cache').lock()):
        trouble = only(conf())
    assert f'another sidecar has {folder}/cache: stop it first' in trouble.text and not trouble.passes


def test_a_sidecar_that_is_just_ending_is_waited_for(folder, conf, monkeypatch):
    lock = Store.create(folder / 'cache').lock()
    monkeypatch.setattr(start.time, 'sleep', lambda seconds: lock.close())
    assert look(conf()) == []


# the queue

@pytest.mark.parametrize('put, said', [
    (lambda path: None, 'there is no folder '), (lambda path: path.parent.touch(), 'is no folder'),
    (lambda path: path.mkdir(parents=True), 'must be a file of its own, not a folder or a link'),
    (lambda path: (path.parent.mkdir(), path.symlink_to('/etc/passwd')), 'not a folder or a link; move it away'),
    (lambda path: (path.parent.mkdir(), Path(f'{path}.lock').mkdir()), 'queue.db.lock must be a file of its own'),
    (lambda path: path.parent.symlink_to(path.parent.name), 'its links lead nowhere')])
def test_a_queue_that_cannot_be_refuses_the_start(folder, conf, put, said):
    path = folder / 'q' / 'queue.db'
    put(path)
    trouble = only(conf(queue=f'sqlite:{path}'))
    assert trouble.text.startswith(f'[sidecar] queue = sqlite:{path}: ') and said in trouble.text
    assert not trouble.passes


def test_a_queue_that_is_set_aside_is_told_and_no_obstacle(folder, conf):
    mkdir(folder / 'q')
    (folder / 'q' / 'queue.db').write_bytes(b'no database, surely' * 100)
    trouble = only(conf(queue=f'sqlite:{folder}/q/queue.db'))
    assert trouble.passes and 'not a database' in trouble.text


# Swift, the status page, and the rest

def lose_a_ring(folder):
    (folder / 'object.ring.gz').unlink()


def damage_a_ring(folder):
    (folder / 'container.ring.gz').write_bytes(b'rubbish')


@pytest.mark.parametrize('harm, more, said', [
    (lose_a_ring, '', 'object.ring.gz: No such file'), (damage_a_ring, '', 'incorrect header'),
    (bool, '[pipeline:main]\npipeline = x proxy-server\n[filter:x]\nuse = egg:nowhere#x\n', 'nowhere'),
    (bool, '[app:proxy-server]\nuse = egg:swift#proxy\nnode_timeout = soon\n', 'soon'),
    (bool, '[filter:cache]\nuse = egg:swift#memcache\ntries = many\n', 'many')])
def test_what_swift_refuses_refuses_the_start(folder, conf, harm, more, said):
    harm(folder)
    trouble = only(conf(more))
    assert trouble.text.startswith('[pipeline:main] Swift refuses ') and said in trouble.text
    assert not trouble.passes


def test_a_port_that_is_taken_is_told_and_waited_for(conf):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        trouble = only(conf(f'[status]\nbind_port = {port}\n'))
    assert trouble.passes
    assert f'bind_port = {port}: there is no status page: Address already in use' in trouble.text


def test_what_swift_would_refuse_later_is_told_now(conf):
    assert 'invalid value for fallocate_reserve' in only(conf(), fallocate_reserve='x').text


@pytest.fixture
def few_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize('option', [
    '[prefetcher]\nconcurrency', '[syncer]\nenabled = on\ndevices = {}\nsync_row_concurrency'])
def test_too_few_open_files_are_made_enough(folder, conf, few_files, option):
    # what else this process has open must not be too many for the test itself
    soft = max(100, max(map(int, os.listdir('/proc/self/fd'))) + 50)
    few_files(soft)
    assert look(conf(f'{option.format(folder)} = {soft // 2}\n')) == []
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 64 + 4 * (soft // 2)


@root_only
def test_nobody_but_root_starts_it_as_another_user(folder, conf, monkeypatch):
    monkeypatch.setattr(start.os, 'geteuid', lambda: pwd.getpwnam('nobody').pw_uid)
    with pytest.raises(ConfError, match='only root can start it as another user; start it as root, or .* nobody'):
        look(conf(user='root'))


@pytest.fixture
def reachable():
    """A folder that any user may enter."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def tell(text):
    """From the process that looks."""
    os.write(2, f'{text}\n'.encode())


@pytest.mark.parametrize('once', [False, True])
def test_once_waits_for_nothing(conf, capfd, once):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        settings = read_settings(conf(f'[status]\nbind_port = {taken.getsockname()[1]}\n'))
        start.prepare(settings)
        assert start.is_ready(settings, {}, once, tell) is not once
    goes_on = '' if once else '; it is started all the same, and tried again and again'
    assert capfd.readouterr().err.endswith(f'Address already in use{goes_on}\n')


def test_what_hangs_is_not_waited_for_for_ever(conf, monkeypatch, capfd):
    settings = read_settings(conf())
    monkeypatch.setattr(start, 'LOOK_SECONDS', 0.1)
    monkeypatch.setattr(start, 'troubles', lambda *_: signal.pause())
    assert not start.is_ready(settings, {}, False, tell)
    assert 'did not answer within 0.1 s' in capfd.readouterr().err


@root_only
@pytest.mark.parametrize('owner, mode, said', [
    (0, 0o755, 'must belong to nobody, and belongs to root'),
    (0, 0o700, 'must belong to nobody, and belongs to root'), (65534, 0o755, '')])
def test_it_is_looked_at_as_the_user_that_it_runs_as(reachable, conf, capfd, owner, mode, said):
    cache = reachable / 'cache'
    mkdir(cache, mode, owner=pwd.getpwnam('nobody').pw_uid if owner else 0)
    path = conf(cache_dir=cache, queue=f'sqlite:{cache}/queue.db', user='nobody')
    start.is_ready(read_settings(path), {}, False, tell)
    told = capfd.readouterr().err
    assert said in told if said else 'cache_dir' not in told
    assert cache.stat().st_mode & 0o777 == (mode if said else 0o700)


@root_only
def test_a_folder_that_is_made_is_the_users(reachable, conf):
    start.prepare(read_settings(conf(cache_dir=reachable / 'a' / 'cache', user='nobody')))
    status = (reachable / 'a' / 'cache').stat()
    assert (status.st_uid, status.st_mode & 0o777) == (pwd.getpwnam('nobody').pw_uid, 0o700)


# the program

def run(path, *arguments, streams='', timeout=60):
    command = ['sh', '-c', f'exec "$@" {streams}', '', sys.executable, '-c', PROGRAM, path, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def test_a_pass_over_a_folder_that_mkdir_left_open(folder, conf):
    mkdir(folder / 'cache', 0o755)
    done = run(conf(), 'once')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert (folder / 'cache' / 'v1').exists()


@pytest.mark.parametrize('arguments', [[], ['once']])
def test_a_start_that_is_refused_ends_with_one_line(folder, conf, arguments):
    (folder / 'cache').touch()
    path = conf()
    done = run(path, *arguments)
    assert (done.returncode, done.stdout) == (1, '')
    assert_one_line(done.stderr, path, 'must be a folder')


@pytest.mark.parametrize('streams', ['<&-', '>&-', '2>&-', '<&- >&- 2>&-', '>/dev/full 2>/dev/full'])
def test_streams_that_are_closed_are_no_obstacle(folder, conf, streams):
    assert run(conf(), 'once', streams=streams).returncode == 0
    assert (folder / 'cache' / 'v1').exists()


# says when it is the program that minds the interrupt key, not Python; the tests may run where the key is ignored
TELLING = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from swiftahead.sidecar import main
def telling(*args):
    before = set_handler(*args)
    print(flush=True)
    return before
set_handler, signal.signal = signal.signal, telling
sys.exit(main())"""


@pytest.mark.parametrize('tenths', [0, 1, 2, 4, 7, 10])
def test_the_interrupt_key_while_it_loads_ends_it_quietly(conf, tenths):
    """Moments that are spread over what that takes."""
    with subprocess.Popen([sys.executable, '-c', TELLING, conf(), 'once'], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        time.sleep(tenths / 10)
        child.send_signal(signal.SIGINT)
        assert child.communicate()[1] == b''
    assert child.returncode in (-signal.SIGINT, 130, 0)
