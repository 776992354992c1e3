"""Steps of a world, one after the other: what clients write, what fails, and passes of a node's syncer."""
from collections.abc import Callable
from dataclasses import dataclass, replace

from helpers.sync.memory import TEXT, Cluster
from helpers.sync.worlds import HOUR, World
from hypothesis import strategies as st
from swift.common.utils import Timestamp

NAMES = ('a', 'c/ö')
KINDS = ('HEAD', 'WRITE', 'SOURCE', 'STALE')
WRITES = ('put', 'post', 'delete')


@dataclass(frozen=True)
class Write:
    """A client's write.

    :param shift: seconds by which its time is another than the clock's: of an upload that took long, below 0
    """
    op: str
    name: str
    host: str = 'a'
    shift: float = 0.0

    def do(self, world: World) -> None:
        written(world.network.clusters[self.host], self, world.now + self.shift)


@dataclass(frozen=True)
class Race:
    """A write in the other cluster, after the next HEAD; a little older or newer than the source's object."""
    op: str
    name: str
    shift: float

    def do(self, world: World) -> None:
        def write():
            at = float(world.source.of(self.name).time) + self.shift
            # where a POST came before an upload that took long, upstream's PUT is another thing
            if at > world.remote.of(self.name).time:
                written(world.remote, self, at)
        world.network.races[self.name] = write


@dataclass(frozen=True)
class Fail:
    name: str
    kind: str

    def do(self, world: World) -> None:
        world.network.failing[self.name] = self.kind


@dataclass(frozen=True)
class Mend:
    def do(self, world: World) -> None:
        world.network.failing.clear()


@dataclass(frozen=True)
class Late:
    """Rows of the source come late from now on, or all that are late come."""
    is_late: bool

    def do(self, world: World) -> None:
        world.source.is_late = self.is_late
        if not self.is_late:
            world.source.deliver()


@dataclass(frozen=True)
class Pass:
    """A pass of one node, when all failed rows are due."""
    node: int

    def do(self, world: World, syncer: Callable) -> None:
        world.now += HOUR
        syncer(world, world.nodes[self.node % len(world.nodes)])
        for race in list(world.network.races.values()):
            race()
        world.network.races.clear()


def written(cluster: Cluster, write: Write | Race, at: float) -> None:
    """Write what no other write has written; bodies differ and their lengths do not."""
    headers = {'content-type': TEXT, 'x-object-meta-at': f'{at:.1f}'}
    time = Timestamp(at)
    if write.op == 'put':
        cluster.put(write.name, time, f'{write.name} {at:.1f}'.encode(), headers)
    elif write.op == 'post':
        cluster.post(write.name, time, headers)
    else:
        cluster.delete(write.name, time)


def play(world: World, step, syncer: Callable) -> None:
    world.now += 1
    if isinstance(step, Pass):
        step.do(world, syncer)
    else:
        step.do(world)


def settle(world: World, syncer: Callable, rounds: int = 2) -> None:
    """Let nothing fail any more, and each node make some passes."""
    for step in (Mend(), Late(False), *(Pass(node) for _ in range(rounds) for node in range(len(world.nodes)))):
        play(world, step, syncer)


def is_in_step(world: World) -> bool:
    """Tell whether the other cluster has each object of the source, but for what is newer there."""
    source, remote = world.source, world.remote
    return all(remote.of(name).time > version.time or remote.of(name).seen == version.seen
               for name, version in source.versions.items())


_names = st.sampled_from(NAMES)
_nodes = st.integers(0, 2)
_passes = st.builds(Pass, _nodes)
_writes = st.builds(Write, st.sampled_from(WRITES), _names)
_foreign = st.builds(Write, st.sampled_from(WRITES), _names, st.just('b'))
_races = st.builds(Race, st.sampled_from(WRITES), _names, st.sampled_from([-0.5, 0.5]))
_failures = st.builds(Fail, _names, st.sampled_from(KINDS))
_troubles = st.one_of(_failures, st.builds(Mend), st.builds(Late, st.booleans()))
ALL_NODES = tuple(Pass(node) for node in range(3))


def _changed(op: str, name: str, between: Fail | Race, node: int) -> tuple:
    """Change an object that both clusters have, and let something be in the way."""
    return (Write('put', name), *ALL_NODES, Write(op, name), replace(between, name=name), Pass(node),
            Pass(node))


_single = st.one_of(_writes, _writes, _passes, _passes, _troubles, _foreign, _races).map(lambda step: (step,))
_several = st.builds(
    _changed, st.sampled_from(('post', 'post', 'put')), _names, st.one_of(_races, _failures), _nodes)
def steps_of_all(hosts: str, shifts: tuple[float, ...]):
    """Give steps of clients of several clusters, which all sync.

    :param shifts: seconds by which a write is older or newer than the clock
    """
    writes = st.builds(Write, st.sampled_from(WRITES), _names, st.sampled_from(hosts), st.sampled_from(shifts))
    return st.lists(st.one_of(writes, _passes, _troubles, _races), min_size=6, max_size=20)


STEPS = st.lists(st.one_of(_several, _single, _several), min_size=2, max_size=6).map(
    lambda parts: [step for one in parts for step in one])
