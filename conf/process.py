"""Open standard streams that were closed before a program began, let the interrupt key end it while it loads, and
tell errors in one line.

This module loads nothing of Swift: it is needed before Swift is loaded.
"""
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STREAMS = {'stdin': (0, 'r'), 'stdout': (1, 'w'), 'stderr': (2, 'w')}


def keep_numbers() -> None:
    """Open /dev/null in place of each descriptor from 0 to 2 that is closed.

    Else a file of ours could get such a number, and each message would be written into it. Call it before any file
    is opened.
    """
    for number, _ in STREAMS.values():
        try:
            os.fstat(number)
        except OSError:
            # the kernel takes the lowest number that is free, which is this one
            os.open(os.devnull, os.O_RDWR)


def stand_in(*names: str) -> None:
    """Open streams that read nothing or write to nowhere, where Python has none since they were closed."""
    for name in names:
        if getattr(sys, name) is None:
            number, mode = STREAMS[name]
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - as long as it lives


def end_at_once() -> bool:
    """Let the interrupt key end the process without a word from now on; False where the key is handled otherwise.

    While modules are loaded, and while Python ends, its exception would be shown as a traceback, or be lost, since
    eventlet catches every exception.
    """
    # a program that ignores the signal, or handles it, does so on purpose
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return True


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Do as `end_at_once`, as long as the context lasts."""
    is_ours = end_at_once()
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def told(error: BaseException) -> str:
    """Tell an error in one line, without an errno's number."""
    if isinstance(error, OSError) and error.strerror:
        return f'{error.filename}: {error.strerror}' if error.filename is not None else error.strerror
    return ' '.join(str(error).split()) or type(error).__name__
