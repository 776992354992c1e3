"""A mover on a cluster in the test's own process: fixtures, and objects that lie where they do not belong."""
import gc
import itertools
import logging
import time
from collections.abc import Callable
from functools import partial, partialmethod
from typing import Any

import pytest
from helpers.common.builders import ListLogger
from helpers.mover.oneprocess import GOLD, HOUR, SILVER, Cluster, running
from swift.common.concurrency import Timeout, sleep
from swift.common.utils import Timestamp
from swift.container import reconciler

from swiftahead.conf.names import ObjectName
from swiftahead.misplaced.servers import is_movable
from swiftahead.sidecar.mover.move import Mover, Task, Terms, servers_of
from swiftahead.sidecar.mover.part import MoverPart

# what Swift's loggers, servers and connections leave to the collector of garbage
LEFT_OPEN = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning',
                                       'ignore:unclosed file:ResourceWarning',
                                       'ignore:unclosed database:ResourceWarning')
PATIENCE = 60.0


class Told(ListLogger):
    """Each line begins with its level."""

    def log(self, level, text, *args, **_):
        told = text % (args[0] if len(args) == 1 and isinstance(args[0], dict) else args)
        self.said.append(f'{logging.getLevelName(level)} {told}')

    debug = partialmethod(log, logging.DEBUG)
    info = partialmethod(log, logging.INFO)
    warning = partialmethod(log, logging.WARNING)
    error = exception = partialmethod(log, logging.ERROR)


@pytest.fixture(scope='module')
def collected():
    """What is left open is the module's own affair, whose filter of warnings is LEFT_OPEN."""
    yield
    gc.collect()


@pytest.fixture(name='cluster')
def make_cluster(tmp_path, collected):
    with running(tmp_path) as cluster:
        yield cluster


@pytest.fixture(name='make_part')
def part_maker(cluster):
    """A mover's process without its process, by lines of its section."""
    made: list[MoverPart] = []

    def make(lines: str = 'swift_queue = take') -> MoverPart:
        made.append(part_of(cluster, lines))
        return made[-1]
    yield make
    for part in made:
        # `once` closes it, too
        if not part._local._renewing.dead:
            part.close()


@pytest.fixture(name='make_mover')
def mover_maker(cluster):
    """A mover and the lines that it said, in `said`."""
    def make(clock=time.time, **terms) -> Mover:
        movable = partial(is_movable, swift_dir=str(cluster.folder), ring_check_interval=15)
        mover = Mover(cluster.client, servers_of(cluster.client, str(cluster.folder)), movable, Told(),
                      Terms(**terms), clock=clock)
        mover.said = mover._logger.said
        return mover
    return make


def part_of(cluster: Cluster, lines: str) -> MoverPart:
    return MoverPart(cluster.settings(lines), Told())


_names = itertools.count()


def misplaced(cluster: Cluster, op: str = 'PUT', age: float = 10, body: bytes = b'body', **headers) -> Task:
    """An object of a container of its own in GOLD, put in SILVER, or deleted there."""
    number = next(_names)
    task = Task(ObjectName('AUTH_test', f'c{number}', f'o{number}'), SILVER, seconds_ago(age), op)
    cluster.put_container(task.name.container, GOLD)
    if op == 'PUT':
        cluster.put(task, body, **headers)
    else:
        cluster.delete(task)
    return task


def eventually(condition: Callable[[], Any]) -> Any:
    """What it comes to, as soon as that is true."""
    with Timeout(PATIENCE):
        while not (found := condition()):
            sleep(0.01)
    return found


def seconds_ago(seconds: float) -> Timestamp:
    return Timestamp(float(Timestamp.now()) - seconds)


def hour_of(timestamp: Timestamp) -> str:
    """The container of the queue."""
    return str(int(timestamp) // HOUR * HOUR)


def names(timestamp, offset: int, ending: str) -> list[str]:
    """Of the three files of an object."""
    return [f'{Timestamp(timestamp, offset=offset).internal}.{ending}'] * 3


def check_moved(cluster: Cluster, task: Task, body: bytes = b'body') -> None:
    answer = cluster.get(task, GOLD)
    assert (answer.status, answer.body, answer.headers['X-Timestamp']) == (200, body, task.timestamp.normal)
    assert cluster.files(task, GOLD) == names(task.timestamp, 3, 'data')
    assert cluster.files(task, SILVER) == names(task.timestamp, 1, 'ts')


def reconcile(cluster: Cluster, reclaim_age: float = 7 * 86400) -> None:
    """One pass of upstream's daemon."""
    reconciler.direct_get_container_policy_index.reset()
    reconciler.ContainerReconciler({'reclaim_age': str(reclaim_age), 'swift_dir': str(cluster.folder)}, Told(),
                                   cluster.client).reconcile()
