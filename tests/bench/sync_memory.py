"""How much memory the syncer takes for a container of very many rows, all of them in step.

The rows are made by hand, without objects. In place of the other cluster a server on loopback answers each HEAD
with an object that is newer.
"""
import asyncio
import threading
import time
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import closing
from pathlib import Path

from helpers.lab import labs
from helpers.sync.clusters import ACCOUNT, SMALL
from swift.common.utils import Timestamp
from swift.container.backend import ContainerBroker

from bench import load
from bench.common import BenchError, Table, say
from bench.passes import Daemon
from swiftahead.lab import Lab
from swiftahead.lab.spec import HOST, REALM

FEW = 10_000
BATCH = 10_000
POLL = 0.05
MIB = 1 << 20
CONTAINER = 'many'


class Other:
    """The other cluster: each object is there, and newer. It lives in a thread.

    :ivar asked: requests that were answered
    """

    def __init__(self):
        self.asked = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._over = asyncio.Event()

    def __enter__(self) -> 'Other':
        self._thread.start()
        self._is_ready.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self):
        # a day is the most that the syncer believes
        at = Timestamp(time.time() + 3600).internal
        self._answer = (f'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Timestamp: {at}\r\nEtag: none\r\n'
                        'Connection: keep-alive\r\n\r\n').encode()
        async with await asyncio.start_server(self._talk, HOST, 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._is_ready.set()
            await self._over.wait()

    async def _talk(self, reader, writer):
        with closing(writer):
            while True:
                try:
                    await reader.readuntil(b'\r\n\r\n')
                except (asyncio.IncompleteReadError, ConnectionError):
                    return
                self.asked += 1
                writer.write(self._answer)


def measured(folder: Path, daemon: Daemon, rows: int, minutes: float) -> Table:
    """Give the syncer's peak of memory after some rows, and after as many as the minutes allow."""
    with Lab(folder, **SMALL) as lab, Other() as other:
        daemon.configure(lab)
        broker = made(lab, other.port)
        fill(broker, rows)
        found = list(peaks(lab, daemon, other, min(FEW, rows), rows, time.monotonic() + minutes * 60))
    return Table(f'Memory of the syncer, a container of {rows:,} rows', ('rows looked at', 'peak MiB', 'rows/s'),
                 found)


def made(lab: Lab, port: int) -> ContainerBroker:
    """Make a container that is synced to the port; give its database."""
    add_cluster(lab, 'other', port)
    with closing(labs.connection(lab)) as client:
        client.put_container(CONTAINER, {'X-Container-Sync-To': f'//{REALM}/other/{ACCOUNT}/{CONTAINER}',
                                         'X-Container-Sync-Key': 'secret'})
    found = list(lab.layout.node(1).glob('*/sync_containers/**/*.db'))
    if len(found) != 1:
        raise BenchError(f'the sync store holds {len(found)} containers, not one')
    return ContainerBroker(str(found[0].resolve()))


def add_cluster(lab: Lab, name: str, port: int) -> None:
    path, conf = lab.swift_dir / 'container-sync-realms.conf', RawConfigParser()
    conf.read(path)
    conf.set(REALM, f'cluster_{name}', f'http://{HOST}:{port}/v1/')
    with path.open('w') as file:
        conf.write(file)


def fill(broker: ContainerBroker, rows: int) -> None:
    """Make rows of objects that are not there."""
    at = Timestamp.now().internal
    say(f'  making {rows:,} rows')
    for first in range(0, rows, BATCH):
        broker.merge_items([{
            'name': f'{number:09}', 'created_at': at, 'size': 10_000, 'content_type': 'text/plain', 'etag': 'none',
            'deleted': 0, 'storage_policy_index': 0} for number in range(first, min(first + BATCH, rows))])


def peaks(lab: Lab, daemon: Daemon, other: Other, few: int, rows: int, deadline: float) -> Iterator[tuple]:
    """Give the rows that were looked at, peak and rate, after a few and at the end."""
    with daemon.started(lab) as process:
        begin = None
        for wanted in (few, rows):
            peak = 0
            while other.asked < wanted and process.poll() is None and time.monotonic() < deadline:
                peak = load.peak_bytes(process.pid) or peak
                begin = begin or (time.monotonic() if other.asked else None)
                time.sleep(POLL)
            say(f'  {other.asked:,} rows, {peak / MIB:.1f} MiB')
            yield other.asked, peak / MIB, other.asked / (time.monotonic() - begin) if begin else None
