"""What several tests make: entries, stores, and a small WSGI app that answers as proxy-server does."""
from hashlib import md5

from swift.common.swob import Response
from swift.proxy.controllers.base import get_cache_key, headers_to_container_info

from swiftahead.cache import EntryMeta, Store
from swiftahead.conf.naming import ObjectName

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
