"""Counting: one process and its file, full disks, and what filter and sidecar count with."""
import contextlib
import errno
import os
import resource
import socket
import stat

import pytest
from helpers.common.builders import close_logs
from helpers.common.counting import counts_folder, files, limited, make_counters, own_counters, told  # noqa: F401 - fixtures
from swift.common.utils import get_logger

from swiftahead.metrics import Counters
from swiftahead.metrics.counters import FLUSH_SECONDS, decode, encode
from swiftahead.metrics.totals import fold, read_all

# one process

def test_what_is_counted_is_told_once_it_is_flushed(counters, folder):
    counters.count('hits')
    counters.count('bytes_hit', 2**40)
    assert told(folder) == {}
    assert counters.flush()
    assert told(folder) == {'hits': 1, 'bytes_hit': 2**40}


def test_every_slot_of_the_table_is_told(folder):
    found = read_all(folder)
    assert found['misses'] == found['bypassed.newest'] == found['records.access'] == 0


def test_a_process_that_counts_nothing_makes_nothing(counters, folder):
    assert counters.flush() and not counters.is_dirty
    assert not folder.exists()


def test_a_power_cut_leaves_the_counts_before_or_the_new_ones(counters, monkeypatch):
    """The bytes are on the disk before the name leads to them."""
    calls = []
    for name in ('write', 'fdatasync', 'replace'):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name, **more: (
            calls.append(name), real(*args, **more))[1])
    counters.count('hits')
    counters.flush()
    assert calls == ['write', 'fdatasync', 'replace']


def test_nobody_else_can_look(counters, folder):
    counters.count('hits')
    counters.flush()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, files(folder)[0])]
    assert modes == [0o700, 0o600]


def test_reasons_are_told_apart(counters, folder):
    for reason in ('newest', 'newest', 'origin'):
        counters.count('bypassed', reason=reason)
    counters.flush()
    assert told(folder) == {'bypassed.newest': 2, 'bypassed.origin': 1}


@pytest.mark.parametrize('name, reason, slot', [
    ('bypassed', 'no-such', 'bypassed.other'), ('bypassed', None, 'bypassed.other'), ('hits', 'any', 'hits'),
    ('no_such', None, 'unknown'), ('no_such', 'newest', 'unknown')])
def test_what_the_table_lacks_has_a_place_too(counters, folder, name, reason, slot):
    counters.count(name, 3, reason)
    counters.flush()
    assert told(folder) == {slot: 3}


def test_counts_are_kept_until_there_is_a_folder(tmp_path, make):
    counters = Counters(tmp_path / 'later' / 'counters')
    counters.count('hits', 5)
    assert not counters.flush() and counters.is_dirty
    (tmp_path / 'later').mkdir()
    assert counters.flush() and not counters.is_dirty
    assert told(tmp_path / 'later' / 'counters') == {'hits': 5}
    counters.close()


@pytest.mark.parametrize('spoil', [
    lambda file: file.unlink(),
    lambda file: os.truncate(file, 0),
    lambda file: os.truncate(file, file.stat().st_size - 1),
    lambda file: [file.unlink(), file.parent.rmdir()],
    lambda file: file.write_bytes(b''),
    lambda file: os.replace(file, file.with_suffix('.moved'))])
def test_a_file_that_somebody_takes_away_is_made_anew(counters, folder, spoil):
    counters.count('hits', 5)
    counters.flush()
    spoil(files(folder)[0])
    counters.count('hits')
    assert counters.flush()
    assert told(folder) == {'hits': 6}


def test_a_folder_that_has_become_a_file_is_waited_for(counters, folder):
    counters.count('hits', 5)
    counters.flush()
    folder.rename(folder.with_name('away'))
    folder.touch()
    counters.count('hits')
    assert not counters.flush()
    folder.unlink()
    assert counters.flush() and told(folder) == {'hits': 6}


def test_a_folder_that_leads_elsewhere_is_not_used(counters, folder, tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    folder.symlink_to(tmp_path / 'elsewhere')
    counters.count('hits')
    assert not counters.flush()
    assert list((tmp_path / 'elsewhere').iterdir()) == []


def test_a_flush_in_the_midst_of_another_does_nothing(counters, folder):
    counters.count('hits')
    turn = counters._turn.pop()
    assert not counters.flush()
    counters._turn.append(turn)
    assert counters.flush()


def test_a_closed_file_is_the_sidecars(counters, folder):
    counters.count('hits', 2)
    counters.close()
    assert fold(folder) == 1
    assert (told(folder), files(folder)) == ({'hits': 2}, [])


def test_counting_goes_on_after_closing(counters, folder):
    counters.count('hits', 2)
    counters.close()
    counters.count('hits')
    counters.flush()
    assert told(folder) == {'hits': 3}


def test_no_file_stays_open(counters, folder):
    before = os.listdir('/proc/self/fd')
    counters.count('hits')
    counters.close()
    fold(folder)
    read_all(folder)
    assert os.listdir('/proc/self/fd') == before


# the file

COUNTS = {'hits': 1, 'bypassed.newest': 2**40}


def test_what_is_written_is_read():
    assert decode(encode(COUNTS)) == COUNTS and decode(encode({})) == {}


def test_a_file_cut_short_or_with_a_wrong_byte_is_none():
    data = encode(COUNTS)
    spoilt = [data[:cut] for cut in range(len(data))]
    spoilt += [data[:at] + bytes([data[at] ^ bit]) + data[at + 1:] for at in range(len(data)) for bit in (1, 16)]
    assert all(decode(one) == {} for one in spoilt)


@pytest.mark.parametrize('data', [b' ', b'00000000 ', b'00000000', b'rubbish ' * 1000, b'{}', bytes(4096)])
def test_what_is_no_file_of_counts_is_none(data):
    assert decode(data) == {}


def test_a_write_that_fails_leaves_the_counts_before_it(counters, folder, monkeypatch):
    counters.count('hits')
    counters.flush()
    for name in ('write', 'replace', 'open'):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, lambda *args, **more: fail())
            counters.count('hits')
            assert not counters.flush()
        assert told(folder) == {'hits': 1} and [path.suffix for path in folder.iterdir()] == ['.counts']
    assert counters.flush() and told(folder) == {'hits': 4}


def fail():
    raise OSError(errno.EIO, 'as a disk that fails')


def test_a_short_write_leaves_the_counts_before_it(counters, folder, monkeypatch):
    counters.count('hits')
    counters.flush()
    counters.count('hits')
    with monkeypatch.context() as patch:
        write = os.write
        patch.setattr(os, 'write', lambda file, data: write(file, data[:-1]))
        assert not counters.flush()
    assert told(folder) == {'hits': 1}
    assert counters.flush() and told(folder) == {'hits': 2}


def test_the_living_hold_their_files_and_nothing_else(counters, folder):
    for _ in range(3):
        before = len(os.listdir('/proc/self/fd'))
        counters.count('hits')
        counters.flush()
        assert (fold(folder), len(files(folder)), told(folder)) == (0, 1, {'hits': counters.values[0]})
    assert len(os.listdir('/proc/self/fd')) == before


# full disks, and none of anything left

def test_a_disk_without_room_keeps_the_counts_in_memory(folder, counters):
    counters.count('misses')
    counters.flush()

    def work():
        own = Counters(folder)
        own.count('hits', 4)
        if own.flush() or not own.is_dirty:
            return 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return 0 if own.flush() else 2
    assert limited(resource.RLIMIT_FSIZE, 10, work) == 0
    assert told(folder) == {'hits': 4, 'misses': 1}
    assert [path.suffix for path in folder.iterdir()] == ['.counts'] * 2


def test_a_process_without_descriptors_counts_on(folder):
    def work():
        counters = Counters(folder)
        counters.count('hits')
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open('/dev/null', os.O_RDONLY))
        if counters.flush():
            return 1
        for file in taken:
            os.close(file)
        return 0 if counters.flush() else 2
    # whatever other tests of this process have left open
    most = max(map(int, os.listdir('/proc/self/fd')))
    assert limited(resource.RLIMIT_NOFILE, most + 50, work) == 0
    assert told(folder) == {'hits': 1}


# what filter and sidecar count with

def test_the_disk_is_written_once_a_second(counters, folder):
    for now in (100.0, 100.0, 100.0 + FLUSH_SECONDS / 2):
        counters.count('hits')
        counters.flush_if_due(now)
    assert told(folder) == {'hits': 1} and counters.is_dirty
    counters.flush_if_due(100.0 + FLUSH_SECONDS)
    assert told(folder) == {'hits': 3} and not counters.is_dirty


def test_the_disk_is_written_through_what_it_is_given(folder):
    calls = []
    counters = Counters(folder, execute=calls.append)
    counters.count('hits')
    counters.flush()
    assert calls == [counters._write] and not folder.exists()


@pytest.fixture
def statsd():
    """A port, what comes there, and one of Swift's loggers that sends to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(('127.0.0.1', 0))
        listener.settimeout(10)
        conf = {'log_statsd_host': '127.0.0.1', 'log_statsd_port': str(listener.getsockname()[1]),
                'log_address': '/nowhere'}
        yield listener, get_logger(conf, log_route='test-counters')
    close_logs()


@pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
def test_statsd_is_told_what_was_counted_since_it_was_told_last(folder, statsd):
    listener, logger = statsd
    counters = Counters(folder, logger)
    for count in (2, 3):
        counters.count('hits', count)
        counters.count('bypassed', reason='newest')
        counters.flush()
        assert {listener.recv(1000) for _ in range(2)} == {
            b'swift.prefetch.hits:%d|c' % count, b'swift.prefetch.bypassed.newest:1|c'}
    counters.close()


def test_a_statsd_that_cannot_be_reached_is_no_harm(folder):
    class NoSockets:
        def update_stats(self, *_):
            raise OSError(errno.EMFILE, 'no descriptors')
    counters = Counters(folder, NoSockets())
    counters.count('hits')
    assert not counters.flush()
    assert counters.flush() and told(folder) == {'hits': 1}
    counters.close()
