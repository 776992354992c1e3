"""Move one object, by upstream's rules: copy, then tombstone at the source; each step may be made again (R15).

The offsets (R14) are hidden from clients: 3 for the copy at home, 1 for the source's tombstone, 2 for the queue's
row, which the queue takes away. A step that fails leaves the record to be tried again.
"""
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from cachetools import TTLCache
from swift.common.concurrency import Semaphore, Timeout
from swift.common.internal_client import InternalClient, UnexpectedResponse
from swift.common.request_helpers import USE_REPLICATION_NETWORK_HEADER
from swift.common.storage_policy import POLICIES
from swift.common.utils import FileLikeIter, Timestamp, close_if_possible
from swift.container.reconciler import CONTAINER_POLICY_TTL, slightly_later_timestamp

from ...conf.names import ObjectName
from ...misplaced.servers import POLICY, Judge, StorageServers, Unknown, copy_of
from ...misplaced.verdict import ContainerFacts, is_settled
from ...queues import Misplaced

# a moved object keeps its own time, and the source's tombstone stays below it
MOVED, CLEANED = 3, 1
DONE = frozenset(('noop_object', 'cleanup_success'))
GIVEN_UP = {'lost_source': 'it is in no policy any more',
            'refused': 'it may have been deleted since it was recorded, and no row of its container names it'}
# containers whose facts are remembered
REMEMBERED = 1000
NOT_ASKED: Any = object()


@dataclass(frozen=True)
class Task:
    """An object that may lie in a policy which is not its container's.

    :param policy_index: where it was seen, or deleted
    :param timestamp: of the copy or tombstone that was seen there
    :param op: 'PUT' or 'DELETE', as it was done there
    :param is_local: of the local queue: nobody else puts a record of a copy that comes there later
    :param seen_at: when a local record was put, whose copy had been judged before
    """
    name: ObjectName
    policy_index: int
    timestamp: Timestamp
    op: str = 'PUT'
    is_local: bool = False
    seen_at: Timestamp | None = None

    @classmethod
    def of(cls, record: Misplaced) -> 'Task':
        """Make the task of a record.

        :raises ValueError: for a record that names no object, or no time
        """
        if record.op not in ('PUT', 'DELETE'):
            raise ValueError(f'invalid operation type {record.op!r}')
        name = record.name
        # without an object's name the container would be read and deleted
        if not all(part and isinstance(part, str) for part in name.parts):
            raise ValueError(f'not the name of an object: {name.parts!r}')
        try:
            return cls(name, int(record.policy_index), Timestamp(record.timestamp), record.op, is_local=True,
                       seen_at=Timestamp(record.at))
        except TypeError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True)
class Outcome:
    """
    :param is_done: False where the task has to be tried again
    :param what: the last of upstream's metrics that it met, such as 'cleanup_success'
    :param is_lost: given up, for the reason in GIVEN_UP
    """
    is_done: bool
    what: str
    is_lost: bool = False


@dataclass(frozen=True)
class Terms:
    """
    :param reclaim_age: seconds after which a copy that cannot be found is given up
    :param dry_run: change nothing, only log the changes that would be made
    :param paced: lets bytes of a body through as fast as they may go
    """
    reclaim_age: float = 7 * 86400
    dry_run: bool = False
    paced: Callable[[Iterable[bytes]], Iterable[bytes]] = field(default=iter)


class Failed(Exception):
    """A step failed. `args[0]` is upstream's name of it."""


class Newer(Failed):
    """The source has something newer than the record."""


def servers_of(swift: InternalClient, swift_dir: str) -> StorageServers:
    """Make the StorageServers to ask as upstream's daemon does: by the network of replication, and as long."""
    return StorageServers(swift.container_ring, partial(POLICIES.get_object_ring, swift_dir=swift_dir),
                   {USE_REPLICATION_NETWORK_HEADER: 'true'}, connect_seconds=5.0, answer_seconds=15.0)


class Mover:
    """
    :param swift: with no middleware that would act on the objects that it carries (R19)
    :param is_movable: whether objects of a policy index may be moved now
    :param on_moved: is told of each task whose object was brought home, or deleted there
    """

    def __init__(self, swift: InternalClient, servers: StorageServers, is_movable: Callable[[int], bool], logger,
                 terms: Terms | None = None, on_moved: Callable[[Task], None] = lambda task: None,
                 clock: Callable[[], float] = time.time):
        self._swift = swift
        self._servers = servers
        self._is_movable = is_movable
        self._logger = logger
        self._terms = terms or Terms()
        self._on_moved = on_moved
        self._clock = clock
        self._judge = Judge(servers, self._terms.reclaim_age, clock)
        self._facts: TTLCache[tuple[str, str], ContainerFacts | None] = TTLCache(REMEMBERED, CONTAINER_POLICY_TTL)
        self._turns: WeakValueDictionary[tuple[str, str], Semaphore] = WeakValueDictionary()

    def move(self, task: Task) -> Outcome:
        """Do the task. Raise nothing (R25)."""
        try:
            what = self._move_all(task)
        except Failed as failed:
            what, more = failed.args
            self._say(logging.WARNING, what, task, more)
        except (Exception, Timeout):
            what = 'unhandled_error'
            self._logger.exception('unhandled_error: %s', task.name.quoted)
        if what == 'lost_source':
            self._say(logging.CRITICAL, what, task, 'given up: after reclaim_age, its copy is nowhere')
        return Outcome(what in DONE, what, is_lost=what in GIVEN_UP)

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

    def container(self, task: Task) -> ContainerFacts | None:
        """Tell the facts of the task's container, remembered as long as upstream does (R8); None where too few
        servers tell."""
        key = task.name.parts[:2]
        # tasks of the same container wait, and do not ask as well
        with self._turns.setdefault(key, Semaphore()):
            facts = self._facts.get(key, NOT_ASKED)
            if facts is NOT_ASKED:
                facts = self._facts[key] = self._ask(key)
            return facts

    def _known(self, task) -> ContainerFacts:
        container = self.container(task)
        if container is None:
            raise Failed('unavailable_container', 'no majority of its container servers told its policy')
        return container

    def _ask(self, key) -> ContainerFacts | None:
        try:
            return self._servers.container_facts(*key)
        except Unknown:
            return None

    def _move(self, task) -> str:
        container = self._known(task)
        if is_settled(task.policy_index, container):
            return 'noop_object'
        home = container.policy_index
        for index in (task.policy_index, home):
            if not self._is_movable(index):
                raise Failed('ppi_skip', f'policy {index} is unknown, or its part power is being increased')
        if self._is_there(task, home):
            return self._clean(task)
        return self._bring(task, home)

    def _is_there(self, task, home) -> bool:
        # A HEAD through the proxy would walk all handoffs for a missing object, and tell of the first replica.
        # A copy that lies on a handoff alone is moved once more, and Swift takes that for superseded (R12).
        there = self._servers.replicas(task.name, home, with_handoffs=False)
        if not there.has_majority:
            raise Failed('unavailable_destination', f'no majority of policy {home} told whether it has it')
        return there.newest_at >= task.timestamp

    def _bring(self, task, home) -> str:
        status, headers, body = self._source(task)
        found = Timestamp(headers.get('x-backend-timestamp', 0))
        try:
            if status == 404 and task.op == 'DELETE':
                return self._bury(task, home)
            if status // 100 != 2 or found < task.timestamp:
                return self._missing(task, status, found)
            if reason := self._refusal(task, headers):
                return self._refuse(task, home, reason)
            return self._copy(task, home, headers, body)
        finally:
            close_if_possible(body)

    def _source(self, task):
        try:
            return self._swift.get_object(*task.name.parts, headers={POLICY: task.policy_index},
                                          acceptable_statuses=(2, 4))
        except UnexpectedResponse as error:
            return error.resp.status_int, {}, None

    def _missing(self, task, status, found) -> str:
        if task.timestamp < self._clock() - self._terms.reclaim_age:
            return 'lost_source'
        raise Failed('unavailable_source', f'policy {task.policy_index} answered {status} ({found.internal})')

    def _refusal(self, task, headers) -> str | None:
        """Judge a recorded copy again: its record may have waited until a tombstone had come and gone."""
        if task.seen_at is None:
            return None
        copy = copy_of(task.policy_index, headers)
        return self._judge.refusal(task.name, copy, self._known(task), seen_at=task.seen_at)

    def _refuse(self, task, home, reason) -> str:
        if reason == 'unknown':
            raise Failed('unavailable_destination', 'too few object servers told whether it was deleted')
        # another mover may have moved it meanwhile: the source's tombstone is that mover's
        if self._is_there(task, home):
            return self._clean(task)
        raise Failed('refused', f'it may have been deleted since it was recorded ({reason})')

    def _copy(self, task, home, headers, body) -> str:
        newest = max(Timestamp(headers['x-backend-timestamp']), task.timestamp)
        # all headers go along (R18); a newer copy than was seen is moved as well (R13)
        sent = headers.copy()
        sent.update({POLICY: home, 'X-Timestamp': slightly_later_timestamp(newest, offset=MOVED)})
        if self._terms.dry_run:
            raise Failed('dry_run', f'would be copied from policy {task.policy_index} to {home}')
        try:
            # a body that breaks off is shorter than its Content-Length, and refused (R21)
            self._swift.upload_object(FileLikeIter(self._paced(body)), *task.name.parts, headers=sent)
        except UnexpectedResponse as error:
            raise Failed('copy_failed', str(error)) from error
        self._say(logging.INFO, 'copy_success', task, f'copied to policy {home} ({sent["X-Timestamp"]})')
        self._on_moved(task)
        return self._clean(task)

    def _paced(self, body) -> Iterator[bytes]:
        return iter(self._terms.paced(body))

    def _bury(self, task, home) -> str:
        """Write a tombstone where the object would be (R16)."""
        if self._terms.dry_run:
            raise Failed('dry_run', f'would be deleted from policy {home}')
        try:
            self._swift.delete_object(*task.name.parts, headers={
                POLICY: home, 'X-Timestamp': slightly_later_timestamp(task.timestamp, offset=MOVED)})
        except UnexpectedResponse as error:
            raise Failed('delete_failed', str(error)) from error
        self._say(logging.INFO, 'delete_success', task, f'deleted from policy {home}')
        self._on_moved(task)
        return self._clean(task)

    def _clean(self, task) -> str:
        """Write the source's tombstone at the time that the record knows: a later version stays."""
        if self._terms.dry_run:
            raise Failed('dry_run', f'would be deleted from policy {task.policy_index}')
        try:
            self._swift.delete_object(*task.name.parts, acceptable_statuses=(2, 404), headers={
                'X-Timestamp': slightly_later_timestamp(task.timestamp, offset=CLEANED),
                POLICY: task.policy_index})
        except UnexpectedResponse as error:
            kind = Newer if error.resp.status_int == 409 else Failed
            raise kind('cleanup_failed', str(error)) from error
        return 'cleanup_success'

    def _say(self, level, what, task, text):
        self._logger.log(level, '%s: %s (%s) in policy %d: %s', what, task.name.quoted, task.timestamp.internal,
                         task.policy_index, text)
