"""The process that a program finds itself in: standard streams that were closed, the interrupt key, and errors
in the words that a user is told.

Nothing of Swift is loaded for it: this is needed before.
"""
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STREAMS = {'stdin': (0, 'r'), 'stdout': (1, 'w'), 'stderr': (2, 'w')}


def keep_numbers() -> None:
    """Open /dev/null in place of each descriptor from 0 to 2 that is closed: a file of ours that got such a number
    would be written to by whatever prints or complains. To be called before any file is opened."""
    for number, _ in STREAMS.values():
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free, which is this one
            os.open(os.devnull, os.O_RDWR)


def stand_in(*names: str) -> None:
    """Have the streams read nothing, or write to nowhere, where Python has none since they were closed."""
    for name in names:
        if getattr(sys, name) is None:
            number, mode = STREAMS[name]
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - as long as it lives


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Have the interrupt key end the process, without a word, as long as the context lasts.

    While modules are loaded, the exception that Python makes of it would be told as a traceback, or be lost, since
    eventlet catches all.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # who ignores it, or has a handler, knows why
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def told(error: BaseException) -> str:
    """In one line, without an errno's number."""
    if isinstance(error, OSError) and error.strerror:
        return f'{error.filename}: {error.strerror}' if error.filename is not None else error.strerror
    return ' '.join(str(error).split()) or type(error).__name__
