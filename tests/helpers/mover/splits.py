"""A split brain full of objects, and what must have become of each when their container has one policy again.

Right is the elder half: its containers' policies stay. So what left has stored in other policies is misplaced, but
for the container `reborn`, which right has deleted and made again.
"""
import itertools
import json
import time
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec

import pytest
from swift.common.utils import Timestamp

from swiftahead.lab.brain import Answer, Brain, Lab
from swiftahead.lab.placement import ring_name

# what makes one pass over the queue
DAEMONS = {'mover': 'sidecar', 'upstream': 'container-reconciler'}
# of the sidecar, which does nothing else
QUEUE_ONLY = {'mover': {'swift_queue': 'take'}, 'prefetcher': {'enabled': 'off'}, 'status': {'enabled': 'off'}}
needs_mover = pytest.mark.skipif(not find_spec('swiftahead.sidecar.mover'), reason='there is no mover')
# upstream's daemon says whether the tests are right
BOTH = [pytest.param('mover', marks=needs_mover), pytest.param('upstream', marks=pytest.mark.slow)]
POLICIES = ('gold', 'silver', 'ec')
GOLD, SILVER, EC = range(3)
QUEUE = '.misplaced_objects'
OTHER = 'AUTH_other'
HOUR = 3600
PATIENCE = 60.0
# differ from one answer to the next, or say who answered
PASSING = ('date', 'x-trans-id', 'x-openstack-request-id', 'cache-status', 'age', 'x-object-prefetched',
           'x-backend-')
LARGE = bytes(range(256)) * 300
# container -> (policy it ends with, policy of what is misplaced)
CONTAINERS = {'plain': (GOLD, SILVER), 'segments': (GOLD, SILVER), 'versioned': (GOLD, SILVER), 'toec': (EC, GOLD),
              'fromec': (GOLD, EC), 'reborn': (SILVER, GOLD), '\0hidden': (GOLD, SILVER)}
SNEAKY = 'c:sneaky/ö o:1'
# (container, object) that left has put last
MOVED = [*(('plain', name) for name in ('put', 'both', 'risen', 'posted', 'empty', SNEAKY, 'slo', 'link')),
         ('segments', 'one'), ('segments', 'two'), ('versioned', 'o'), ('toec', 'put'), ('fromec', 'put'),
         ('fromec', 'empty'), ('reborn', 'put'), ('\0hidden', '\0o:1')]
# what left has deleted, and what right has at a later time than left
BURIED = [('plain', 'deleted'), ('toec', 'deleted'), ('fromec', 'deleted')]
OUTDONE = [('plain', 'later'), ('plain', 'fallen')]


@dataclass
class World:
    """:param seen: what left's clients saw of an object while the cluster was split"""
    lab: Lab
    tag: str
    brain: Brain
    inside: Brain
    seen: dict[tuple[str, str], Answer] = field(default_factory=dict)
    times: dict[tuple[str, str], tuple[Timestamp, Timestamp]] = field(default_factory=dict)
    seen_versions: dict[str, str] = field(default_factory=dict)

    def name(self, container: str) -> str:
        return self.born_right if container == 'reborn' else f'{container}-{self.tag}'

    @cached_property
    def born_right(self) -> str:
        """Right can delete it: most of its primaries are there."""
        names = (f'reborn-{self.tag}-{number}' for number in itertools.count())
        return next(name for name in names if sum(
            one.node in self.brain.right
            for one in self.brain.places.primaries('container', self.brain.account, name)) > 1)

    def by(self, container: str) -> Brain:
        return self.inside if container.startswith('\0') else self.brain

    def get(self, container: str, name: str, query: str = '') -> Answer:
        # a symlink's and a manifest's own headers are seen by asking for themselves
        return self.by(container).get_object(name, self.name(container), query)

    def see(self, container: str, name: str) -> None:
        self.seen[container, name] = self.get(container, name)
        assert self.seen[container, name].status == 200
        self.time(container, name)

    def time(self, container: str, name: str) -> None:
        brain, policy = self.by(container), CONTAINERS[container][1]
        found = brain.places.files(policy, brain.account, self.name(container), name)
        times = [timestamp(file) for files in found.values() for file in files]
        self.times[container, name] = min(times), max(times)

    def put_container(self, container: str, policy: int, **headers: str) -> None:
        self.by(container).put_container(POLICIES[policy], self.name(container), **headers)

    def put(self, container: str, name: str, body: bytes, query: str = '', **headers: str) -> None:
        self.by(container).put_object(name, body, self.name(container), query, **headers)

    def enable_versions(self) -> None:
        self.brain.must('POST', self.brain.path('', self.name('versioned')), {'X-Versions-Enabled': 'true'})

    def close(self) -> None:
        self.brain.close()
        self.inside.close()

    def versions(self) -> dict[str, str]:
        """Version id -> hash."""
        answer = self.brain.must('GET', self.brain.path('', self.name('versioned'), 'versions=true&format=json'))
        return {row['version_id']: row['hash'] for row in json.loads(answer.body)}

    def files(self, policy: int, container: str, name: str) -> dict[int, list[str]]:
        """node -> names of files, on that policy's primaries alone: what handoffs hold, replicators take away."""
        brain = self.by(container)
        path = (brain.account, self.name(container), name)
        primaries = brain.places.primaries(ring_name(policy), *path)
        found = brain.places.files(policy, *path)
        return {primary.node: found.get(primary.node, []) for primary in primaries}

    def queued(self) -> list[str]:
        return queued(self.brain)


def queued(brain: Brain) -> list[str]:
    """Names of the rows in the queue."""
    return sorted({name for names in rows(brain).values() for name in names})


def rows(brain: Brain) -> dict[int, tuple[str, ...]]:
    """Hour -> names of the rows in its container, of this hour and the two before."""
    now = int(time.time()) // HOUR * HOUR
    found = {hour: brain.places.replicas(QUEUE, str(hour)) for hour in (now - 2 * HOUR, now - HOUR, now)}
    return {hour: tuple({name for replica in replicas for name in replica.names})
            for hour, replicas in found.items()}


def drain(brain: Brain, program: str) -> None:
    """Passes until the queue is empty: who was killed may hold a lease for a while."""
    deadline = time.monotonic() + PATIENCE
    brain.lab.run_daemon(program)
    while left := queued(brain):
        assert time.monotonic() < deadline, f'{left} are still in the queue'
        if any(names for hour, names in rows(brain).items() if hour + HOUR < time.time()):
            announce(brain)
        brain.lab.run_daemon(program)


def announce(brain: Brain) -> None:
    """Daemons look into the current hour's container, and find older ones in the account's listing."""
    brain.run_everywhere('container-updater')


def enqueue(brain: Brain, policy: int, name: str, time: str, op: str = 'PUT') -> None:
    """A row as container-replicators write it, on all primaries of the queue's container (R1 to R4)."""
    container = str(int(Timestamp(time)) // HOUR * HOUR)
    headers = {'X-Timestamp': time, 'X-Etag': time, 'X-Size': '0', 'X-Content-Type': f'application/x-{op.lower()}'}
    row = f'{policy}:/{brain.account}/{brain.container}/{name}'
    for url in brain.places.urls('container', (QUEUE, container), row):
        request = urllib.request.Request(url, method='PUT', headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 201


def timestamp(file: str) -> Timestamp:
    """Of an object server's file: ``1.00000_3.ts``, ``1.00000#0#d.data``."""
    return Timestamp(file.rpartition('.')[0].partition('#')[0])


def visible(answer: Answer) -> tuple:
    """What a client may compare."""
    kept = {key: value for key, value in answer.headers.items() if not key.startswith(PASSING)}
    return answer.status, answer.body, kept


def make(lab: Lab, tag: str) -> World:
    """Split the lab, fill both sides, and let them meet: what is misplaced waits in the queue."""
    brain = Brain(lab, f'plain-{tag}')
    world = World(lab, tag, brain, Brain(lab, f'\0hidden-{tag}', OTHER, inside=True))
    with brain, world.inside:
        world.inside.put_account()
        world.put_container('reborn', GOLD)
        with brain.only('right'):
            fill_right(world)
        with brain.only('left'):
            fill_left(world)
            # for an erasure-coded write, and for word that an object is not there, two nodes are too few
            brain.start('right', ('object',))
            put_versions(world)
            put_coded(world)
            for container, name in MOVED:
                world.see(container, name)
            for container, name in BURIED + OUTDONE:
                world.time(container, name)
            world.seen_versions = world.versions()
        brain.meet(*(world.name(container) for container in CONTAINERS if not container.startswith('\0')))
    brain.forget()
    return world


def fill_right(world: World) -> None:
    for container, (policy, _) in CONTAINERS.items():
        if container == 'reborn':
            world.brain.delete_container(world.name(container))
        world.put_container(container, policy)
    world.enable_versions()
    for name in ('both', 'deleted'):
        world.put('plain', name, b'the elder')
    world.brain.delete_object('risen', world.name('plain'))
    world.put('fromec', 'deleted', b'the elder')
    later = Timestamp(time.time() + HOUR).internal
    path = {'container': world.name('plain'), 'X_Timestamp': later}
    with Brain(world.lab, world.name('plain'), world.brain.account, inside=True) as inside:
        inside.put_object('later', b'the later', **path)
        inside.delete_object('fallen', **path)


def fill_left(world: World) -> None:
    for container, (_, policy) in CONTAINERS.items():
        if container != 'reborn':
            world.put_container(container, policy)
    put_plain(world)
    put_composed(world)
    world.brain.delete_object('deleted', world.name('plain'))
    world.put('toec', 'put', LARGE, X_Object_Meta_Colour='red')
    world.put('toec', 'deleted', b'short-lived')
    world.brain.delete_object('deleted', world.name('toec'))
    world.put('reborn', 'put', b'in the old policy')
    world.put('\0hidden', '\0o:1', b'reserved')


def put_plain(world):
    world.put('plain', 'put', LARGE, X_Object_Meta_Colour='red', X_Delete_At=str(int(time.time()) + 24 * HOUR),
              Content_Type='text/x; charset=utf-8; more=1', Content_Disposition='attachment')
    for name in ('both', 'risen', 'later', 'fallen', SNEAKY):
        world.put('plain', name, f'the younger, {name}'.encode())
    world.put('plain', 'empty', b'')
    world.put('plain', 'posted', b'with other metadata', X_Object_Meta_Colour='red')
    world.brain.post_object('posted', world.name('plain'), X_Object_Meta_Colour='blue')


def put_composed(world):
    container = world.name('segments')
    world.put('segments', 'one', b'one')
    world.put('segments', 'two', LARGE)
    manifest = json.dumps([{'path': f'/{container}/one'}, {'path': f'/{container}/two', 'range': '0-9'}])
    world.put('plain', 'slo', manifest.encode(), 'multipart-manifest=put', X_Object_Meta_Colour='red')
    world.put('plain', 'link', b'', X_Symlink_Target=f'{world.name("plain")}/put')


def put_versions(world):
    world.enable_versions()
    for body in (b'first', b'second'):
        world.put('versioned', 'o', body)


def put_coded(world):
    world.put('fromec', 'put', LARGE, X_Object_Meta_Colour='red')
    world.put('fromec', 'empty', b'')
    world.brain.delete_object('deleted', world.name('fromec'))
