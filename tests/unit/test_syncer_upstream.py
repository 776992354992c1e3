"""Finding upstream's container-sync on this node: real processes whose command lines look like its."""
import inspect
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from swift.container.sync import ContainerSync

from swiftahead.sidecar.syncer import upstream
from swiftahead.sidecar.syncer.upstream import PROGRAM, running_on

# tells that it has begun, and ends with its standard input
WAITING = 'import os, sys\n{}\nprint(flush=True)\nsys.stdin.read()\n'


@pytest.fixture
def devices(tmp_path):
    (tmp_path / 'node').mkdir()
    return tmp_path / 'node'


@pytest.fixture
def conf(tmp_path, devices):
    path = tmp_path / 'container-server.conf'
    path.write_text(f'[DEFAULT]\ndevices = {devices}\n[container-sync]\n')
    return path


@contextmanager
def running(folder, *arguments, name=PROGRAM, does='', **more):
    """The id of a process that runs a script of this name."""
    script = folder / 'bin' / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(WAITING.format(does))
    command = [sys.executable, '-E', str(script), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def test_nothing_runs_on_disks_that_nobody_has(devices):
    assert running_on(str(devices)) is None


@pytest.mark.parametrize('words', [['{}'], ['-v', '{}'], ['{}', 'once', '-v']])
def test_it_is_found_by_the_devices_of_its_conf(tmp_path, conf, devices, words):
    with running(tmp_path, *(word.format(conf) for word in words)) as pid:
        assert running_on(str(devices)) == pid
        assert running_on(str(tmp_path)) is None
    assert running_on(str(devices)) is None


def test_its_own_section_has_the_last_word(tmp_path, conf, devices):
    conf.write_text(f'[DEFAULT]\ndevices = /elsewhere\n[container-sync]\ndevices = {devices}\n')
    with running(tmp_path, conf) as pid:
        assert running_on(str(devices)) == pid


def test_a_folder_of_confs_is_one_conf(tmp_path, devices):
    (tmp_path / '1.conf.d').mkdir()
    (tmp_path / '1.conf.d' / '50.conf').write_text(f'[container-sync]\ndevices = {devices}\n')
    with running(tmp_path, tmp_path / '1.conf.d') as pid:
        assert running_on(str(devices)) == pid


def test_links_lead_to_the_same_disks(tmp_path, conf, devices):
    (tmp_path / 'link').symlink_to('node')
    with running(tmp_path, conf) as pid:
        assert running_on(f'{tmp_path}/link/') == pid


@pytest.mark.parametrize('does', ['', 'os.chdir("/")'])
def test_a_conf_is_found_from_the_folder_that_it_was_started_in(tmp_path, conf, devices, does):
    """Swift's daemons go to / themselves."""
    with running(tmp_path, conf.name, cwd=tmp_path, env={'PWD': str(tmp_path)}, does=does) as pid:
        assert running_on(str(devices)) == pid


@pytest.mark.parametrize('text', [None, '', '[other]\n', 'rubbish', '[container-sync]\ndevices = %(no)s\n'])
def test_one_whose_conf_tells_nothing_has_upstreams_own_devices(tmp_path, devices, monkeypatch, text):
    # others may be there on the real ones
    monkeypatch.setattr(upstream, 'DEVICES', str(devices))
    conf = tmp_path / 'x.conf'
    if text is not None:
        conf.write_text(text)
    with running(tmp_path, conf) as pid:
        assert running_on(str(devices)) == pid


def test_upstreams_own_devices_are_as_in_swifts_source():
    assert f"conf.get('devices', '{upstream.DEVICES}')" in inspect.getsource(ContainerSync.__init__)


@pytest.mark.parametrize('name, words', [
    ('swift-container-server', ['{}']), ('other', ['/usr/bin/swift-container-sync', '{}']), (PROGRAM, ['-v'])])
def test_no_other_program_is_taken_for_it(tmp_path, conf, devices, name, words):
    with running(tmp_path, *(word.format(conf) for word in words), name=name):
        assert running_on(str(devices)) is None


def found_on(devices, process):
    """Whether this process is found: just after its begin /proc does not show its command line yet."""
    until = time.monotonic() + 60
    while (found := running_on(str(devices))) is None and process.poll() is None and time.monotonic() < until:
        pass
    return found == process.pid


def test_a_program_without_an_interpreter_before_it_is_found(conf, devices):
    """As a wrapper has it that is no script."""
    command = [PROGRAM, str(conf), '-']
    with subprocess.Popen(command, executable='cat', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert found_on(devices, child)
        child.stdin.close()


def test_upstreams_own_program_is_found(conf, devices):
    """While it still loads Swift."""
    program = Path(sys.executable).with_name(PROGRAM)
    with subprocess.Popen([str(program), str(conf)], stderr=subprocess.DEVNULL) as child:
        found = found_on(devices, child)
        child.terminate()
    assert found
