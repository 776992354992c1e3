"""Ask Swift on the filter's own behalf: send requests to the proxy app on its right, look up the container's info.

Where the info has to be looked up in memcached, it is asked for in one go with the object's token. The answer
is left where Swift's own function would leave it. No caller may change it: Swift uses the same dicts for the rest
of the transaction."""
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from swift.common.concurrency import Timeout, spawn
from swift.common.swob import Request, wsgi_quote
from swift.common.utils import cache_from_env, close_if_possible, drain_and_close
from swift.common.wsgi import make_pre_authed_request, make_subrequest
from swift.proxy.controllers.base import get_cache_key, get_container_info

from ..cache import EntryMeta
from ..cache.headers import etag_of, version_of
from ..conf.names import ObjectName
from ..freshness.memcache_client import MemcacheAnswer, MemcacheClient
from ..freshness.memcache_connection import MemcacheError
from ..misplaced.servers import POLICY

# gives a range of an object's bytes from the backend
Rest = Callable[[int, int], Iterator[bytes]]
SOURCE = 'SWA'
VALIDATE_SECONDS = 2.0
ALLOW_RESERVED = 'X-Backend-Allow-Reserved-Names'


class BackendChanged(Exception):
    """The backend no longer has the version of which a part was sent already."""


def _subrequest(env, method, headers):
    req = make_subrequest(env, method, wsgi_quote(env['PATH_INFO']), headers=headers, swift_source=SOURCE,
                          agent='%(orig)s')
    # the request that this one serves was authorised before the cache was asked
    req.environ.pop('swift.authorize', None)
    # a CORS answer would carry headers of the requester, not of the object
    req.environ.pop('HTTP_ORIGIN', None)
    return _completed(req, env)


def _completed(req, env):
    req.environ['QUERY_STRING'] = ''
    if 'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES' in env:
        req.headers[ALLOW_RESERVED] = env['HTTP_X_BACKEND_ALLOW_RESERVED_NAMES']
    return req


def head_in_policy(app, env: dict, name: ObjectName, policy_index: int) -> tuple[int, Mapping[str, str]]:
    """Ask for the newest copy that the policy has, on behalf of a request whose client was authorised.

    :param env: the environment of that request, read only
    """
    req: Request = _completed(make_pre_authed_request(
        env, 'HEAD', quote(f'/v1{name.path}'), agent='%(orig)s', swift_source=SOURCE,
        headers={'X-Newest': 'true', POLICY: str(policy_index)}), env)
    resp = req.get_response(app)
    drain_and_close(resp)
    return resp.status_int, resp.headers


def newest_version(app, env: dict, seconds: float = VALIDATE_SECONDS) -> tuple[int, tuple[str, str]]:
    """Ask all replicas for the object's version.

    A replica that hangs would be waited for as long as proxy-server does, once for each: a plain GET is
    answered by another meanwhile. So the asking goes on by itself where it takes longer than `seconds`.

    :returns: status, and the version as `cache.headers.version_of` tells it; status 503 where there was no
        answer in time
    """
    asking = spawn(_newest_version, app, env)
    with Timeout(seconds, False):
        return asking.wait()
    return 503, version_of(())


def _newest_version(app, env):
    req = _subrequest(env, 'HEAD', {'X-Newest': 'true'})
    resp = req.get_response(app)
    drain_and_close(resp)
    return resp.status_int, version_of(resp.headers.items())


def rest_of_body(app, env: dict, meta: EntryMeta, start: int, stop: int) -> Iterator[bytes]:
    """Get bytes `start` to `stop` (exclusive) of the object's very version from the backend.

    :raises BackendChanged: where the backend has another version by now, or none
    """
    etag = etag_of(meta.headers)
    req: Request = _subrequest(env, 'GET', {'Range': f'bytes={start}-{stop - 1}', 'If-Match': f'"{etag}"'})
    resp = req.get_response(app)
    try:
        if resp.status_int != 206 or version_of(resp.headers.items()) != version_of(meta.headers):
            raise BackendChanged(f'{resp.status} where bytes {start}-{stop - 1} of {etag} were asked for')
        yield from resp.app_iter
    finally:
        close_if_possible(resp.app_iter)


INFOCACHE = 'swift.infocache'


def key_to_ask(env: dict, app, client: MemcacheClient | None, name: ObjectName) -> str | None:
    """Return the key to ask memcached for; None where Swift has the info already, or would ask elsewhere."""
    key = get_cache_key(name.account, name.container)
    if key in env.get(INFOCACHE, ()) or getattr(app, 'container_existence_skip_cache', 0):
        return None
    return key if client is not None and client.has_servers_of(cache_from_env(env, True)) else None


def container_info(env: dict, app, name: ObjectName, answer: MemcacheAnswer | None = None) -> dict:
    """Return the info of `get_container_info`, in which numbers may still be texts.

    :param answer: memcached's answer to the key of `key_to_ask`
    """
    key = get_cache_key(name.account, name.container)
    info = env.get(INFOCACHE, {}).get(key)
    if not info and answer is not None:
        info = _taken(answer)
        if info:
            env.setdefault(INFOCACHE, {})[key] = info
    # Swift's ring has more patience and other servers, and Swift can ask the container itself
    return info or get_container_info(env, app, swift_source=SOURCE)


def look_up(env: dict, app, client: MemcacheClient | None, name: ObjectName) -> dict:
    """Return the container's info; ask memcached ourselves where Swift would, so that the answer serves both."""
    key = key_to_ask(env, app, client, name)
    answer = client.ask(key)[0] if client is not None and key is not None else None
    return container_info(env, app, name, answer)


def _taken(answer):
    try:
        found = answer.take()
    except MemcacheError:
        return None
    return found if isinstance(found, dict) and 'status' in found else None
