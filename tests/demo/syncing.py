"""The third act: a container is kept in step with one of another cluster."""
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path

from swiftclient import Connection

from swiftahead.lab import Lab

from .screen import Screen

CONTAINER, ACCOUNT, KEY = 'album', 'AUTH_test', 'a key of both'
SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'filter': False, 'sidecar': False}
FIRST = {'beach': b'sand', 'hill': b'grass', 'town': b'stones'}
Listing = list[tuple[str, str, str]]


def act(folder: Path, screen: Screen) -> list[str]:
    """:returns: what was promised and did not hold; nothing if all did"""
    screen.say('Third act: a container in two clusters')
    screen.stage('starting two small clusters of one realm')(0)
    with Lab(folder / 'here', **SMALL) as here, Lab(folder / 'there', peers=[here.folder], **SMALL) as there, \
            client(here) as source, client(there) as target:
        target.put_container(CONTAINER, {'X-Container-Sync-Key': KEY})
        sync_to = f'//lab/{there.cluster}/{ACCOUNT}/{CONTAINER}'
        source.put_container(CONTAINER, {'X-Container-Sync-Key': KEY, 'X-Container-Sync-To': sync_to})
        for name, body in FIRST.items():
            source.put_object(CONTAINER, name, body)
        failures = bring_over(here, source, target, 'three objects were put', screen)
        source.put_object(CONTAINER, 'hill', b'snow')
        source.delete_object(CONTAINER, 'town')
        return failures or bring_over(here, source, target, 'one was overwritten, one deleted', screen)


@contextmanager
def client(lab: Lab) -> Iterator[Connection]:
    with closing(Connection(lab.auth_url(), 'test:tester', 'testing')) as connection:
        yield connection


def bring_over(here: Lab, source: Connection, target: Connection, what: str, screen: Screen) -> list[str]:
    here.run_daemon('syncer')
    both = listing(source), listing(target)
    screen.say(f'  {what}, and the syncer made a pass:')
    for one, other in zip_longest(*both, fillvalue=('', '', '')):
        screen.say(f'    {show(one):<48}{show(other)}')
    return [] if both[0] == both[1] else [f'the listings of both clusters differ after {what}']


def listing(connection: Connection) -> Listing:
    """Name, time and hash of each object."""
    return [(row['name'], row['last_modified'], row['hash']) for row in connection.get_container(CONTAINER)[1]]


def show(row: tuple[str, str, str]) -> str:
    name, at, digest = row
    return f'{name:<8} {at[11:23]}  {digest[:12]}' if name else '-'
