"""F9: eviction, admission, reading, purging and a restart race with each other, on real files.

A scheduler of our own decides which of the calls that a thread would run comes next: each waits twice, before
it is run and before its result is told. What Hypothesis finds it can play again.
"""
import os
import tempfile
from contextlib import suppress
from functools import partial
from hashlib import md5
from pathlib import Path

import pytest
from helpers.cache.cache_managers import UNIT, make_manager, name_of
from helpers.common.builders import NOW, spool
from helpers.common.trying import tries
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from swift.common.concurrency import Event, sleep, spawn

from swiftahead.cache import Damaged, Store
from swiftahead.cache.reader import disk_bytes
from swiftahead.conf.names import KEY_BYTES
from swiftahead.eviction.index_loader import FOLDERS, read_folder
from swiftahead.eviction.manager import Stopped

pytestmark = pytest.mark.holds('F9')

SIZE = 12 * UNIT
COUNT = 3
CONTAINERS = ('c', 'd')
# turns of the event loop after which all have done what they can
TURNS = 20
# in which all that was begun ends, also where many take turns at the folders
MOST_TURNS = 1000


class Killed(BaseException):
    """What the calls of a process meet that was killed."""


class ManagerLife:
    """The manager of one life of the sidecar, and its green threads, which go on when they are told to; the first
    makes the inventory whole."""

    def __init__(self, store):
        self.waiting: list[Event] = []
        self.threads = []
        self.alive = True
        self.manager = make_manager(store, SIZE, 95, 60, execute=self.execute, clock=lambda: NOW + 60,
                                    whole=False)
        self.begin(self.manager.load)

    def execute(self, call, *args):
        # an empty folder is no race
        if call is read_folder and not os.listdir(args[0]):
            return call(*args)
        self.pause()
        try:
            return call(*args)
        finally:
            self.pause()

    def pause(self):
        if self.alive:
            event = Event()
            self.waiting.append(event)
            event.wait()
        if not self.alive:
            raise Killed

    def begin(self, call, *args):
        self.threads.append(spawn(self._run, call, *args))
        self.settle()

    def _run(self, call, *args):
        with suppress(Killed, Stopped):
            call(*args)

    def go_on(self, number):
        self.waiting.pop(number % len(self.waiting)).send()
        self.settle()

    def settle(self):
        for _ in range(TURNS):
            sleep(0)
        self.threads = [thread for thread in self.threads if not thread.dead]

    def finish(self):
        for _ in range(MOST_TURNS):
            if self.waiting:
                self.go_on(0)
            elif self.threads:
                self.settle()
            else:
                break
        assert not self.threads and not self.waiting

    def kill(self):
        self.alive = False
        self.finish()

    @property
    def is_quiet(self):
        return not self.waiting


def make_store(folder):
    """One whose names are the same in each run."""
    folder.mkdir(0o700)
    (folder / 'key').write_bytes(bytes(KEY_BYTES))
    return Store.create(folder)


class Races(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = make_store(Path(self.folder.name) / 'cache')
        self.now = 0
        self.names = [name_of(number, container) for number in range(COUNT) for container in CONTAINERS]
        self.paths = [self.store.layout.entry_path(self.store.naming.entry(name)) for name in self.names]
        self.readers = []
        self.damaged = set()
        self.lost = 0
        # bytes that the process before this one left
        self.left = 0
        self.left_in_spool = 0
        self.process = ManagerLife(self.store)

    def teardown(self):
        with self.folder:
            for entry in self.readers:
                self.read_on(entry)
            self.process.finish()
            self.restart()
            self.process.finish()
            assert self.process.manager.is_whole
            self.accounts_are_right()
            folders = [path for path in self.store.layout.cache_dir.rglob('*') if path.is_dir()]
            assert len(folders) == FOLDERS + 4

    def run_alone(self, call):
        self.process.finish()
        self.process.begin(call)
        self.process.finish()

    numbers = st.integers(0, len(CONTAINERS) * COUNT - 1)

    @precondition(lambda self: self.process.manager.is_whole)
    @rule(number=numbers, length=st.integers(0, 60_000), second=st.integers(0, 9),
          origin=st.sampled_from(['read', 'read', 'prefetch', 'warm']))
    def begin_to_admit(self, number, length, second, origin):
        body = bytes([second]) * length
        spool_name = spool(self.store, body, name=self.names[number], timestamp=f'179999999{second}.00000',
                           origin=origin)
        # by a clock that is the same in each run too
        self.now += 1
        os.utime(self.store.layout.spool / spool_name, (NOW + self.now, NOW + self.now))
        self.process.begin(self.process.manager.admit, spool_name)

    @rule(number=numbers)
    def begin_to_forget(self, number):
        name = self.names[number]
        self.process.begin(partial(self.process.manager.purge, name.account, name.container, object=name.object))

    @rule(container=st.sampled_from(CONTAINERS), prefix=st.sampled_from(['', 'o1']))
    def begin_to_purge(self, container, prefix):
        self.process.begin(self.process.manager.purge, 'AUTH_test', container, prefix)

    @rule()
    def upkeep_of_a_whole_index(self):
        """What an hour's rest brings about."""
        self.run_alone(self.process.manager.upkeep)

    @rule()
    def begin_the_upkeep(self):
        self.process.begin(self.process.manager.upkeep)

    @precondition(lambda self: self.process.waiting)
    @rule(number=st.integers(0, 7), times=st.integers(1, 10))
    def go_on(self, number, times):
        for _ in range(times):
            if self.process.waiting:
                self.process.go_on(number)

    @precondition(lambda self: self.process.waiting)
    @rule()
    def finish(self):
        self.process.finish()

    @rule(number=numbers)
    def touch(self, number):
        self.process.manager.touch(self.store.naming.entry(self.names[number]))

    @rule(number=numbers, seconds=st.integers(0, 2**33))
    def use_at(self, number, seconds):
        if os.path.exists(self.paths[number]):
            os.utime(self.paths[number], (seconds, seconds))

    @rule(number=numbers)
    def open(self, number):
        try:
            entry = self.store.entry(self.names[number])
        except Damaged:
            assert os.stat(self.paths[number]).st_ino in self.damaged
            return
        if entry is not None:
            self.readers.append(entry)

    @precondition(lambda self: self.readers)
    @rule(number=st.integers(0, 20))
    def read(self, number):
        self.read_on(self.readers.pop(number % len(self.readers)))

    def read_on(self, entry):
        with entry:
            try:
                body = b''.join(entry.blocks(0, entry.meta.body_length))
            except Damaged:
                assert int(entry.identity.partition('-')[0]) in self.damaged
            else:
                assert md5(body).hexdigest() == entry.meta.header('etag')

    @rule(number=numbers)
    def damage(self, number):
        if os.path.exists(self.paths[number]):
            self.damaged.add(os.stat(self.paths[number]).st_ino)
            with open(self.paths[number], 'r+b') as file:
                file.seek(-1, os.SEEK_END)
                file.write(b'?')

    @precondition(lambda self: self.process.is_quiet)
    @rule(number=numbers)
    def lose(self, number):
        """Somebody else unlinks an entry: it stays counted until its name is used again, or the next start."""
        if os.path.exists(self.paths[number]):
            self.lost += disk_bytes(os.stat(self.paths[number]))
            os.unlink(self.paths[number])

    @rule()
    def restart(self):
        """Killed at this moment, and started anew."""
        self.process.kill()
        self.left_in_spool = len(list(self.store.spool_files()))
        self.lost = 0
        self.left = self.linked()
        self.process = ManagerLife(self.store)

    def linked(self):
        return sum(disk_bytes(os.lstat(path)) for path in self.paths if os.path.lexists(path))

    @invariant()
    def the_bound_is_never_passed(self):
        assert self.linked() <= SIZE

    @invariant()
    def nothing_comes_before_all_is_known(self):
        assert self.process.manager.is_whole or self.linked() <= self.left

    @invariant()
    def accounts_are_right(self):
        if self.process.is_quiet:
            total, linked = self.process.manager.inventory.total, self.linked()
            assert self.process.manager.is_whole
            assert linked <= total <= min(SIZE, linked) + self.lost
            assert not self.process.manager.inventory.stuck

    @invariant()
    def nothing_is_left_in_the_spool(self):
        if self.process.is_quiet:
            assert len(list(self.store.spool_files())) <= self.left_in_spool


def make_case(examples, steps):
    case = Races.TestCase
    case.settings = tries(examples, stateful_step_count=steps)
    return case


test_whatever_races_the_bound_holds_and_the_accounts_are_right = make_case(50, 50)
