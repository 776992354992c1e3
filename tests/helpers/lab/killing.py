"""A program of a lab's that kills itself with -9, and all of its processes, at a point named by KILL_AT.

Points are what it does to others: ``before PUT object 2`` is right before the second request to an object server
that puts something there, ``after DELETE queue 1`` right after the first answer to one that takes a row out of
``.misplaced_objects``, ``amid body 1`` when the first piece of a body has been sent, ``before done 1`` and so on
for the local queue; of a syncer ``before PUT remote 1``, ``amid sent 1``, ``after points 2``, ``before ledger 1``.
With KILL_LOG in its environment it writes each point that it passes to that file.
"""
import os
import runpy
import signal
import sys
from collections import Counter
from functools import wraps
from pathlib import Path

from swiftahead.lab import process

SECONDS = 120.0
# rows of the queue are taken out by DELETE, or many by UPDATE
METHODS = {'PUT': 'PUT', 'POST': 'POST', 'DELETE': 'DELETE', 'UPDATE': 'DELETE'}
QUEUE_METHODS = ('lease', 'done', 'retry', 'dead')


def run(lab, program: str, at: str = '', log: Path | None = None) -> int:
    """One pass of a program, killed at a point. :returns: its exit code, -9 where it was killed"""
    return _end(lab, [program], [_start(lab, program, at, log)])[0]


def run_together(lab, *programs: str) -> list[int]:
    """One pass of each, at once. :returns: their exit codes"""
    return _end(lab, programs, [_start(lab, program) for program in programs])


def run_beside(lab, program: str, at: str, log: Path) -> list[int]:
    """A pass that is killed at a point, and beside it, as soon as it has begun with an object, another one.

    :returns: their exit codes
    """
    started = [_start(lab, program, at, log)]
    if process.wait_until(lambda: log.exists() and 'PUT object 1\n' in log.read_text(), SECONDS):
        started.append(_start(lab, program))
    codes = _end(lab, [program], started)
    assert len(codes) == 2, f'{program} moves nothing'
    return codes


def _start(lab, program, at='', log=None):
    """:returns: its pid"""
    script = 'swiftahead-sidecar' if program.startswith(('sidecar', 'syncer')) else f'swift-{program}'
    command = [sys.executable, __file__, str(lab.layout.bin / script), str(lab.conf_path(program)), 'once']
    # not at the top: the program has this file too
    from pytest import MonkeyPatch
    with MonkeyPatch.context() as patch:
        patch.setenv('KILL_AT', at)
        patch.setenv('KILL_LOG', str(log or ''))
        return process.spawn(lab.folder, program, command, lab.log(program))


def _end(lab, programs, pids):
    """Wait for all of them. :returns: their exit codes"""
    codes: dict[int, int] = {}

    def have_ended():
        codes.update({pid: code for pid in pids if (code := process.exit_code(pid)) is not None})
        return len(codes) == len(pids)

    try:
        assert process.wait_until(have_ended, SECONDS), f'{programs} not done within {SECONDS:g} s'
        return [codes[pid] for pid in pids]
    finally:
        # also what the first of their processes have left
        for program in programs:
            lab.stop(program, signal.SIGKILL)


class Points:
    def __init__(self, at: str, log: str):
        self._at = at
        self._log = log
        self._passed: Counter[str] = Counter()

    def reach(self, what: str) -> None:
        self._passed[what] += 1
        point = f'{what} {self._passed[what]}'
        if self._log:
            with open(self._log, 'a') as file:
                print(point, file=file)
        if point == self._at:
            # the session's other processes are the daemon's own
            os.killpg(os.getpgid(0), signal.SIGKILL)


def watch_requests(points: Points) -> None:
    from swift.common.bufferedhttp import BufferedHTTPConnection as Connection
    from swift.proxy.controllers.obj import Putter
    ask, answered, send = Connection.putrequest, Connection.getresponse, Putter.send_chunk

    @wraps(ask)
    def putrequest(self, method, url, *more, **options):
        kind = 'queue' if '/.misplaced_objects/' in url else 'object'
        self.point = f'{METHODS[method]} {kind}' if method in METHODS else ''
        if self.point:
            points.reach(f'before {self.point}')
        return ask(self, method, url, *more, **options)

    @wraps(answered)
    def getresponse(self, *more):
        response = answered(self, *more)
        if self.point:
            points.reach(f'after {self.point}')
        return response

    @wraps(send)
    def send_chunk(self, chunk, *more, **options):
        send(self, chunk, *more, **options)
        if chunk:
            points.reach('amid body')

    Connection.putrequest, Connection.getresponse, Putter.send_chunk = putrequest, getresponse, send_chunk


def watch_queue(points: Points) -> None:
    from swiftahead.queues.sqlite import SqliteQueue
    for name in QUEUE_METHODS:
        setattr(SqliteQueue, name, _watched(points, name, getattr(SqliteQueue, name)))


def watch_syncer(points: Points) -> None:
    from swift.container.backend import ContainerBroker

    from swiftahead.sidecar.syncer.body import Body
    from swiftahead.sidecar.syncer.ledger import Ledger
    from swiftahead.sidecar.syncer.wire import Wire
    ask, sent = Wire.ask, Body.sent

    @wraps(ask)
    def asked(self, method, *more, **options):
        return _watched(points, f'{method} remote', ask)(self, method, *more, **options)

    @wraps(sent)
    def chunks(self, *more):
        for chunk in sent(self, *more):
            yield chunk
            points.reach('amid sent')

    Wire.ask, Body.sent = asked, chunks
    for owner, method, name in ((ContainerBroker, 'set_x_container_sync_points', 'points'),
                                (Ledger, 'write', 'ledger')):
        setattr(owner, method, _watched(points, name, getattr(owner, method)))


def _watched(points, name, method):
    @wraps(method)
    def call(*args, **options):
        points.reach(f'before {name}')
        found = method(*args, **options)
        points.reach(f'after {name}')
        return found
    return call


def main(script: str) -> None:
    from swift.common.utils import set_swift_dir
    # before anything of Swift's is loaded, as the script itself does
    set_swift_dir(str(Path(script).parent.parent / 'etc'))
    points = Points(os.environ['KILL_AT'], os.environ['KILL_LOG'])
    watch_requests(points)
    watch_queue(points)
    watch_syncer(points)
    sys.argv = sys.argv[1:]
    runpy.run_path(script, run_name='__main__')


if __name__ == '__main__':
    main(sys.argv[1])
