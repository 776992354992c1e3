"""Three workers on two nodes, for the freshness tests."""
import itertools
import tempfile
from pathlib import Path

import pytest
from helpers.filter.filtered import Proxy

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.middleware import hit as hit_module

MAX_AGE = 600
NODES = ('one', 'one', 'two')


class Pool:
    """Workers and cache folders that many runs of the machine share: each run has an object of its own."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.stores = {node: Store.create(folder / node) for node in set(NODES)}
        # on a machine with several policies, looks for misplaced objects would be requests that no rule made
        self.proxies = [Proxy(folder / node, folder / f'{number}.db', freshness='coherent', max_age=str(MAX_AGE),
                              detect_misplaced='off')
                        for number, node in enumerate(NODES)]
        self.names = (ObjectName('AUTH_test', 'c', f'o{number}') for number in itertools.count())
        self.patched = pytest.MonkeyPatch()
        # no wait of a hit's is real
        self.patched.setattr(hit_module, 'HOLD_SECONDS', 1e9)
        for proxy in self.proxies:
            if proxy.runtime.tokens.ring is not None:
                proxy.runtime.tokens.ring.close()
            proxy.runtime.count = lambda *_, **__: None
            proxy.runtime.spool.reserve = lambda store, length: True

    def close(self):
        self.patched.undo()
        for proxy in self.proxies:
            proxy.runtime.tokens.ring = None
            del proxy.runtime.recorder.add
            proxy.close()
        self._folder.cleanup()
