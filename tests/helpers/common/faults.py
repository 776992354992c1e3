"""Faults made on purpose: a journal of writes that can be cut off anywhere, and system calls that fail."""
import errno
import io
import os
import pathlib
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from helpers.common.builders import NAME

from swiftahead.cache import CacheError, Damaged, Store

PATH = '/v1' + NAME.path
PAGE = 4096
ERRORS = tuple(getattr(errno, name) for name in ('ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE', 'ESTALE'))


# system calls, wrapped

def patch(monkeypatch, name: str, function) -> None:
    """Put `function` in place of os.<name> (or io.open), also where Python 3.10's pathlib keeps its own."""
    module, name = (io, 'open') if name == 'io.open' else (os, name)
    accessor = getattr(pathlib, '_NormalAccessor', None)
    # its `open` is that of io
    if accessor is not None and getattr(accessor, name, None) is getattr(module, name):
        monkeypatch.setattr(accessor, name, staticmethod(function))
    monkeypatch.setattr(module, name, function)


class Calls:
    """Wraps system calls that concern files below `root`; `_called(name, call, args)` makes the call."""

    NAMES: tuple[str, ...] = ()

    def __init__(self, root: Path, monkeypatch):
        self.root = root
        self._files: dict[int, int] = {}
        self._opened = 0
        for name in ('open', 'close', *self.NAMES):
            real = io.open if name == 'io.open' else getattr(os, name)
            patch(monkeypatch, name, self._wrapped(name, real))

    def _wrapped(self, name, real):
        def wrapper(first, *args, **more):
            if not self._is_ours(first):
                return real(first, *args, **more)
            result = self._called(name, lambda: real(first, *args, **more), (first, *args))
            if name == 'open':
                self._opened += 1
                self._files[result] = self._opened
            elif name == 'close':
                # a number is another thread's as soon as it is closed
                self._files.pop(first, None)
            return result
        return wrapper

    def _is_ours(self, first):
        if isinstance(first, int):
            return first in self._files
        return Path(os.fsdecode(first)).is_relative_to(self.root)

    def _called(self, name, call, args):
        raise NotImplementedError


class FaultPlan(Calls):
    """System calls that fail: of one kind, from the n-th on, until `mend()`; counts all."""

    NAMES = ('pread', 'pwrite', 'ftruncate', 'fstat', 'stat', 'utime', 'rename', 'unlink', 'scandir', 'statvfs',
             'io.open')

    def __init__(self, root, monkeypatch):
        self.seen: Counter[str] = Counter()
        self.failed = 0
        self._fault = None
        super().__init__(root, monkeypatch)

    def fail(self, name: str, number: int, code: int) -> None:
        self.seen.clear()
        self.failed = 0
        self._fault = name, number, code

    def mend(self) -> None:
        self._fault = None

    def _called(self, name, call, args):
        self.seen[name] += 1
        if self._fault is not None and name == self._fault[0] and self.seen[name] >= self._fault[1]:
            self.failed += 1
            if name == 'close':
                # the descriptor is gone in any case, as on Linux
                call()
                del self._files[args[0]]
            raise OSError(self._fault[2], os.strerror(self._fault[2]))
        return call()


@dataclass(frozen=True)
class Step:
    """One step of a journal: a call with its arguments; a file by the number of its opening, a path from root.

    :param synced: whether an fsync of the same file came later
    """
    call: str
    args: tuple
    file: int = 0

    @property
    def is_data(self) -> bool:
        """Whether a power cut may lose it though later steps came to the disk."""
        return self.call in ('pwrite', 'write', 'ftruncate')

    def spoiled(self, how: str) -> 'Step | None':
        """What comes to the disk of it in a power cut: nothing, zeros, or its first page or half."""
        if how == 'lost' or self.call == 'ftruncate':
            return None
        data = self.args[0]
        kept = {'zeroed': 0, 'torn': len(data) // 2, 'paged': min(PAGE, len(data) // 2)}[how]
        return replace(self, args=(data[:kept] + bytes(len(data) - kept), *self.args[1:]))


class Journal(Calls):
    """All steps by which the files below `root` are changed, in order."""

    NAMES = ('pwrite', 'write', 'ftruncate', 'fsync', 'rename', 'link', 'unlink', 'mkdir', 'utime')

    def __init__(self, root, monkeypatch):
        self.steps: list[Step] = []
        super().__init__(root, monkeypatch)

    def _called(self, name, call, args):
        result = call()
        if name == 'open':
            self.steps.append(Step('open', (self._inside(args[0]), args[1]), self._opened + 1))
        elif name != 'close':
            file = self._files[args[0]] if isinstance(args[0], int) else 0
            given = tuple(self._inside(arg) for arg in (args[1:] if file else args))
            self.steps.append(Step(name, given, file))
        return result

    def _inside(self, value):
        if isinstance(value, (str, Path)):
            return Path(value).relative_to(self.root)
        return bytes(value) if isinstance(value, memoryview) else value

    def unsynced(self, cut: int) -> list[int]:
        """Steps before `cut` that a power cut at that moment may lose."""
        synced = {step.file: number for number, step in enumerate(self.steps[:cut]) if step.call == 'fsync'}
        return [number for number, step in enumerate(self.steps[:cut])
                if step.is_data and number > synced.get(step.file, -1)]


def replay(steps: list[Step], root: Path) -> None:
    """Do a journal's steps again, in another folder."""
    files: dict[int, int] = {}
    try:
        for step in steps:
            if step.call == 'open':
                files[step.file] = os.open(root / step.args[0], step.args[1], 0o600)
            elif step.file:
                getattr(os, step.call)(files[step.file], *step.args)
            else:
                getattr(os, step.call)(*(root / arg if isinstance(arg, Path) else arg for arg in step.args))
    finally:
        for file in files.values():
            os.close(file)


class TooLong(BaseException):
    """Somebody hangs; nothing that a test expects to be raised."""


@contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """End by `TooLong` what takes longer, also where it blocks, or computes without an end."""
    def late(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# what must hold of a folder, whatever happened to it

def read_entry(store: Store, name=NAME) -> bytes | None:
    """The body of an object's entry, as far as it is good; None where there is no entry."""
    try:
        entry = store.entry(name)
    except Damaged:
        return None
    if entry is None:
        return None
    good = b''
    with entry:
        try:
            for block in entry.blocks(0, entry.meta.body_length):
                good += block
        except Damaged:
            return good
    assert len(good) == entry.meta.body_length
    return good


def assert_sound(store: Store, bodies: dict[str, bytes], name=NAME) -> None:
    """Whatever the cache gives out is exactly one of the versions; check() and admit() see the same.

    :param bodies: body by X-Backend-Timestamp
    """
    def is_exact():
        entry = store.entry(name)
        assert entry is not None
        with entry:
            body = bodies[entry.meta.header('x-backend-timestamp') or '']
            assert len(body) == entry.meta.body_length
        good = read_entry(store)
        assert good is not None and body.startswith(good)
        return good == body

    wrong = dict(store.check())
    if store.has(name) and store.naming.entry(name) not in wrong:
        assert is_exact()
    for item in list(store.spool_files()):
        try:
            store.admit(item.entry_name)
        except CacheError:
            continue
        assert is_exact()
    assert list(store.spool_files()) == []
    list(store.check(fix=True))
    assert list(store.check()) == []
    assert not store.has(name) or is_exact()


# descriptors

@contextmanager
def no_fd_left(folder: Path) -> Iterator[None]:
    """Every file below `folder` that is opened meanwhile is closed again, linked or not."""
    before = open_files(folder)
    yield
    assert open_files(folder) == before


def open_files(folder: Path) -> list[str]:
    found = []
    for number in os.listdir('/proc/self/fd'):
        try:
            target = os.readlink(f'/proc/self/fd/{number}')
        except FileNotFoundError:
            continue
        if target.startswith(str(folder)):
            found.append(f'{number} {target}')
    return sorted(found)
