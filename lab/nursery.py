"""A process that has imported Swift, from which a lab's programs are forked: alone, each imports for a second.

It begins as each of them does, in the same order: it imports their console scripts, has eventlet patch the
standard library, and imports the proxies' filters. Nothing of it knows any lab yet, nothing is open, no hub runs.
It ends with its standard input, and so with the process that began it; the programs go on.
"""
import atexit
import errno
import gc
import json
import os
import runpy
import signal

# no shell, and arguments of our own
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import Any

from .confs import CLUSTER_DAEMONS, DAEMONS, PIPELINE
from .spec import SERVERS, LabError

STOP_SECONDS = 20.0
# prefix of the variables that tell the lab of a process
MARKS = 'SWIFTAHEAD_LAB'
# prefixes of the variables that interpreter, C library and eventlet read once, at their start
AT_START = ('PYTHON', 'LD_', 'MALLOC_', 'EVENTLET_', 'LC_', 'LANG', 'TZ')
# /proc shows a program's arguments and marks in the place of these spaces
ROOM = ' ' * 2000
SCRIPTS = {f'swift-{name}' for name in (
    'proxy-server', *(f'{server}-server' for server in SERVERS), *chain(*DAEMONS.values()), *CLUSTER_DAEMONS)}
FILTERS = {'prefetch', 'latency', 'recon', 'memcache', *PIPELINE.replace('-', '_').split()}
COMMAND = [sys.executable, '-c', 'from swiftahead.lab.nursery import main; main()']


class Nursery:
    """Ask a nursery, a process of its own, to start programs.

    :param environ: variables that the nursery begins with; each program has its own
    """

    def __init__(self, environ: dict[str, str]):
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # nosec B603
            [*COMMAND, str(os.getpid()), ROOM], env={**without_marks(environ), 'ROOM_FOR_MARKS': ROOM},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def start(self, arguments: list[str], environ: dict[str, str], log: Path) -> int | None:
        """Fork a program into a session of its own, its output appended to `log`.

        :param arguments: the interpreter, a Python file, and the file's arguments
        :returns: its pid; None where /proc could not tell it from its nursery
        """
        return self._ask('start', arguments, environ, str(log))

    def exit_code(self, pid: int) -> int | None:
        """Give a program's exit code; None: it runs, or was not started here."""
        return self._ask('exit_code', pid)

    def close(self) -> None:
        self._process.communicate(timeout=STOP_SECONDS)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def _ask(self, *request) -> Any:
        with self._lock:
            try:
                line = self._exchange(json.dumps(request))
            except BaseException:
                # the answer may still come, and would be taken for the answer to the next request
                self._end()
                raise
            if not line:
                self._end()
                raise LabError("the process that starts the lab's programs has ended; try it again")
            return json.loads(line)

    def _exchange(self, line):
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            print(line, file=self._process.stdin, flush=True)
            return self._process.stdout.readline()

    def _end(self):
        self._process.kill()
        self._process.wait()


_nurseries: dict[tuple, Nursery] = {}
_lock = threading.Lock()


def nursery_for(environ: dict[str, str]) -> Nursery:
    """Give this process's nursery for programs with such an environment."""
    key = (os.getpid(), *sorted(item for item in environ.items() if item[0].startswith(AT_START)))
    with _lock:
        if key not in _nurseries or _nurseries[key].has_ended:
            _nurseries[key] = Nursery(environ)
            atexit.register(_nurseries[key].close)
        return _nurseries[key]


def exit_code(pid: int) -> int | None:
    """Give the exit code of a program that a nursery of this process has started."""
    own = [nursery for key, nursery in _nurseries.items() if key[0] == os.getpid() and not nursery.has_ended]
    return next((code for nursery in own if (code := nursery.exit_code(pid)) is not None), None)


def without_marks(environ: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if not key.startswith(MARKS)}


# -- the other process -------------------------------------------------------------------------------------

def main() -> None:
    """Import Swift, and start programs until standard input ends; in each of them, run its file."""
    from swift.common.concurrency import hubs
    from swift.common.utils import monkey_patch
    load('console_scripts', SCRIPTS)
    monkey_patch()
    # monkey_patch has made a hub, whose file descriptor all programs would share
    hubs.use_hub()
    gc.collect()
    load('paste.filter_factory', FILTERS)
    arguments = Forker(int(sys.argv[1])).serve()
    if arguments:
        sys.argv = arguments[1:]
        runpy.run_path(sys.argv[0], run_name='__main__')


def load(group: str, names: set[str]) -> None:
    for found in entry_points(group=group):
        if found.name in names:
            found.load()


class Forker:
    """Fork programs as another process asks for them.

    :param parent: pid of the process that asks
    """

    def __init__(self, parent: int):
        self._codes: dict[int, int] = {}
        self._parent = parent
        # the C library's variables lie in the area that is to be written over; these are copies
        take_environ(dict(os.environ))

    def serve(self) -> list[str]:
        """Answer requests, one JSON line each, until standard input ends.

        :returns: in a child, the arguments of its program; else none
        """
        for line in sys.stdin:
            name, *more = json.loads(line)
            if name == 'exit_code':
                answer = self._exit_code(*more)
            elif (answer := self._start(*more)) == 0:
                return more[0]
            print(json.dumps(answer), flush=True)
        return []

    def _start(self, arguments, environ, log):
        """Fork a program.

        :returns: as os.fork(); None where /proc cannot show its arguments and marks
        """
        try:
            # before the fork: a child belongs to its lab from its first moment
            show(arguments, environ)
        except OSError:
            return None
        # checked only now: the lab of a killed process is taken down by its marks, and this process has them now
        if os.getppid() != self._parent:
            sys.exit()
        pid = self._fork(environ, log)
        if pid:
            self._codes.pop(pid, None)
            show(sys.orig_argv, os.environ)
        return pid

    def _fork(self, environ, log):
        begun, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            begin(environ, log)
        os.close(told)
        if pid:
            # ends when the child has begun, or is no more
            os.read(begun, 1)
        os.close(begun)
        return pid

    def _exit_code(self, pid):
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._codes[ended[0]] = os.waitstatus_to_exitcode(ended[1])
        return self._codes.pop(pid, None)


def begin(environ: dict[str, str], log: str) -> None:
    """Make this process like one that has just been executed."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    take_environ(environ)


def take_environ(environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)


def show(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Have /proc show these arguments and marks in the place of the ones that this process was executed with.

    :raises OSError: where /proc refuses, or there is no room for them
    """
    fields = Path('/proc/self/stat').read_text().rpartition(')')[2].split()
    # fields 48 to 51 in proc(5), which stay the same
    first_argument, last_argument, first_variable, last_variable = map(int, fields[45:49])
    marks = [f'{key}={value}' for key, value in environ.items() if key.startswith(MARKS)]
    with open('/proc/self/mem', 'r+b', buffering=0) as memory:
        _write(memory, first_argument, last_argument, arguments)
        _write(memory, first_variable, last_variable, marks)


def _write(memory, first, last, texts):
    data = b''.join(os.fsencode(text) + b'\0' for text in texts)
    if not first or len(data) > last - first:
        raise OSError(errno.ENOSPC, 'no room for arguments and marks')
    memory.seek(first)
    memory.write(data.ljust(last - first, b'\0'))
