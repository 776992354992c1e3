"""The process that a lab's programs are forked from: what they share with it, which is nothing, and its end."""
import os
import signal
import subprocess
import sys

import pytest
from helpers.lab import clients, labs, processes

from swiftahead.lab import Lab, LabError, process

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'filter': False, 'sidecar': False}
STARTER = """
import sys
from swiftahead.lab import Lab
Lab(sys.argv[1], nodes=1, replicas=1, policies=('gold',), filter=False, sidecar=False).up()
print('up', flush=True)
sys.stdin.read()
"""
PATCHED = """
import os, sys
from swift.common.concurrency import patcher
from swiftahead.sidecar import main
try:
    main([sys.argv[1], 'once'])
finally:
    os._exit(40 + patcher.is_monkey_patched('socket'))
"""


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab') / 'l', **SMALL) as lab:
        yield lab


def nurseries(of: int) -> set[int]:
    return {pid for pid in processes.children(of) if 'swiftahead.lab.nursery' in ' '.join(arguments(pid))}


def arguments(pid: int) -> list[str]:
    with open(f'/proc/{pid}/cmdline') as file:
        return file.read().rstrip('\0').split('\0')


def environ(pid: int) -> set[str]:
    with open(f'/proc/{pid}/environ') as file:
        return set(file.read().split('\0'))


def parent(pid: int) -> int:
    with open(f'/proc/{pid}/stat') as file:
        return int(file.read().rpartition(')')[2].split()[1])


def test_programs_are_forked_and_look_as_if_executed(lab):
    pid = lab.pid('object1')
    assert parent(pid) in nurseries(os.getpid())
    assert arguments(pid) == [sys.executable, str(lab.layout.bin / 'swift-object-server'),
                              str(lab.conf_path('object1'))]
    assert f'SWIFTAHEAD_LAB={lab.folder}' in environ(pid)
    assert os.getsid(pid) == pid


def test_a_nursery_is_of_no_lab_has_nothing_open_and_one_thread(lab):
    found = nurseries(os.getpid())
    assert found
    for pid in found:
        assert not any(mark.startswith('SWIFTAHEAD_LAB') for mark in environ(pid))
        # the ends of its pipes, and what this process was given itself
        assert set(processes.descriptors(pid)) <= set(processes.descriptors(os.getpid()))
        assert len(os.listdir(f'/proc/{pid}/task')) == 1


def test_programs_get_the_environment_of_their_start(lab, monkeypatch):
    monkeypatch.setenv('TZ', 'Asia/Tokyo')
    before = nurseries(os.getpid())
    lab.restart('object1')
    assert parent(lab.pid('object1')) not in before
    monkeypatch.undo()
    lab.restart('object1')
    assert parent(lab.pid('object1')) in before


def test_a_nursery_that_was_killed_is_told_and_there_is_another(lab):
    killed = nurseries(os.getpid())
    lab.stop('object1')
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
        clients.until(lambda pid=pid: not processes.is_running(pid), 'it has ended')
    lab.start('object1')
    assert parent(lab.pid('object1')) not in killed
    assert labs.request(lab, 'GET', '/healthcheck').status == 200


def test_a_program_that_ends_tells_its_exit_code(lab):
    conf = lab.conf_path('object1')
    whole = conf.read_text()
    conf.write_text(whole.replace('[object-updater]', '[object-nothing]'))
    try:
        with pytest.raises(LabError, match='object-updater1 ended with 1'):
            lab.run_daemon('object-updater')
    finally:
        conf.write_text(whole)


@pytest.mark.parametrize('is_killed', [False, True])
def test_a_nursery_ends_with_the_process_that_began_it_and_its_programs_go_on(tmp_path, is_killed):
    with subprocess.Popen([sys.executable, '-c', STARTER, str(tmp_path / 'l')], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as starter:
        assert starter.stdout and starter.stdout.readline() == b'up\n'
        found = nurseries(starter.pid)
        assert found
        if is_killed:
            starter.kill()
    clients.until(lambda: not any(map(processes.is_running, found)), 'no nursery is left')
    left = Lab.load(tmp_path / 'l')
    assert all(row['alive'] for row in left.status())
    left.down()


def test_a_nursery_starts_nothing_for_a_process_that_was_killed(tmp_path):
    """Whoever takes down what is left of its lab meanwhile does not find what is still to be started."""
    with subprocess.Popen([sys.executable, '-c', STARTER, str(tmp_path / 'l')], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as starter:
        found, = clients.until(lambda: nurseries(starter.pid), 'it is there')
        os.kill(found, signal.SIGSTOP)
        clients.until((tmp_path / 'l' / 'run' / 'rsync.pid').exists, 'the next program is to be forked')
        starter.kill()
    Lab.load(tmp_path / 'l').down()
    os.kill(found, signal.SIGCONT)
    clients.until(lambda: not processes.is_running(found), 'it has ended')
    assert process.processes(tmp_path / 'l') == []


def test_what_the_nursery_cannot_disguise_is_executed(lab, tmp_path):
    (tmp_path / 'program.py').write_text('import time\ntime.sleep(600)\n')
    command = [sys.executable, str(tmp_path / 'program.py'), 'x' * 10_000]
    pid = process.spawn(lab.folder, 'long', command, tmp_path / 'log')
    try:
        assert parent(pid) == os.getpid()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_sidecar_has_the_standard_library_patched_where_no_nursery_has(lab):
    done = subprocess.run([sys.executable, '-c', PATCHED, str(lab.conf_path('sidecar'))], capture_output=True)
    assert done.returncode == 41, done.stderr
