"""What worlds of containers to be synced have in common and is dear to make."""
import logging
import shutil
import tempfile
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import pytest
from helpers.common.builders import NOW, make_swift_dir
from helpers.sync.memory import CONTAINER
from swift.common.ring import Ring, RingBuilder
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp
from swift.container.backend import ContainerBroker

SILENT = logging.getLogger('syncing')
SILENT.disabled = True
for name in ('increment', 'timing_since', 'timing', 'update_stats'):
    setattr(SILENT, name, lambda *_, **__: None)
ONE_WAY, BOTH_WAYS, RING = {'a': 'b'}, {'a': 'b', 'b': 'a'}, {'a': 'b', 'b': 'c', 'c': 'a'}
# in memory where there is such a place: the databases are made durable again and again
MEMORY = Path('/dev/shm')


class Site:
    """What worlds have in common and is dear to make: rings, realms, and databases without rows.

    :param patch: pytest's MonkeyPatch
    """

    def __init__(self, folder: Path, patch):
        self.folder, self.site_files = folder, folder / 'swift'
        self.site_files.mkdir()
        make_swift_dir(self.site_files, patch)
        realms = ConfigParser()
        realms['r'] = {'key': 'k', **{f'cluster_{host}': f'http://{host}/v1/' for host in RING}}
        with open(self.site_files / 'container-sync-realms.conf', 'w') as file:
            realms.write(file)

    @cache  # noqa: B019 - as long as the site lives
    def swift_dir(self, replicas: int) -> Path:
        folder = self.folder / f'replicas{replicas}'
        shutil.copytree(self.site_files, folder)
        builder = RingBuilder(2, replicas, 0)
        for number in range(replicas):
            builder.add_dev({'region': 1, 'zone': number, 'ip': '127.0.0.1', 'port': 6201 + number, 'weight': 1.0,
                             'device': 'd', 'replication_ip': '127.0.0.1', 'replication_port': 6201 + number})
        builder.rebalance(seed='test')
        builder.get_ring().save(str(folder / 'container.ring.gz'))
        return folder

    @cache  # noqa: B019
    def ring(self, replicas: int) -> Ring:
        return Ring(str(self.swift_dir(replicas)), ring_name='container')

    @cache  # noqa: B019
    def database(self, to: str) -> Path:
        """Make the database of a container that is synced to a host."""
        path = self.folder / f'to-{to}' / 'x.db'
        path.parent.mkdir()
        broker = ContainerBroker(str(path), account=CONTAINER[0], container=CONTAINER[1], logger=SILENT)
        broker.initialize(Timestamp(NOW - 1000).internal, POLICIES.default.idx)
        broker.update_metadata({key: (value, Timestamp(NOW - 999).internal) for key, value in (
            ('X-Container-Sync-To', f'//r/{to}/AUTH_test/c'), ('X-Container-Sync-Key', 'u'))})
        broker.get_info()
        broker.conn.close()
        return path


@pytest.fixture(scope='module', name='site')
def site_fixture():
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(
            dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Site(Path(folder), patch)
