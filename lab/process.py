"""Start, find and end a lab's processes.

Each carries the lab's folder, its program's name and its log file in its environment, which /proc shows for as
long as it lives, also when it executes itself again, or was forked (`nursery` sees to that). So the processes of a
lab are known without any list of them, whichever process was killed, and no other process can be taken for one.
"""
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import nursery
from .spec import LabError

MARK = 'SWIFTAHEAD_LAB'
NAME = 'SWIFTAHEAD_LAB_PROGRAM'
LOG = 'SWIFTAHEAD_LAB_LOG'
PROC = Path('/proc')
POLL = 0.05
KILL_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process.

    :param started: clock ticks since boot; tells the process from a later one with its pid
    """
    pid: int
    session: int
    started: int


def spawn(folder: Path, name: str, arguments: list[str], log: Path) -> int:
    """Start a program in a session of its own, its output appended to `log`: by fork where it is one of Python's.

    :returns: its pid
    :raises LabError: where the file to run is not there
    """
    environ = {**os.environ, MARK: str(folder), NAME: name, LOG: str(log), 'PYTHONSAFEPATH': '1',
               'PYTHONUNBUFFERED': '1'}
    if arguments[0] == sys.executable:
        pid = nursery.nursery_for(environ).start(arguments, environ, log)
        if pid:
            return pid
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
               (os.POSIX_SPAWN_DUP2, 1, 2)]
    try:
        return os.posix_spawn(arguments[0], arguments, environ, file_actions=actions, setsid=True,
                              setsigmask=[], setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    except OSError as error:
        raise LabError(f'{arguments[0]} cannot be run: {error.strerror}') from error


def read(pid: int) -> Process | None:
    """Look at a process; None: it has ended, reaped or not."""
    try:
        text = (PROC / str(pid) / 'stat').read_text()
    except OSError:
        return None
    # the second field is the name in brackets, which may hold anything
    state, _, _, session, *rest = text.rpartition(')')[2].split()
    return None if state in 'ZX' else Process(pid, int(session), int(rest[15]))


def processes(folder: Path, name: str | None = None) -> list[Process]:
    """Find all processes of the lab in `folder`, or of its program `name`, of any generation."""
    pids = [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]
    return [process for pid in pids if belongs(pid, folder, name) and (process := read(pid))]


def belongs(pid: int, folder: Path, name: str | None = None) -> bool:
    """Tell whether the process runs for the lab in `folder`, and as its program `name`."""
    marks = {f'{MARK}={folder}', *([f'{NAME}={name}'] if name else [])}
    try:
        environ = (PROC / str(pid) / 'environ').read_bytes()
    except PermissionError:
        # a worker that runs as another user shows it to its leader's user only with CAP_SYS_PTRACE
        found = read(pid)
        return found is not None and found.session not in (0, pid) and belongs(found.session, folder, name)
    except OSError:
        return False
    return {os.fsencode(mark) for mark in marks} <= set(environ.split(b'\0'))


def end(find: Callable[[], list[Process]], signum: int, seconds: float) -> None:
    """Ask the processes that `find` finds to end, and kill the rest after `seconds`.

    :raises LabError: where some are left even so
    """
    ending = _Ending(find, signum)
    if wait_until(ending.is_over, seconds):
        return
    _signal(ending.left(), signal.SIGKILL)
    if not wait_until(ending.is_over, KILL_SECONDS):
        pids = ', '.join(str(one.pid) for one in ending.left())
        raise LabError(f'processes {pids} do not end, even killed; see what they wait for with ps')


class _Ending:
    def __init__(self, find, signum):
        self._find = find
        self._signum = signum
        self._seen: set[Process] = set()
        self._asked: set[Process] = set()

    def left(self) -> set[Process]:
        # a dying process has no environment by which to find it, but may hold its port still
        self._seen.update(self._find())
        self._seen = {one for one in self._seen if read(one.pid) == one}
        return self._seen

    def is_over(self) -> bool:
        """Ask the next processes to end; tell whether all have ended."""
        # listed twice: a child born while /proc was listed is not in the list
        left = self.left() or self.left()
        new = self._to_ask(left) - self._asked
        _signal(new, self._signum)
        self._asked |= new
        return not left

    def _to_ask(self, left):
        """Choose leaders, which end their workers themselves, and workers without a leader."""
        leaders = {one.pid for one in left if one.pid == one.session}
        return left if self._signum == signal.SIGKILL else {
            one for one in left if one.pid in leaders or one.session not in leaders}


def _signal(targets, signum):
    for process in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signum)


def exit_code(pid: int) -> int | None:
    """Collect a child's exit code; None: it runs, or another process has started it."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return nursery.exit_code(pid)
    return os.waitstatus_to_exitcode(status) if done else None


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Poll until `condition()` holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
