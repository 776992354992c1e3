"""Look at what a sync did: sync points in the databases, files of objects, and requests in the proxies' logs."""
import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from helpers.lab import clients
from helpers.lab.rawhttp import Raw, raw
from helpers.sync.clusters import ACCOUNT, Side
from swift.common.utils import Timestamp
from swift.container.backend import ContainerBroker

from swiftahead.sidecar.syncer.figures import SyncFigures, read_figures
from swiftahead.sidecar.syncer.wire import AGENT

# method, path, status and user agent; the path is quoted once more than the client did
REQUEST = re.compile(r' (PUT|POST|DELETE|HEAD|GET) (/v1/\S+) HTTP/1\.\d (\d+) \S+ (\S+) ')

# headers of an answer and not of its object
OF_THE_ANSWER = {b'connection', b'date', b'x-trans-id', b'x-openstack-request-id'}
WRITES = ('PUT', 'POST', 'DELETE')


class Sent(NamedTuple):
    """A request that our syncer made."""
    method: str
    name: str
    status: int


def database(side: Side, container: str, node: int = 1) -> Path:
    """The node's copy of a container's database."""
    digest = _digest(f'/{ACCOUNT}/{container}')
    return next(side.lab.layout.node(node).glob(f'*/containers/*/*/{digest}/{digest}*.db'))


def points(side: Side, container: str, node: int = 1) -> tuple[int, int]:
    """The sync points."""
    with closing(sqlite3.connect(database(side, container, node))) as connection:
        return connection.execute(
            'SELECT x_container_sync_point1, x_container_sync_point2 FROM container_info').fetchone()


def names_up_to(side: Side, container: str, row: int) -> list[str]:
    """Names of the rows up to one, in their order."""
    rows = ContainerBroker(str(database(side, container))).get_items_since(-1, 10**6)
    return [one['name'] for one in rows if one['ROWID'] <= row]


def files(side: Side, container: str, name: str) -> list[Path]:
    """What the object servers keep of an object."""
    return sorted(side.lab.folder.glob(f'node*/*/objects/*/*/{_digest(f"/{ACCOUNT}/{container}/{name}")}/*'))


def known(side: Side, container: str, node: int = 1) -> SyncFigures | None:
    """Figures of a container in the ledgers of a node; None where there are none."""
    return next((one for one in read_figures(side.lab.layout.node(node)) if one.container == container), None)


def stored(side: Side, container: str, name: str, query: str = '') -> tuple[set[bytes], bytes]:
    """What a client gets, byte by byte: status and headers, but for those of the answer, and body."""
    path = f'/v1/{ACCOUNT}/{container}/{quote(name)}{query}'
    with closing(Raw(side.lab, 0)) as connection:
        connection.send(raw('GET', path, clients.token(side.lab), 'Connection: close'))
        head, _, body = connection.read().partition(b'\r\n\r\n')
    lines = {line for line in head.split(b'\r\n') if line.partition(b':')[0].lower() not in OF_THE_ANSWER}
    return lines, body


def sent(side: Side, container: str, *methods: str) -> list[Sent]:
    """Requests of syncers for objects that a side's proxy has answered.

    :param methods: by default those that write
    """
    found = []
    for method, url, status, agent in REQUEST.findall(side.lab.log('proxy1').read_text()):
        _, is_inside, name = unquote(unquote(url).partition('?')[0]).partition(f'/{ACCOUNT}/{container}/')
        if agent == AGENT and is_inside and method in (methods or WRITES):
            found.append(Sent(method, name, int(status)))
    return found


def status(side: Side, container: str, name: str) -> int:
    """The answer to a GET of an object."""
    return clients.request(side.lab, 'GET', f'/v1/{ACCOUNT}/{container}/{quote(name)}').status


def change_metadata(side: Side, container: str, metadata: dict[str, str]) -> None:
    """Change metadata of a container, past all that would refuse it."""
    ContainerBroker(str(database(side, container))).update_metadata(
        {key: (value, Timestamp.now().internal) for key, value in metadata.items()})


@contextmanager
def configured(path: Path, change: Callable[[str], str] = str, **sections: dict[str, str]) -> Iterator[None]:
    """Let a conf hold further options meanwhile. :param change: of its text :param sections: option -> value"""
    before = path.read_text()
    conf = ConfigParser(interpolation=None)
    conf.read_string(change(before))
    conf.read_dict(sections)
    try:
        with path.open('w') as file:
            conf.write(file)
        yield
    finally:
        path.write_text(before)


def _digest(path):
    return hashlib.md5(f'lab{path}lab'.encode(), usedforsecurity=False).hexdigest()
