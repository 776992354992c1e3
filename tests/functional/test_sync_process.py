"""The syncer as a process: one at a time, stopped in the middle, and on a dry run."""
import os
import signal
import time
from contextlib import closing

import pytest
from helpers.lab import clients
from helpers.sync import looking
from helpers.sync.clusters import ACCOUNT

from swiftahead.conf.files import try_lock
from swiftahead.lab import LabError
from swiftahead.sidecar.syncer.figures import FOLDER
from swiftahead.sidecar.syncer.ledger import LOCK, Ledger

# one process at a time

@pytest.mark.holds('S7')
def test_it_does_not_work_beside_upstreams_daemon(ring, linked):
    container = linked((0, 1))
    ring[0].put(container, 'o')
    ring[0].lab.start('container-sync1')
    try:
        with pytest.raises(LabError, match='swift-container-sync runs on the same disks'):
            ring.sync(0)
    finally:
        ring[0].lab.stop('container-sync1')
    assert looking.sent(ring[1], container) == []
    ring.sync(0)
    ring.wait_equal(container, 0, 1)


def test_a_daemon_pauses_while_upstreams_works(ring, linked):
    lab, container = ring[0].lab, linked((0, 1))
    lab.start('syncer1')
    try:
        lab.start('container-sync1')
        clients.until(lambda: 'container-sync, pid' in lab.log('syncer1').read_text(), 'it tells that it pauses')
        lab.stop('container-sync1')
        ring[0].put(container, 'o')
        clients.until(lambda: looking.sent(ring[1], container), 'it goes on')
    finally:
        lab.stop('container-sync1')
        lab.stop('syncer1')


def test_two_syncers_do_not_work_on_the_same_devices(ring, linked):
    lab, container = ring[0].lab, linked((0, 1))
    ring[0].put(container, 'o')
    with closing(Ledger(lab.layout.node(1) / 'd1')):
        assert 'another syncer works on' in ring.sync(0)
    assert looking.sent(ring[1], container) == []


# stopped in the middle

# ten seconds for rows under way, and much for a busy machine
BOUND = 40


def is_free(lock):
    with lock.open('r+') as file:
        return try_lock(file.fileno())


@pytest.mark.holds('S6')
@pytest.mark.parametrize('number', [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_pass_that_is_ended_by_a_signal_is_gone_on_with(ring, linked, number):
    lab, container = ring[0].lab, linked((0, 1))
    for count in range(20):
        ring[0].put(container, f'o{count}', b'x' * 50_000)
    with looking.configured(lab.conf_path('syncer1'), syncer={'bytes_per_second': '200000'}):
        lab.start('syncer1')
        try:
            clients.until(lambda: looking.sent(ring[1], container), 'an object is sent')
            clients.signal_program(lab, 'syncer1', number)
            clients.until(lambda: not lab.pid('syncer1'), 'it has ended')
        finally:
            lab.stop('syncer1')
    assert len(ring[1].names(container)) < 20
    ring.sync(0)
    ring.wait_equal(container, 0, 1)


@pytest.mark.slow
@pytest.mark.holds('S17')
def test_a_signal_ends_a_pass_that_waits_for_a_server_that_hangs(ring, linked):
    lab, container = ring[0].lab, linked((0, 1))
    ring[0].put(container, 'o')
    hung = ring[1].lab.pid('proxy1')
    os.killpg(hung, signal.SIGSTOP)
    try:
        lab.start('syncer1')
        clients.until(lambda: not is_free(lab.layout.node(1) / 'd1' / FOLDER / LOCK), 'the pass has begun')
        began = time.monotonic()
        clients.signal_program(lab, 'syncer1', signal.SIGTERM)
        clients.until(lambda: not lab.pid('syncer1'), 'it has ended')
        assert time.monotonic() - began < BOUND
    finally:
        lab.stop('syncer1')
        os.killpg(hung, signal.SIGCONT)


# a dry run

def test_a_dry_run_tells_what_it_would_send_and_changes_nothing(ring, linked):
    container = linked((0, 1))
    for name in ('deleted', 'posted', 'over'):
        ring[0].put(container, name, b'1')
    ring.sync(0)
    ring[0].put(container, 'over', b'22')
    ring[0].post(container, 'posted', {'X-Object-Meta-Colour': 'blue'})
    ring[0].delete(container, 'deleted')

    def state():
        return (ring[1].listing(container), looking.points(ring[0], container), looking.known(ring[0], container),
                looking.sent(ring[1], container))
    before = state()
    with looking.configured(ring[0].lab.conf_path('syncer1'), syncer={'dry_run': 'on'}):
        log = ring.sync(0)
    for method, name in (('PUT', 'over'), ('POST', 'posted'), ('DELETE', 'deleted')):
        assert f'dry run: {method} {ACCOUNT}/{container}/{name} to {ring[1].sync_to(container)}\n' in log
    assert state() == before
