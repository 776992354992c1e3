"""Clusters that sync containers with each other: labs of one realm, and requests to each as test:tester."""
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from helpers.lab import clients, labs

from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'filter': False, 'sidecar': False}
ACCOUNT = 'AUTH_test'


class Row(NamedTuple):
    """An object in a listing."""
    name: str
    hash: str
    bytes: int
    content_type: str
    last_modified: str


class Side:
    """One of the clusters."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.client = labs.connection(lab)

    def close(self) -> None:
        self.client.close()

    def sync_to(self, container: str) -> str:
        """Value of X-Container-Sync-To for containers that are to be sent here."""
        return f'//lab/{self.lab.cluster}/{ACCOUNT}/{container}'

    def link(self, container: str, target: str) -> None:
        """Have a container synced. :param target: value of X-Container-Sync-To"""
        self.client.post_container(container, {'X-Container-Sync-To': target, 'X-Container-Sync-Key': 'secret'})

    def put(self, container: str, name: str, body: bytes = b'bytes', headers=None) -> None:
        self.client.put_object(container, name, body, headers=headers)

    def post(self, container: str, name: str, headers) -> None:
        self.client.post_object(container, name, headers)

    def delete(self, container: str, name: str) -> None:
        self.client.delete_object(container, name)

    def read(self, container: str, name: str) -> tuple[dict[str, str], bytes]:
        """Headers, with lower-case names, and body."""
        return self.client.get_object(container, name)

    def listing(self, container: str) -> list[Row]:
        rows = self.client.get_container(container, full_listing=True)[1]
        return [Row(*(row[field] for field in Row._fields)) for row in rows]

    def names(self, container: str) -> list[str]:
        return [row.name for row in self.listing(container)]

    def sync(self, upstream: bool = False) -> str:
        """Make one pass of each node's syncer, or of upstream's container-sync; their logs."""
        daemon = 'container-sync' if upstream else 'syncer'
        return ''.join(self.lab.run_daemon(daemon, node) for node in self.nodes)

    @property
    def nodes(self) -> list[int]:
        found = (re.fullmatch(r'container(\d+)', row['name']) for row in self.lab.status())
        return [int(one[1]) for one in found if one]


class Clusters:
    """All sides, by their numbers from 0."""

    def __init__(self, sides: list[Side]):
        self.sides = sides

    def __getitem__(self, number: int) -> Side:
        return self.sides[number]

    def linked(self, *routes: tuple[int, int], key: str = 'secret') -> str:
        """Make a container of one name on every side. :param routes: (source, target); one target for a source"""
        container = f'c-{uuid.uuid4().hex}'
        targets = dict(routes)
        for number, side in enumerate(self.sides):
            headers = {'X-Container-Sync-Key': key}
            if number in targets:
                headers['X-Container-Sync-To'] = self[targets[number]].sync_to(container)
            side.client.put_container(container, headers)
        return container

    def unlink(self, container: str) -> None:
        """Let the container, where it is still there, be synced no more."""
        for side in self.sides:
            clients.request(side.lab, 'POST', f'/v1/{ACCOUNT}/{container}', {'X-Remove-Container-Sync-To': 'x'})

    def sync(self, *numbers: int, upstream: bool = False) -> str:
        """Make a pass on each of the sides, in this order; the logs."""
        return ''.join(self[number].sync(upstream) for number in numbers)

    def are_equal(self, container: str, *numbers: int) -> bool:
        """Tell whether the sides, by default all, list the container alike."""
        sides = [self[number] for number in numbers] or self.sides
        first, *others = [side.listing(container) for side in sides]
        return all(other == first for other in others)

    def wait_equal(self, container: str, *numbers: int) -> None:
        clients.until(lambda: self.are_equal(container, *numbers), f'all listings of {container} are equal')


@contextmanager
def clusters(folder: Path, number: int = 2, **options) -> Iterator[Clusters]:
    """Put labs up, each a peer of the one before. :param options: of each lab, over those of a small one"""
    with ExitStack() as stack:
        sides: list[Side] = []
        for count in range(number):
            peers = [side.lab.folder for side in sides[-1:]]
            lab = stack.enter_context(Lab(folder / f'l{count + 1}', peers=peers, **{**SMALL, **options}))
            sides.append(stack.enter_context(closing(Side(lab))))
        yield Clusters(sides)
