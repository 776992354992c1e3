"""Logging for a lab's programs: everything goes to one file for each.

Swift's own choices are syslog and the console. `log_custom_handlers` would not do, since proxy-logging makes
its access logger without it; and the console is closed by Swift's `capture_stdio`.
"""
import contextlib
import faulthandler
import logging
import os
import time

from swift.common.utils import logs as swift_logs

from .process import LOG

_target = 2


class FileHandler(logging.Handler):
    """Appends each record with one write: no lock that a fork or a green thread could leave held."""

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


def to_file():
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
