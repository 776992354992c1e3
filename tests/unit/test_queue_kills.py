"""Several processes write, others lease, and each is killed in the midst of its work, again and again."""
import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter, defaultdict
from itertools import pairwise
from types import SimpleNamespace

import pytest

from swiftahead.queues import open_queue

KILLS = 12
LEASE_SECONDS = 2.0
BEGIN = textwrap.dedent("""
    import json, os, sys, time
    from swiftahead.queues import Access, Misplaced, open_queue
    url, log, name = sys.argv[1:4]
    log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    def say(*what):
        os.write(log, (json.dumps(what) + '\\n').encode())
""")
WRITER = BEGIN + textwrap.dedent("""
    queue = open_queue(url, wait=60)
    for number in range(10_000):
        names = [f'{name}-{number}-{part}' for part in range(3)]
        queue.put([Misplaced(one, one, one, number, one) for one in names]
                  + [Access(one, one, one + '-read', one, 1.0) for one in names])
        say('put', names)
""")
LEASING = BEGIN + textwrap.dedent("""
    at = 0.0
    def clock():
        global at
        at = time.time()
        return at
    queue = open_queue(url, clock=clock, wait=60)
""")
CONSUMER = LEASING + textwrap.dedent("""
    while True:
        items = queue.lease(5, float(sys.argv[4]), sys.argv[5:])
        say('leased', at, [(item.id, item.record.object) for item in items])
        queue.done([item.id for item in items])
        say('done', [item.id for item in items])
""")
# one that has leased records when it is killed, for certain
HOLDER = LEASING + textwrap.dedent("""
    while not (items := queue.lease(5, float(sys.argv[4]), sys.argv[5:])):
        pass
    say('leased', at, [(item.id, item.record.object) for item in items])
    time.sleep(600)
""")


class Crew:
    """Processes at work, and what all of them have said."""

    def __init__(self, folder):
        self.url = f'sqlite:{folder}/queue.db'
        self._folder = folder
        self._logs = []
        self._jobs = [(WRITER, ())] * 3 + [(CONSUMER, (str(LEASE_SECONDS), 'Misplaced'))] * 2 + [
            (CONSUMER, (str(LEASE_SECONDS), 'Access'))] * 2
        self.running = [self._start(*job) for job in self._jobs]

    def _start(self, code, more):
        log = self._folder / f'log-{len(self._logs)}'
        log.touch()
        self._logs.append(log)
        command = [sys.executable, '-c', code, self.url, str(log), f'p{len(self._logs)}', *more]
        return subprocess.Popen(command), log

    def kill(self, number, lines, again=True):
        """Kill one when it has said so many lines or a little more, and start another in its place."""
        self._await(number, lines)
        self._kill(number)
        if again:
            self.running[number] = self._start(*self._jobs[number])

    def kill_holder(self):
        """Kill one that has leased Misplaced records."""
        self.running.append(self._start(HOLDER, (str(LEASE_SECONDS), 'Misplaced')))
        self._await(-1, 1)
        self._kill(-1)

    def _await(self, number, lines):
        (process, log), until = self.running[number], time.monotonic() + 60
        while log.read_bytes().count(b'\n') < lines:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.001)

    def _kill(self, number):
        process, _ = self.running[number]
        process.kill()
        process.wait()

    def end(self):
        for process, _ in self.running:
            process.kill()
            process.wait()

    def said(self, word):
        return [line[1:] for log in self._logs for line in map(json.loads, log.read_text().splitlines())
                if line[0] == word]


def drained(url, kind):
    """All records of the kind that are still there, once each lease of the killed has run out."""
    queue = open_queue(url)
    found, until = [], time.monotonic() + 60
    while queue.depth().get(kind):
        assert time.monotonic() < until
        items = queue.lease(10_000, 60, [kind])
        found += [item.record for item in items]
        queue.done([item.id for item in items])
    assert queue.depth()['dead'] == 0
    queue.close()
    return found


@pytest.fixture(scope='module')
def after(tmp_path_factory):
    """What was said and found when any of seven processes were killed, and all of them in the end."""
    folder, chance = tmp_path_factory.mktemp('kills'), random.Random(9)
    crew = Crew(folder)
    try:
        for _ in range(KILLS):
            crew.kill(chance.randrange(7), chance.randrange(15))
        crew.kill_holder()
        for number in range(7):
            crew.kill(number, 1, again=False)
    finally:
        crew.end()
    return SimpleNamespace(url=crew.url, rest=drained(crew.url, 'Misplaced'), reads=drained(crew.url, 'Access'),
                           put=crew.said('put'), leased=crew.said('leased'), done=crew.said('done'))


def names(after):
    """Of all records that were ever delivered."""
    return {record.object for record in [*after.rest, *after.reads]} | {
        name for _, items in after.leased for _, name in items}


def test_what_put_had_returned_for_is_delivered(after):
    promised = {name for names, in after.put for name in names}
    assert len(promised) > 100
    assert promised | {f'{name}-read' for name in promised} <= names(after)


def test_a_put_that_was_killed_left_all_its_records_or_none(after):
    puts = Counter(name.removesuffix('-read').rpartition('-')[0] for name in names(after))
    assert set(puts.values()) == {6}


def test_no_record_is_half_there(after):
    assert len(after.rest) > 0
    assert all(record.account == record.container == record.object == record.timestamp for record in after.rest)


def test_nobody_gets_what_another_has_leased(after):
    times = defaultdict(list)
    for at, items in after.leased:
        for _, name in items:
            times[name].append(at)
    gaps = [later - at for ats in times.values() for at, later in pairwise(sorted(ats))]
    assert len(times) > 50
    assert not [gap for gap in gaps if gap < LEASE_SECONDS]


def test_what_the_killed_had_leased_comes_back(after):
    times = Counter(name for _, items in after.leased for _, name in items)
    times.update(record.object for record in after.rest)
    assert max(times.values()) > 1


def test_what_is_done_does_not_come_back_from_a_kill(after):
    finished = {number for ids, in after.done for number in ids}
    done = {name for _, items in after.leased for number, name in items if number in finished}
    assert len(done) > 50
    assert not done & {record.object for record in [*after.rest, *after.reads]}


def test_the_counts_are_right_after_the_kills(after):
    queue = open_queue(after.url)
    assert queue.depth() == {'dead': 0, 'dropped': 0}
    queue.close()


def test_the_file_is_whole_after_the_kills(after):
    with contextlib.closing(sqlite3.connect(after.url.removeprefix('sqlite:'))) as db:
        assert db.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
