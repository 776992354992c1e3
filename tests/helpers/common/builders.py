"""What several tests make: entries, stores, and a small WSGI app that answers as proxy-server does."""
import json
from configparser import ConfigParser
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

from swift.common import storage_policy, utils
from swift.common.internal_client import InternalClient
from swift.common.ring import RingBuilder
from swift.common.swob import Response, wsgi_to_str
from swift.common.utils.logs import get_swift_logger
from swift.proxy.controllers.base import get_cache_key, headers_to_container_info

from swiftahead.cache import EntryMeta, Store
from swiftahead.conf.names import ObjectName
from swiftahead.freshness import Token, TokensUnreachable

NAME = ObjectName('AUTH_test', 'c', 'o')
NOW = 1_800_000_000.0


def headers_for(body: bytes, timestamp: str = '1799999999.00000', **more) -> tuple[tuple[str, str], ...]:
    return (('Content-Type', 'text/plain'), ('Etag', md5(body).hexdigest()),
            ('Last-Modified', 'Fri, 15 Jan 2027 08:00:00 GMT'), ('X-Timestamp', timestamp),
            ('X-Backend-Timestamp', timestamp), ('Accept-Ranges', 'bytes'),
            ('Content-Length', str(len(body))), *((key.replace('_', '-'), more[key]) for key in more))


def meta_for(body: bytes, name: ObjectName = NAME, origin: str = 'read', **more) -> EntryMeta:
    return EntryMeta(name, 0, headers_for(body, **more), len(body), origin, NOW)


def spool(store: Store, body: bytes, stamp=None, **more) -> str:
    """A whole spool file; its name."""
    writer = store.writer(meta_for(body, **more))
    try:
        writer.write(body)
        writer.finish(stamp)
    finally:
        writer.close()
    return writer.name


def link(store: Store, body: bytes, stamp=None, **more):
    """An entry, linked."""
    return store.admit(spool(store, body, stamp, **more))


class FakeSwift:
    """Objects of one container, answered with swob's own engine; keeps what it was asked."""

    def __init__(self):
        self.objects: dict[str, tuple[tuple, bytes]] = {}
        self.requests: list[tuple[str, str, dict]] = []

    def put(self, path: str, body: bytes, **more) -> None:
        self.objects[path] = headers_for(body, **more), body

    def __call__(self, env, start_response):
        self.requests.append((env['REQUEST_METHOD'], env['PATH_INFO'],
                              {key: value for key, value in env.items() if key.startswith('HTTP_')}))
        denied = self._denied(env)
        if denied:
            return Response(status=denied)(env, start_response)
        if env['REQUEST_METHOD'] not in ('GET', 'HEAD'):
            return Response(status=201)(env, start_response)
        found = self.objects.get(env['PATH_INFO'])
        if found is None:
            return Response(status=404)(env, start_response)
        headers, body = found
        return Response(body=body, headers=dict(headers), conditional_response=True)(env, start_response)

    def _denied(self, env):
        if 'swift.authorize' not in env:
            return None
        from swift.common.swob import Request
        answer = env['swift.authorize'](Request(env))
        return 403 if answer is not None else None


def container_info(status: int = 200, **headers) -> dict:
    return headers_to_container_info({'x-backend-storage-policy-index': '0', **headers}, status)


def infocache(info: dict, account: str = NAME.account, container: str = NAME.container) -> dict:
    return {get_cache_key(account, container): info}


class ListLogger:
    """Keeps what it was told; has as much of Swift's loggers as the rooms use."""

    def __init__(self):
        self.said: list[str] = []
        self.counts: list[str] = []

    def info(self, text, *args):
        self.said.append(text % (args[0] if len(args) == 1 and isinstance(args[0], dict) else args))

    debug = warning = error = exception = info

    def increment(self, name):
        self.counts.append(name)

    def update_stats(self, name, by):
        self.counts.append(name)

    def timing(self, *_, **__):
        pass

    timing_since = timing


class FakeTokens:
    """A token ring in memory; `journal` gets what is set, in order."""
    client = None

    def __init__(self, token=None, reachable=True, journal=None):
        self.token = token
        self.reachable = reachable
        self.journal = [] if journal is None else journal

    def get(self, name):
        if not self.reachable:
            raise TokensUnreachable('nobody there')
        return self.token

    def ask(self, name):
        asked = self.token
        return SimpleNamespace(take=lambda: self.get(name) and asked)

    def announce(self, name, token):
        self.set(name, token)
        return token

    def replace(self, name, announced, token):
        if self.get(name) != announced:
            return False
        self.set(name, token)
        return True

    def set(self, name, token):
        if not self.reachable:
            raise TokensUnreachable('nobody there')
        self.token = token
        self.journal.append(token)

    def ensure(self, name):
        if self.get(name) is None:
            self.set(name, Token.new())
        return self.token

    def end(self, name):
        token = self.get(name)
        if token is not None and not token.pending:
            self.set(name, Token.new(timestamp=token.timestamp))


class Chunks:
    """A body: bytes are given, exceptions raised, callables called."""

    def __init__(self, items):
        self._items = iter(items)
        self.closed = False

    def __iter__(self):
        for item in self._items:
            if isinstance(item, BaseException):
                raise item
            if callable(item):
                item()
            else:
                yield item

    def close(self):
        self.closed = True


class FakeCluster:
    """Containers and objects as an app for a real InternalClient; keeps what it was asked."""

    def __init__(self, container='/v1/AUTH_test/c', **headers):
        self.containers = {container: {'X-Backend-Storage-Policy-Index': '0', **headers}}
        self.objects: dict[str, tuple] = {}
        self.failing: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict]] = []
        self.bodies: list[Chunks] = []
        self._pipeline_final_app = SimpleNamespace(get_object_ring=None, container_ring=None, account_ring=None,
                                                   auto_create_account_prefix='.')

    def client(self) -> InternalClient:
        return InternalClient(None, 'test', 1, app=self)

    def put(self, name: ObjectName, body: bytes, chunks=None, **more) -> None:
        """:param chunks: what is sent, where it is not the body whole"""
        self.objects['/v1' + name.path] = headers_for(body, **more), [body] if chunks is None else chunks

    def asked(self, method: str) -> list[str]:
        return [path for asked, path, _ in self.requests if asked == method]

    def __call__(self, env, start_response):
        path = wsgi_to_str(env['PATH_INFO'])
        self.requests.append((env['REQUEST_METHOD'], path, env))
        status, headers, items = self._answer(env, path)
        start_response(status, list(headers))
        self.bodies.append(Chunks(items))
        return self.bodies[-1]

    def _answer(self, env, path):
        if path in self.failing:
            return self.failing[path], (), []
        if path in self.containers:
            listing = self._listing(env, path) if env['REQUEST_METHOD'] == 'GET' else b''
            return '200 OK', self.containers[path].items(), [listing]
        if path in self.objects:
            return '200 OK', *self.objects[path]
        return '404 Not Found', (), []

    def _listing(self, env, path):
        asked = dict(parse_qsl(env['QUERY_STRING']))
        marker, reverse = asked.get('marker', ''), asked.get('reverse') == 'true'
        found = [{'name': key[len(path) + 1:], 'bytes': int(dict(headers)['Content-Length'])}
                 for key, (headers, _) in sorted(self.objects.items(), reverse=reverse)
                 if key.startswith(path + '/')]
        shown = [item for item in found
                 if not marker or (item['name'] < marker if reverse else item['name'] > marker)
                 if item['name'].startswith(asked.get('prefix', ''))]
        return json.dumps(shown[:int(asked.get('limit', 10000))]).encode()


def make_swift_dir(folder: Path, monkeypatch) -> None:
    """What an app of Swift's proxy wants to see, and nothing of this machine's own Swift.

    Nothing listens where the rings point to.
    """
    monkeypatch.setattr(utils, 'HASH_PATH_SUFFIX', b'test')
    monkeypatch.setattr(storage_policy, '_POLICIES', storage_policy.parse_storage_policies(ConfigParser()))
    for name in ('account', 'container', 'object'):
        builder = RingBuilder(2, 1, 0)
        builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': 1, 'weight': 1.0, 'device': 'd',
                         'replication_ip': '127.0.0.1', 'replication_port': 1})
        builder.rebalance(seed='test')
        builder.get_ring().save(str(folder / f'{name}.ring.gz'))


def never() -> bool:
    """When a pass is over early."""
    return False


def close_logs() -> None:
    """Close what Swift's get_logger opened and never closes."""
    # Swift sets it with the first logger
    for handler in getattr(get_swift_logger, 'handler4logger', {}).values():
        handler.close()
