"""One object's move, by upstream's rules: copy, then tombstone at the source; each step may be made again (R15).

The offsets (R14) are hidden from clients: 3 for what is brought to its place, 1 for the source's tombstone, and 2
for the queue's row, which is the queue's to take away. Whatever fails leaves the record to be tried again.
"""
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from swift.common.concurrency import Timeout
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.utils import FileLikeIter, Timestamp, close_if_possible
from swift.container.reconciler import slightly_later_timestamp

from .places import POLICY, Places
from .task import Outcome, Task

# a moved object keeps its own time, and the source's tombstone stays below it
MOVED, CLEANED = 3, 1
DONE = frozenset(('noop_object', 'cleanup_success'))


@dataclass(frozen=True)
class Terms:
    """
    :param reclaim_age: seconds after which what cannot be found is given up
    :param dry_run: nothing is changed, it is only said what would be
    :param paced: lets bytes of a body through as fast as they may go
    """
    reclaim_age: float = 7 * 86400
    dry_run: bool = False
    paced: Callable[[Iterable[bytes]], Iterable[bytes]] = field(default=iter)


class Failed(Exception):
    """The step that did not do. `args[0]` is upstream's name of it."""


class Newer(Failed):
    """The source has something newer than the record."""


class Mover:
    """
    :param swift: with no middleware that would act on what it carries (R19)
    :param on_moved: is told of each task whose object was brought to its place, or deleted there
    """

    def __init__(self, swift: InternalClient, places: Places, logger, terms: Terms | None = None,
                 on_moved: Callable[[Task], None] = lambda task: None,
                 clock: Callable[[], float] = time.time):
        self._swift = swift
        self._places = places
        self._logger = logger
        self._terms = terms or Terms()
        self._on_moved = on_moved
        self._clock = clock

    def move(self, task: Task) -> Outcome:
        """Raises nothing (R25)."""
        try:
            what = self._move_all(task)
        except Failed as failed:
            what, more = failed.args
            self._say(logging.WARNING, what, task, more)
        except (Exception, Timeout):
            what = 'unhandled_error'
            self._logger.exception('unhandled_error: %s', task.name.quoted)
        if what == 'lost_source':
            self._say(logging.CRITICAL, what, task, 'given up: what was seen is nowhere, and it was long ago')
        return Outcome(what in DONE, what, is_lost=what == 'lost_source')

    def _move_all(self, task) -> str:
        try:
            return self._move(task)
        except Newer:
            if not task.is_local:
                raise
            _, headers, body = self._source(task)
            close_if_possible(body)
            seen = Timestamp(headers.get('x-backend-timestamp', 0))
            return self._move(replace(task, timestamp=max(seen, task.timestamp), is_local=False))

    def _move(self, task) -> str:
        home = self._places.home(task)
        if home is None:
            raise Failed('unavailable_container', 'no majority of its container servers told its policy')
        if home == task.policy_index:
            return 'noop_object'
        for index in (task.policy_index, home):
            if not self._places.is_movable(index):
                raise Failed('ppi_skip', f'policy {index} is unknown, or its part power is being increased')
        there = self._places.time_at(task, home)
        if there is None:
            raise Failed('unavailable_destination', f'no majority of policy {home} told whether it has it')
        if there >= task.timestamp:
            return self._clean(task)
        return self._bring(task, home)

    def _bring(self, task, home) -> str:
        status, headers, body = self._source(task)
        found = Timestamp(headers.get('x-backend-timestamp', 0))
        try:
            if status == 404 and task.op == 'DELETE':
                return self._bury(task, home)
            if status // 100 != 2 or found < task.timestamp:
                return self._missing(task, status, found)
            return self._copy(task, home, headers, body)
        finally:
            close_if_possible(body)

    def _source(self, task):
        try:
            return self._swift.get_object(*task.parts, headers={POLICY: task.policy_index},
                                          acceptable_statuses=(2, 4))
        except UnexpectedResponse as error:
            return error.resp.status_int, {}, None

    def _missing(self, task, status, found) -> str:
        if task.timestamp < self._clock() - self._terms.reclaim_age:
            return 'lost_source'
        raise Failed('unavailable_source', f'policy {task.policy_index} answered {status} ({found.internal})')

    def _copy(self, task, home, headers, body) -> str:
        newest = max(Timestamp(headers['x-backend-timestamp']), task.timestamp)
        # all of it, as it is (R18); a newer one than was seen is moved as well (R13)
        sent = headers.copy()
        sent.update({POLICY: home, 'X-Timestamp': slightly_later_timestamp(newest, offset=MOVED)})
        if self._terms.dry_run:
            raise Failed('dry_run', f'would be copied from policy {task.policy_index} to {home}')
        try:
            # a body that breaks off is shorter than its Content-Length, and refused (R21)
            self._swift.upload_object(FileLikeIter(self._paced(body)), *task.parts, headers=sent)
        except UnexpectedResponse as error:
            raise Failed('copy_failed', str(error)) from error
        self._say(logging.INFO, 'copy_success', task, f'copied to policy {home} ({sent["X-Timestamp"]})')
        self._on_moved(task)
        return self._clean(task)

    def _paced(self, body) -> Iterator[bytes]:
        return iter(self._terms.paced(body))

    def _bury(self, task, home) -> str:
        """A tombstone is brought where the object would be (R16)."""
        if self._terms.dry_run:
            raise Failed('dry_run', f'would be deleted from policy {home}')
        try:
            self._swift.delete_object(*task.parts, headers={
                POLICY: home, 'X-Timestamp': slightly_later_timestamp(task.timestamp, offset=MOVED)})
        except UnexpectedResponse as error:
            raise Failed('delete_failed', str(error)) from error
        self._say(logging.INFO, 'delete_success', task, f'deleted from policy {home}')
        self._on_moved(task)
        return self._clean(task)

    def _clean(self, task) -> str:
        """The source's tombstone, at the time that the record knows: what came there later stays."""
        if self._terms.dry_run:
            raise Failed('dry_run', f'would be deleted from policy {task.policy_index}')
        try:
            self._swift.delete_object(*task.parts, acceptable_statuses=(2, 404), headers={
                'X-Timestamp': slightly_later_timestamp(task.timestamp, offset=CLEANED),
                POLICY: task.policy_index})
        except UnexpectedResponse as error:
            kind = Newer if error.resp.status_int == 409 else Failed
            raise kind('cleanup_failed', str(error)) from error
        return 'cleanup_success'

    def _say(self, level, what, task, text):
        self._logger.log(level, '%s: %s (%s) in policy %d: %s', what, task.name.quoted, task.timestamp.internal,
                         task.policy_index, text)
