"""Starting, finding and ending a lab's processes.

Each carries the lab's folder in its environment, which /proc shows for as long as it lives. So what belongs
to a lab is known without any record of it, whoever was killed, and nothing else can be taken for it.
"""
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

MARK = 'SWIFTAHEAD_LAB'
PROC = Path('/proc')
POLL = 0.05
KILL_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """:param started: clock ticks since boot; tells a process from a later one with its number"""
    pid: int
    session: int
    started: int


def spawn(folder: Path, arguments: list[str], log: Path) -> int:
    """Start a program in a session of its own, its output appended to `log`.

    :returns: its pid
    :raises LabError: where the file to run is not there
    """
    environ = {**os.environ, MARK: str(folder), 'PYTHONSAFEPATH': '1', 'PYTHONUNBUFFERED': '1'}
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
               (os.POSIX_SPAWN_DUP2, 1, 2)]
    try:
        return os.posix_spawn(arguments[0], arguments, environ, file_actions=actions, setsid=True,
                              setsigmask=[], setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    except OSError as error:
        raise LabError(f'{arguments[0]} cannot be run: {error.strerror}') from error


def read(pid: int) -> Process | None:
    """A process that runs; None for one that has ended, reaped or not."""
    try:
        text = (PROC / str(pid) / 'stat').read_text()
    except OSError:
        return None
    # the second field is the name in brackets, which may hold anything
    state, _, _, session, *rest = text.rpartition(')')[2].split()
    return None if state in 'ZX' else Process(pid, int(session), int(rest[15]))


def processes(folder: Path) -> list[Process]:
    """All that run for the lab in `folder`."""
    pids = [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]
    return [process for pid in pids if belongs(pid, folder) and (process := read(pid))]


def belongs(pid: int, folder: Path) -> bool:
    """Whether the process runs for the lab in `folder`."""
    try:
        environ = (PROC / str(pid) / 'environ').read_bytes()
    except OSError:
        # ended, or another user's
        return False
    return os.fsencode(f'{MARK}={folder}') in environ.split(b'\0')


def end(find: Callable[[], list[Process]], signum: int, seconds: float) -> None:
    """Ask what `find` finds to end, and kill what has not after `seconds`.

    :raises LabError: where something is left even so
    """
    ending = _Ending(find)
    _signal(ending.asked(signum), signum)
    if wait_until(ending.is_over, seconds):
        return
    _signal(ending.left(), signal.SIGKILL)
    if not wait_until(ending.is_over, KILL_SECONDS):
        pids = ', '.join(str(one.pid) for one in ending.left())
        raise LabError(f'processes {pids} do not end, even killed; see what they wait for with ps')


class _Ending:
    def __init__(self, find):
        self._find = find
        self._seen: set[Process] = set()

    def left(self) -> set[Process]:
        # one that is dying has no environment by which to find it, but may hold its port still
        self._seen.update(self._find())
        self._seen = {one for one in self._seen if read(one.pid) == one}
        return self._seen

    def is_over(self) -> bool:
        # looked for twice: a child born while /proc was listed is not in the list
        return not self.left() and not self.left()

    def asked(self, signum) -> set[Process]:
        """A leader ends its workers itself; workers that lost theirs are asked too."""
        left = self.left()
        leaders = {one.pid for one in left if one.pid == one.session}
        return left if signum == signal.SIGKILL else {
            one for one in left if one.pid in leaders or one.session not in leaders}


def _signal(targets, signum):
    for process in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signum)


def exit_code(pid: int) -> int | None:
    """Collect a child's exit code; None while it runs, or where it is not this process's child."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if done else None


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Poll until `condition()` holds; whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
