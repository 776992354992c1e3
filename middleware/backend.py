"""Requests of the filter's own to the proxy app on its right."""
from collections.abc import Iterator

from swift.common.concurrency import Timeout, spawn
from swift.common.swob import Request, wsgi_quote
from swift.common.utils import close_if_possible, drain_and_close
from swift.common.wsgi import make_subrequest

from ..cache import EntryMeta
from ..cache.rules import etag_of, find

SOURCE = 'SWA'
VALIDATE_SECONDS = 2.0
ALLOW_RESERVED = 'X-Backend-Allow-Reserved-Names'


class BackendChanged(Exception):
    """The backend does not have the version any more of which a part was sent already."""


def _subrequest(env, method, headers):
    req = make_subrequest(env, method, wsgi_quote(env['PATH_INFO']), headers=headers, swift_source=SOURCE,
                          agent='%(orig)s')
    # the request that this one serves was authorised before the cache was asked
    req.environ.pop('swift.authorize', None)
    # a CORS answer would carry headers of the requester, not of the object
    req.environ.pop('HTTP_ORIGIN', None)
    req.environ['QUERY_STRING'] = ''
    if 'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES' in env:
        req.headers[ALLOW_RESERVED] = env['HTTP_X_BACKEND_ALLOW_RESERVED_NAMES']
    return req


def newest_version(app, env: dict, seconds: float = VALIDATE_SECONDS) -> tuple[int, str, str]:
    """Ask all replicas for the object's version.

    A replica that hangs would be waited for as long as proxy-server does, once for each: a plain GET is
    answered by another meanwhile. So the asking goes on by itself where it takes longer than `seconds`.

    :returns: status, X-Backend-Timestamp and ETag; the latter two are '' unless the status is 200;
        status 503 where there was no answer in time
    """
    asking = spawn(_newest_version, app, env)
    with Timeout(seconds, False):
        return asking.wait()
    return 503, '', ''


def _newest_version(app, env):
    req = _subrequest(env, 'HEAD', {'X-Newest': 'true'})
    resp = req.get_response(app)
    drain_and_close(resp)
    if resp.status_int != 200:
        return resp.status_int, '', ''
    return 200, resp.headers.get('X-Backend-Timestamp', ''), resp.headers.get('Etag', '').strip('"')


def is_same_version(meta: EntryMeta, timestamp: str, etag: str) -> bool:
    return (timestamp == find(meta.headers, 'x-backend-timestamp')
            and etag == etag_of(meta.headers))


def rest_of_body(app, env: dict, meta: EntryMeta, start: int, stop: int) -> Iterator[bytes]:
    """Bytes `start` to `stop` (exclusive) of the object's very version, from the backend.

    :raises BackendChanged: where it has another by now, or none
    """
    etag = etag_of(meta.headers)
    req: Request = _subrequest(env, 'GET', {'Range': f'bytes={start}-{stop - 1}', 'If-Match': f'"{etag}"'})
    resp = req.get_response(app)
    try:
        timestamp = resp.headers.get('X-Backend-Timestamp', '')
        found = resp.headers.get('Etag', '').strip('"')
        if resp.status_int != 206 or not is_same_version(meta, timestamp, found):
            raise BackendChanged(f'{resp.status} where bytes {start}-{stop - 1} of {etag} were asked for')
        yield from resp.app_iter
    finally:
        close_if_possible(resp.app_iter)
