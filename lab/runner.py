"""Running the programs of one lab: start, wait until ready, stop."""
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from . import process
from .confs import LabLayout
from .errors import LabError
from .ports import is_open
from .programs import Program

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
TAIL_LINES = 20


@dataclass(frozen=True)
class Started:
    """:param offset: length of the log at the start"""
    program: Program
    pid: int
    offset: int


class Runner:
    def __init__(self, layout: LabLayout):
        self.layout = layout
        # this process's own, which it has to collect when they end
        self._children: set[int] = set()

    def log(self, name: str) -> Path:
        return self.layout.logs / f'{name}.log'

    def start(self, program: Program, *more: str) -> Started:
        """Start it, and do not wait. :param more: further arguments"""
        # workers of an earlier start may still be sending what they began
        if self.pid(program.name):
            raise LabError(f'{program.name} is running already; stop it first')
        log = self.log(program.name)
        offset = log.stat().st_size if log.exists() else 0
        pid = process.spawn(self.layout.folder, program.name, program.arguments(self.layout, *more), log)
        self._children.add(pid)
        found = process.read(pid)
        # where it has ended already, no process can match
        self._pid_file(program.name).write_text(f'{pid} {found.started if found else 0}')
        return Started(program, pid, offset)

    def wait_until_ready(self, started: list[Started]) -> None:
        """:raises LabError: naming the program that ended, or was not ready in time"""
        deadline = time.monotonic() + READY_SECONDS
        waiting = list(started)
        while waiting:
            for one in started:
                if not process.read(one.pid):
                    raise LabError(f'{one.program.name} ended while it was started; {self.tail(one)}')
            waiting = [one for one in waiting if not one.program.is_ready(self.said(one))]
            if waiting and time.monotonic() > deadline:
                raise LabError(f'{waiting[0].program.name} was not ready within {READY_SECONDS:g} seconds; '
                               + self.tail(waiting[0]))
            if waiting:
                time.sleep(process.POLL)

    def run_once(self, program: Program, seconds: float) -> str:
        """One pass of a daemon. :returns: what it logged"""
        started = self.start(program, 'once')
        code = None

        def has_ended():
            nonlocal code
            code = process.exit_code(started.pid)
            return code is not None

        if not process.wait_until(has_ended, seconds):
            self.stop(program.name, signal.SIGKILL)
            raise LabError(f'{program.name} was not done within {seconds:g} seconds; {self.tail(started)}')
        self._children.discard(started.pid)
        if code:
            raise LabError(f'{program.name} ended with {code}; {self.tail(started)}')
        return self.said(started)

    def said(self, started: Started) -> str:
        """What its log has got since it was started."""
        try:
            with open(self.log(started.program.name), 'rb') as log:
                log.seek(started.offset)
                return log.read().decode('utf-8', 'replace')
        except FileNotFoundError:
            return ''

    def tail(self, started: Started) -> str:
        lines = self.said(started).splitlines()[-TAIL_LINES:]
        return '\n'.join([f'the end of {self.log(started.program.name)}:', *lines])

    def pid(self, name: str) -> int | None:
        """Of the program's first process; None where that does not run."""
        recorded, started = self._recorded(name)
        found = process.read(recorded)
        is_it = found and found.started == started and process.belongs(recorded, self.layout.folder)
        return recorded if is_it else None

    def processes(self, name: str | None = None) -> list[process.Process]:
        """Those of the lab, or of a program: also where its first is gone and workers of it are left."""
        self._children -= {pid for pid in self._children if process.exit_code(pid) is not None}
        return process.processes(self.layout.folder, name)

    def stop(self, name: str, signum: int) -> None:
        process.end(lambda: self.processes(name), signum, STOP_SECONDS)

    def stop_all(self) -> None:
        process.end(self.processes, signal.SIGTERM, STOP_SECONDS)

    def wait_until_closed(self, ports: list[int]) -> None:
        """A process with threads may still hold its port for a moment after it has ended."""
        process.wait_until(lambda: not any(is_open(port) for port in ports), STOP_SECONDS)

    def _pid_file(self, name):
        return self.layout.run / f'{name}.pid'

    def _recorded(self, name):
        try:
            pid, started = self._pid_file(name).read_text().split()
        except (FileNotFoundError, ValueError):
            return 0, 0
        return int(pid), int(started)
