"""What keeps the syncer from starting, and what is said of it."""
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.common.builders import ListLogger, make_swift_dir
from helpers.common.mounts import Mount, root_only

from swiftahead.sidecar import start
from swiftahead.sidecar.settings import read_settings
from swiftahead.sidecar.syncer.client import conf_path, source_client
from swiftahead.sidecar.syncer.start import troubles

USER = pwd.getpwuid(os.geteuid()).pw_name
# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
CLIENT = '[pipeline:main]\npipeline = proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\n'
PROGRAM = 'import sys; from swiftahead.sidecar import main; sys.exit(main())'
SECRET = 'ABCdef0123'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a Swift of its own, and disks."""
    make_swift_dir(tmp_path, monkeypatch)
    (tmp_path / 'node').mkdir()
    return tmp_path


@pytest.fixture
def conf(folder):
    """The path of a conf for the syncer alone with these lines of [syncer]."""
    def conf(*lines, swift_dir=folder, devices=folder / 'node', user=USER):
        path = folder / 'sidecar.conf'
        path.write_text('\n'.join([
            '[sidecar]', f'user = {user}', f'swift_dir = {swift_dir}', '[status]', 'enabled = off',
            '[syncer]', 'enabled = on', f'devices = {devices}', *lines]))
        return str(path)
    return conf


def look(path):
    return list(troubles(read_settings(path)))


def only(path):
    trouble, = look(path)
    assert '\n' not in trouble.text
    return trouble


def test_nothing_is_wrong_with_disks_and_a_ring(conf):
    settings = read_settings(conf())
    start.prepare(settings)
    assert list(start.troubles(settings, {}, ListLogger())) == []


def test_a_conf_for_the_syncer_alone_leaves_nothing_behind(conf, folder):
    settings, before = read_settings(conf()), sorted(folder.rglob('*'))
    start.prepare(settings)
    assert start.is_ready(settings, {}, False, pytest.fail)
    assert sorted(folder.rglob('*')) == before


def test_of_a_syncer_that_is_off_nothing_is_asked(conf, folder):
    path = Path(conf(devices='/nowhere'))
    cache = f'[sidecar]\ncache_dir = {folder}/cache\nqueue = sqlite:{folder}/cache/queue.db'
    path.write_text(path.read_text().replace('enabled = on', 'enabled = off').replace('[sidecar]', cache))
    settings = read_settings(str(path))
    start.prepare(settings)
    assert list(start.troubles(settings, {}, ListLogger())) == []


@pytest.mark.parametrize('put', [bool, Path.touch, lambda path: path.symlink_to('/nowhere')])
def test_devices_that_are_no_folder_refuse_the_start(conf, folder, put):
    put(folder / 'disks')
    trouble = only(conf(devices=folder / 'disks'))
    assert trouble.text.startswith(f'[syncer] devices = {folder}/disks: is no folder; name the one that ')
    assert not trouble.passes


@pytest.mark.parametrize('line, refused', [('', True), ('dry_run = on', False)])
def test_disks_of_which_none_can_be_written_to_refuse_the_start(conf, folder, line, refused):
    with Mount(folder / 'node' / 'sda', 'ro'):
        found = look(conf(line))
    assert [trouble.passes for trouble in found] == [False] * refused
    assert not found or f'the user {USER} can write to no disk in it; ' in found[0].text


def test_one_disk_that_cannot_be_written_to_is_no_obstacle(conf, folder):
    (folder / 'node' / 'sdb').mkdir()
    with Mount(folder / 'node' / 'sda', 'ro'):
        assert look(conf()) == []


def lose(ring):
    ring.unlink()


def damage(ring):
    ring.write_bytes(b'rubbish')


@pytest.mark.parametrize('harm, said', [(lose, 'No such file'), (damage, 'incorrect header')])
def test_without_a_container_ring_the_start_is_refused(conf, folder, harm, said):
    harm(folder / 'container.ring.gz')
    trouble = only(conf())
    assert trouble.text.startswith(f'[sidecar] swift_dir = {folder}: its container ring cannot be read: ')
    assert said in trouble.text and 'put container.ring.gz there' in trouble.text and not trouble.passes


WRONG = [
    ('rubbish', 'no section headers'), ('[pipeline:main]\npipeline = x\n', "'x'"),
    (CLIENT.replace('= proxy', '= x proxy') + '[filter:x]\nuse = egg:nowhere#x\n', 'nowhere'),
    # a filter that refuses its options when it is made
    (CLIENT.replace('= proxy', '= x proxy') + '[filter:x]\nuse = egg:swift#keymaster\n', 'No secret loaded')]


@pytest.mark.parametrize('text, said', [(None, 'ic.conf'), *WRONG])
def test_a_conf_of_the_client_that_cannot_be_loaded_refuses_the_start(conf, folder, text, said):
    if text is not None:
        (folder / 'ic.conf').write_text(text)
    trouble = only(conf(f'internal_client_conf_path = {folder}/ic.conf'))
    begin = f'[syncer] internal_client_conf_path = {folder}/ic.conf: ic.conf makes no client to read objects by: '
    assert trouble.text.startswith(begin) and said in trouble.text and not trouble.passes


@pytest.mark.parametrize('text, said', WRONG)
def test_so_does_the_one_in_swifts_folder_which_is_taken_then(conf, folder, text, said):
    (folder / 'internal-client.conf').write_text(text)
    trouble = only(conf())
    assert trouble.text.startswith(f'[sidecar] swift_dir = {folder}: internal-client.conf makes no client')
    assert said in trouble.text and not trouble.passes


@pytest.mark.holds('S18')
def test_the_conf_of_the_client_is_the_one_that_upstream_would_take(conf, folder):
    assert conf_path(read_settings(conf())) is None
    (folder / 'internal-client.conf').write_text(CLIENT)
    assert conf_path(read_settings(conf())) == f'{folder}/internal-client.conf'
    assert conf_path(read_settings(conf(f'internal_client_conf_path = {folder}/ic.conf'))) == f'{folder}/ic.conf'


def test_a_conf_of_the_client_may_be_swifts_own(conf, folder):
    (folder / 'ic.conf').write_text(CLIENT)
    assert look(conf(f'internal_client_conf_path = {folder}/ic.conf')) == []


@pytest.mark.holds('S19')
def test_the_client_reads_from_the_replication_network_as_upstreams_does(conf):
    client = source_client(read_settings(conf('request_tries = 7')))
    assert (client.use_replication_network, client.request_tries, client.user_agent) == (
        True, 7, 'Swift Container Sync')


@pytest.mark.parametrize('text, said', [(None, 'No such file'), ('', 'no certificate or crl found'),
                                        ('rubbish', 'no certificate or crl found')])
def test_a_ca_file_without_certificates_refuses_the_start(conf, folder, text, said):
    if text is not None:
        (folder / 'ca.pem').write_text(text)
    trouble = only(conf(f'ca_file = {folder}/ca.pem'))
    assert trouble.text.startswith(f'[syncer] ca_file = {folder}/ca.pem: cannot be read as certificates: ')
    assert said.lower() in trouble.text.lower() and not trouble.passes


@root_only
def test_what_the_daemons_user_may_not_read_is_said(conf, folder, capfd):
    folder.chmod(0o755)
    (folder / 'ca.pem').touch(0o600)
    settings = read_settings(conf(f'ca_file = {folder}/ca.pem', user='nobody'))
    assert not start.is_ready(settings, {}, False, lambda text: os.write(2, f'{text}\n'.encode()))
    assert 'Permission denied; let the user nobody read it' in capfd.readouterr().err


# the realms

def put_realms(folder, text):
    (folder / 'container-sync-realms.conf').write_text(text)


@pytest.mark.parametrize('text, said', [
    (f'[a]\nkey = {SECRET}\n{SECRET}\n', 'line 3 is not as in a conf'),
    (f'key = {SECRET}\n', 'line 1 is not as in a conf'),
    (f'[a]\nkey = {SECRET}\nkey = {SECRET}\n', 'line 3 is not as in a conf'),
    (f'[a]\nkey = {SECRET}\n[a]\n', 'line 3 is not as in a conf'),
    (f'[a]\nkey = {SECRET}%x\n', '[a] key has a % that is not written %%'),
    (f'[a]\nkey = {SECRET}%({SECRET})s\n', '[a] key has a % that is not written %%'),
    (f'[DEFAULT]\nmtime_check_interval = {SECRET}\n', 'mtime_check_interval must be a number of seconds')])
def test_realms_that_cannot_be_parsed_are_told_without_their_keys(conf, folder, text, said):
    put_realms(folder, text)
    trouble = only(conf())
    assert trouble.text.startswith(f'[sidecar] swift_dir = {folder}: container-sync-realms.conf cannot be read')
    assert said in trouble.text and SECRET not in trouble.text and trouble.passes


def test_realms_that_are_no_text_are_told(conf, folder):
    (folder / 'container-sync-realms.conf').write_bytes(b'\xff')
    assert 'must be UTF-8, which byte 0 is not' in only(conf()).text


def test_realms_that_are_a_folder_are_told(conf, folder):
    (folder / 'container-sync-realms.conf').mkdir()
    assert 'Is a directory' in only(conf()).text


def test_realms_as_in_swifts_documentation_are_well(conf, folder):
    put_realms(folder, '[DEFAULT]\nmtime_check_interval = 300\n[realm1]\nkey = k\nkey2 = l\n'
                       'cluster_name1 = https://host1/v1/\n')
    assert look(conf()) == []


# upstream's container-sync, and the program

def test_beside_upstreams_container_sync_the_start_is_refused(conf, folder):
    (folder / 'container-server.conf').write_text(f'[container-sync]\ndevices = {folder}/node\n')
    script = folder / 'swift-container-sync'
    script.write_text('import sys\nprint(flush=True)\nsys.stdin.read()\n')
    with subprocess.Popen([sys.executable, str(script), str(folder / 'container-server.conf')],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        trouble = only(conf())
        process.stdin.close()
    assert f'swift-container-sync runs on the same disks, pid {process.pid}: stop it first' in trouble.text
    assert not trouble.passes and look(conf()) == []


def test_the_program_says_it_in_one_line(conf, folder):
    (folder / 'swift.conf').write_text('[swift-hash]\nswift_hash_path_suffix = x\n')
    path = conf(devices='/nowhere')
    done = subprocess.run([sys.executable, '-c', PROGRAM, path], capture_output=True, text=True, timeout=60)
    said, = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, '')
    assert said.startswith(f'swiftahead-sidecar: {path}: [syncer] devices = /nowhere: is no folder')
