"""A9: nothing of the project runs what it reads, be it from the cache folder, the queue or memcached."""
import ast
import os
import pickle
import socket
from contextlib import closing
from pathlib import Path

import pytest
from helpers.freshness.memcacheds import Server
from swift.common.memcached import md5hash

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.parent.name for path in ROOT.glob('*/__init__.py'))


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def plant_value(server, flags, value):
    with socket.create_connection(('127.0.0.1', server.port), timeout=10) as client:
        client.sendall(b'set %s %d 0 %d\r\n%s\r\n' % (md5hash('planted'), flags, len(value), value))
        assert client.recv(100) == b'STORED\r\n'


@pytest.mark.holds('A9')
def test_what_is_pickled_in_memcached_is_not_unpickled(tmp_path):
    """CVE-2012-4406. Bit 1 of the flags is Swift's old mark of a pickle."""
    with closing(Server()) as server, closing(server.new_ring()) as ring:
        evil = pickle.dumps(Evil(tmp_path / 'harm'), protocol=0)
        for flags in (0, 1, 2, 3):
            plant_value(server, flags, evil)
            assert ring.client.ask('planted')[0].take() is None
        assert not (tmp_path / 'harm').exists()


# what runs or makes objects of what it reads
RUNS = {'pickle', 'cPickle', '_pickle', 'dill', 'cloudpickle', 'marshal', 'shelve', 'jsonpickle', 'joblib', 'yaml',
        'dbm', 'code', 'codeop'}
CALLS = {'eval', 'exec', 'compile', '__import__', 'system', 'popen', 'mktemp', 'loads_unsafe', 'unsafe_load'}


def nodes():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob('*.py')):
            for node in ast.walk(ast.parse(path.read_text())):
                yield path.relative_to(ROOT), node


@pytest.mark.holds('A9')
def test_nothing_of_the_project_imports_what_runs_what_it_reads():
    found = {(str(path), alias.name) for path, node in nodes() if isinstance(node, ast.Import | ast.ImportFrom)
             for alias in [*node.names, ast.alias(getattr(node, 'module', '') or '')]}
    assert ('cache/entry.py', 'json') in found
    assert [item for item in found if RUNS & set(item[1].split('.'))] == []


@pytest.mark.holds('A9')
def test_nothing_of_the_project_runs_text():
    called = {(str(path), getattr(node.func, 'id', getattr(node.func, 'attr', ''))): node
              for path, node in nodes() if isinstance(node, ast.Call)}
    assert ('cache/store.py', 'loads') in called
    found = [key for key in called if key[1] in CALLS and key != ('metrics/totals.py', 're.compile')]
    assert [key for key in found if not _is_of_re(called[key])] == []


def _is_of_re(node):
    return isinstance(node.func, ast.Attribute) and getattr(node.func.value, 'id', '') == 're'


@pytest.mark.holds('A9')
def test_no_shell_is_started():
    keywords = [(str(path), node.arg) for path, node in nodes() if isinstance(node, ast.keyword)]
    assert [item for item in keywords if item[1] == 'shell'] == [] and len(keywords) > 100
