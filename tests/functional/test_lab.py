"""The lab itself: real programs, real ports. One small lab is shared by the tests that leave it as it was."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from helpers.lab import clients, labs

from swiftahead.cli import main
from swiftahead.lab import Lab, LabError
from swiftahead.lab.launch import filter_factory as latency_filter

POLICIES = ('gold', 'silver', 'ec')
SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'filter': False, 'sidecar': False}
STARTER = """
import sys, time
from swiftahead.lab import Lab
Lab(sys.argv[1], nodes=1, replicas=1, policies=('gold',), filter=False, sidecar=False).up()
print('up', flush=True)
time.sleep(600)
"""


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab') / 'l', nodes=3, policies=POLICIES,
             filter=False, sidecar=False) as lab:
        yield lab


def ports_of(lab):
    return [row['port'] for row in lab.status() if row['port']]


def is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(('127.0.0.1', port)) == 0


def has_ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f'/proc/{pid}/stat') as stat:
        return stat.read().rpartition(')')[2].split()[0] in 'ZX'


def swiftahead(capsys, *argv):
    """Run ``swiftahead lab ...``. :returns: exit code, output, errors"""
    code = main(['lab', *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def read_all(lab, policies=POLICIES):
    """Put and get in each policy. Tells how long the gets took."""
    client, took = labs.connection(lab), 0.0
    for policy in policies:
        body = os.urandom(100_000)
        client.put_container(policy, {'X-Storage-Policy': policy})
        client.put_object(policy, 'o', body)
        begin = time.monotonic()
        assert client.get_object(policy, 'o')[1] == body
        took += time.monotonic() - begin
    client.close()
    return took


def test_objects_of_every_policy_can_be_stored_and_read(lab):
    read_all(lab)
    for policy in POLICIES:
        assert labs.connection(lab).head_container(policy)['x-storage-policy'] == policy


def test_rest_of_the_pipeline_works(lab):
    token = labs.token(lab)
    answer = labs.request(lab, 'GET', '/info')
    assert {'slo', 'tempurl', 's3api', 'symlink'} <= set(json.loads(answer.body))
    assert labs.request(lab, 'GET', '/v1/AUTH_test').status == 401
    assert labs.request(lab, 'GET', '/v1/AUTH_test', token=token).status in (200, 204)


def test_every_program_has_a_log_and_a_pid(lab):
    for row in lab.status():
        assert row['alive']
        assert lab.pid(row['name']) == row['pid']
        assert lab.log(row['name']).exists()


def until_logged(lab, path, begin=0):
    """A proxy logs a request when its answer is closed, which the client does not wait for."""
    clients.until(lambda: path in lab.log('proxy1').read_bytes()[begin:].decode(), f'{path} is logged')


def test_accesses_are_logged_in_the_folder(lab):
    labs.request(lab, 'GET', '/v1/AUTH_test/logged-request')
    until_logged(lab, '/v1/AUTH_test/logged-request')


def test_without_the_filter_there_is_none(lab):
    assert 'prefetch' not in lab.conf_path('proxy1').read_text()
    assert '[sidecar]' in lab.conf_path('sidecar').read_text()
    assert not lab.cache_dir.exists()


def test_a_stopped_server_comes_back(lab):
    before = lab.pid('object2')
    lab.stop('object2', signal.SIGKILL)
    assert has_ended(before)
    assert lab.pid('object2') is None
    # erasure coding needs all three to take a write
    read_all(lab, ['gold', 'silver'])
    lab.start('object2')
    assert lab.pid('object2') not in (None, before)


def test_a_proxy_dies_with_its_workers(lab):
    port = urlsplit(lab.urls[0]).port
    os.kill(lab.pid('proxy1'), signal.SIGKILL)
    # the worker is left, and answers
    assert labs.request(lab, 'GET', '/healthcheck').status == 200
    lab.stop('proxy1')
    clients.until(lambda: not is_listening(port), 'its port is closed')
    lab.start('proxy1')
    assert labs.request(lab, 'GET', '/healthcheck').status == 200


def test_a_proxy_is_reloaded_by_swifts_own_command_and_stays_the_same_program(lab):
    pid, said = lab.pid('proxy1'), lab.log('proxy1').stat().st_size
    done = clients.run('swift-reload', pid)
    assert (done.returncode, done.stdout) == (0, 'Reloaded swift-proxy-server\n'), done.stderr
    assert lab.pid('proxy1') == pid
    labs.request(lab, 'GET', '/v1/AUTH_test/after-reload')
    until_logged(lab, '/v1/AUTH_test/after-reload', said)
    lab.stop('proxy1')
    assert has_ended(pid)
    lab.start('proxy1')


def test_a_program_is_started_beside_workers_that_have_lost_their_parent(lab):
    """As after SIGHUP, when workers have something left to send."""
    os.kill(lab.pid('proxy1'), signal.SIGKILL)
    clients.until(lambda: not lab.pid('proxy1'), 'the parent has ended')
    lab.start('proxy1')
    assert lab.pid('proxy1')
    lab.stop('proxy1')
    clients.until(lambda: not is_listening(urlsplit(lab.urls[0]).port), 'its port is closed')
    lab.start('proxy1')


def test_a_program_that_runs_is_not_started_again(lab):
    with pytest.raises(LabError, match='object1 is running already'):
        lab.start('object1')
    assert lab.pid('object1')


def test_failed_start_names_the_server_and_shows_its_log(lab):
    conf = lab.conf_path('container1')
    whole = conf.read_text()
    lab.stop('container1')
    conf.write_text(whole.replace('egg:swift#container', 'egg:swift#no_such_thing'))
    with pytest.raises(LabError, match='(?s)container1 ended.*container1.log:.*no_such_thing'):
        lab.start('container1')
    conf.write_text(whole)
    lab.start('container1')


def test_replication_brings_what_a_server_missed(lab):
    devices = lab.folder / 'node3' / 'd1'
    lab.stop('container3')
    lab.stop('object3')
    client = labs.connection(lab)
    client.put_container('missed')
    client.put_object('missed', 'o', b'bytes')
    before = set(devices.rglob('*.data')), set(devices.rglob('*.db'))
    lab.start('container3')
    lab.start('object3')
    for node in (1, 2):
        lab.run_daemon('container-replicator', node)
        assert 'Object replication complete' in lab.run_daemon('object-replicator', node)
    after = set(devices.rglob('*.data')), set(devices.rglob('*.db'))
    assert after[0] > before[0]
    assert after[1] > before[1]


@pytest.mark.parametrize('kind', ['object-reconstructor', 'object-updater', 'container-updater',
                                  'container-reconciler', 'object-expirer'])
def test_daemons_make_a_pass(lab, kind):
    assert 'Traceback' not in lab.run_daemon(kind)


def test_a_daemon_can_stay(lab):
    lab.run_daemon('container-updater', 2, once=False)
    assert lab.pid('container-updater2')
    lab.stop('container-updater2')
    assert lab.pid('container-updater2') is None


def test_command_tells_status_and_environment(lab, capsys):
    code, out, _ = swiftahead(capsys, 'status', '--dir', lab.folder, '--json')
    assert code == 0
    assert json.loads(out)['programs'] == lab.status()
    code, out, _ = swiftahead(capsys, 'env', '--dir', lab.folder)
    assert f'export ST_AUTH={lab.auth_url()}\n' in out


def test_second_lab_stands_beside_and_leaves_nothing(lab, tmp_path):
    with Lab(tmp_path / 'l', **SMALL) as second:
        assert not set(ports_of(lab)) & set(ports_of(second))
        labs.connection(second).put_container('only-here')
        rows = second.status()
        with pytest.raises(LabError, match='up already'):
            Lab(tmp_path / 'l', **SMALL).up()
    assert all(has_ended(row['pid']) for row in rows)
    assert not any(is_listening(row['port']) for row in rows)
    assert not any(row['alive'] for row in second.status())
    assert labs.request(lab, 'GET', '/healthcheck').status == 200
    names = [row['name'] for row in labs.connection(lab).get_account()[1]]
    assert 'only-here' not in names
    second.down()


def test_data_is_there_after_down_and_up(tmp_path):
    with Lab(tmp_path / 'l', **SMALL) as first:
        client = labs.connection(first)
        client.put_container('c')
        client.put_object('c', 'o', b'kept')
        client.close()
    with Lab.load(tmp_path / 'l') as again:
        assert labs.connection(again).get_object('c', 'o')[1] == b'kept'
    with pytest.raises(LabError, match='another folder'):
        Lab(tmp_path / 'l', **{**SMALL, 'nodes': 2}).up()


def test_latency_delays_each_request_to_an_object_server(tmp_path):
    with Lab(tmp_path / 'l', nodes=3, policies=POLICIES, filter=False, sidecar=False, latency_ms=150) as slow:
        assert read_all(slow) >= len(POLICIES) * 0.15


def test_without_latency_there_is_no_latency_filter(lab):
    pipeline, = (line for line in lab.conf_path('object1').read_text().splitlines() if 'pipeline =' in line)
    assert 'latency' not in pipeline


@pytest.mark.parametrize('method, agent', [('REPLICATE', 'proxy-server 1'), ('SSYNC', 'proxy-server 1'),
                                           ('GET', 'obj-reconstructor 1'), ('GET', '')])
def test_latency_delays_none_but_proxies(method, agent):
    """An hour, so that whoever waits is noticed."""
    app = latency_filter({}, latency_ms='3600000')(lambda env, start_response: [b'at once'])
    assert app({'REQUEST_METHOD': method, 'HTTP_USER_AGENT': agent}, None) == [b'at once']


def test_failed_up_takes_everything_down(tmp_path):
    broken = Lab(tmp_path / 'l', **{**SMALL, 'filter': True}, filter_conf={'freshness': 'stale'})
    with pytest.raises(LabError, match='(?s)proxy1 ended.*proxy1.log:.*freshness'):
        broken.up()
    assert not any(row['alive'] for row in broken.status())
    assert not any(is_listening(port) for port in ports_of(broken))


@pytest.mark.parametrize('said', [b'', b'up\n'])
def test_down_cleans_up_after_a_killed_starter(tmp_path, said):
    """Killed while it starts programs, or later."""
    folder = tmp_path / 'l'
    with subprocess.Popen([sys.executable, '-c', STARTER, str(folder)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        if said:
            assert starter.stdout.readline() == said
        else:
            wait_for(folder / 'run' / 'rsync.pid', starter)
        starter.kill()
    left = Lab.load(folder)
    pids = [row['pid'] for row in left.status() if row['alive']]
    assert pids
    left.down()
    assert all(has_ended(pid) for pid in pids)
    assert not any(is_listening(port) for port in ports_of(left))


def wait_for(path, starter):
    while not path.exists():
        assert starter.poll() is None
        time.sleep(0.01)


def test_interrupt_takes_the_lab_down(tmp_path):
    lab = Lab(tmp_path / 'l', **SMALL)
    with pytest.raises(KeyboardInterrupt), lab:
        raise KeyboardInterrupt
    assert not any(row['alive'] for row in lab.status())


@pytest.mark.parametrize('options, told', [
    ({'nodes': 0}, 'nodes = 0: must be a whole number of at least 1'),
    ({'policies': 'gold,silver'}, 'letters, digits and dashes'),
    ({'policies': ()}, 'at least one name'),
    ({'policies': ('gold', 'Gold')}, 'only once'),
    ({'policies': ('go ld',)}, 'letters, digits and dashes'),
    ({'latency_ms': -1}, 'latency_ms = -1: must be'),
])
def test_arguments_that_make_no_sense_are_told(tmp_path, options, told):
    with pytest.raises(LabError, match=told):
        Lab(tmp_path, **options)


@pytest.mark.parametrize('name, told', [('x' * 90, 'too long for Unix sockets'),
                                        ('a b', 'choose another folder')])
def test_folders_that_cannot_be_used_are_told(tmp_path, name, told):
    with pytest.raises(LabError, match=told):
        Lab(tmp_path / name, **SMALL).up()


def test_file_system_without_attributes_is_told():
    with pytest.raises(LabError, match=r'/proc.*cannot be used|attributes'):
        Lab('/proc/self', **SMALL).up()


def test_missing_memcached_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr('swiftahead.lab.prerequisites.DAEMON_FOLDERS', ())
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(LabError, match='memcached is not installed; install it with: sudo '):
        Lab(tmp_path / 'l', **SMALL).up()


def test_folder_without_a_lab_is_told(tmp_path, capsys):
    code, out, err = swiftahead(capsys, 'down', '--dir', tmp_path)
    assert (code, out) == (1, '')
    assert 'there is no lab in' in err
