"""What a lab's own copies of Swift's console scripts run: each is a file in the lab's ``bin``.

Files, since a server that is asked to reload executes the file of its own name again. `swift_dir` in a conf alone
does not bring the storage policies of that folder, so folder and policies are set before anything else is loaded.
"""
import contextlib
import faulthandler
import logging
import os
import sys
import time
from importlib.metadata import entry_points

from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import logs as swift_logs
from swift.common.utils import set_swift_dir

from .process import LOG

_target = 2


def main(swift_dir: str) -> int | None:
    log_to_file()
    set_swift_dir(swift_dir)
    reload_storage_policies()
    name = os.path.basename(sys.argv[0])
    found = list(entry_points(group='console_scripts', name=name))
    if not found:
        raise SystemExit(f'{name} is not installed in the environment of {sys.executable}')
    return found[0].load()()


class FileHandler(logging.Handler):
    """Append each record with one write: no lock that a fork or a green thread could leave held.

    Swift's own choices are syslog and the console. `log_custom_handlers` would not do, since proxy-logging makes
    its access logger without it; and Swift's `capture_stdio` closes the console.
    """

    def __init__(self, address=None, facility=None):
        super().__init__()

    def handle(self, record):
        if self.filter(record):
            self.emit(record)
        return True

    def emit(self, record):
        now = time.strftime('%H:%M:%S', time.gmtime(record.created))
        text = self.format(record).replace('#012', '\n    ')
        line = f'{now}.{int(record.msecs):03d} {record.levelname} {text}\n'
        # a log that cannot be written must not break the server
        with contextlib.suppress(OSError):
            os.write(_target, line.encode('utf-8', 'surrogateescape'))


def log_to_file() -> None:
    """From now on every logger that Swift makes in this process writes to its log file; stderr without one."""
    global _target
    log = os.environ.get(LOG)
    if log:
        # after a reload stderr is what capture_stdio has made of it: /dev/null
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(opened, descriptor)
        os.close(opened)
    # a copy, because capture_stdio points stderr itself at /dev/null
    _target = os.dup(2)
    faulthandler.enable(_target)
    swift_logs.ThreadSafeSysLogHandler = FileHandler
