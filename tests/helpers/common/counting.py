"""Counting in tests: what is told, children that are killed, and processes that are short of something."""
import contextlib
import gc
import os
import resource
import signal

import pytest

from swiftahead.metrics import Counters, counters_folder
from swiftahead.metrics.table import COUNTERS
from swiftahead.metrics.totals import read_all


@pytest.fixture(name='folder')
def counts_folder(tmp_path):
    return counters_folder(tmp_path / 'queue.db')


@pytest.fixture(name='make')
def make_counters(folder):
    """Makes counters of this process, each with a file of its own."""
    made = []

    def make(table=COUNTERS):
        made.append(Counters(folder, table=table))
        return made[-1]
    yield make
    for counters in made:
        counters._let_go()


@pytest.fixture(name='counters')
def own_counters(make):
    return make()


def told(folder):
    return {slot: count for slot, count in read_all(folder).items() if count}


def files(folder):
    return sorted(path for path in folder.iterdir() if path.suffix == '.counts')


def in_child(work):
    """Its exit code; below zero for a signal."""
    pid = os.fork()
    if not pid:
        # what other tests have left must not be collected here, and close descriptors whose numbers are ours now
        gc.disable()
        code = 1
        with contextlib.suppress(BaseException):
            code = work() or 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Killer:
    """Kills this process at the n-th of the system calls by which a folder is changed."""

    def __init__(self, number):
        self.number = number
        for name in ('open', 'fsync', 'replace', 'unlink', 'mkdir', 'write', 'close'):
            setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, call):
        def wrapper(*args, **more):
            self.number -= 1
            if not self.number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)
        return wrapper


def limited(limit, value, work):
    """Run in a child that has so much of a resource."""
    def run():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
        return work()
    return in_child(run)
