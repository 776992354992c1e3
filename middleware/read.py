"""Reads: which are the cache's business, and the answers that come from it."""
from collections.abc import Callable, Iterable
from functools import partial

from swift.common.request_helpers import resolve_etag_is_at_header, resolve_ignore_range_header
from swift.common.swob import Response
from swift.proxy.controllers.base import get_container_info

from ..cache import Damaged, Entry, Stamp, Token, TokensUnreachable
from ..cache.rules import version_of
from . import decide
from .authorize import is_allowed
from .backend import SOURCE, newest_version, rest_of_body
from .body import EntryBody
from .client import identify
from .decide import Action, Decision
from .exchange import Exchange, Known
from .miss import miss

Answer = Callable[[], Iterable[bytes]]
PREFETCHED = ('prefetch', 'warm')


def read(exchange: Exchange) -> Iterable[bytes]:
    """Decide, then act: until the answer has begun, whatever goes wrong here is not the client's."""
    try:
        answer = plan(exchange)
    except Exception:  # noqa: BLE001 - a cache that is broken must not be a storage that is broken
        exchange.runtime.logger.exception('cache not used for %s', exchange.name.path)
        answer = exchange.unseen
    return answer()


def plan(exchange: Exchange) -> Answer:
    env, app = exchange.env, exchange.app
    reason = decide.bypass_reason(env, getattr(app, 'deny_host_headers', ()))
    if reason:
        return partial(exchange.passed, f'fwd=bypass; detail={reason}')
    info = get_container_info(env, app, swift_source=SOURCE)
    reason = decide.bypass_container_reason(info)
    if reason:
        return partial(exchange.passed, f'fwd=bypass; detail={reason}')
    if not is_allowed(exchange.req, info['read_acl']):
        return exchange.unseen
    exchange.client = identify(exchange.req, exchange.store.naming)
    exchange.policy_index = int(info['storage_policy'])
    known = exchange.known()
    entry = find_entry(exchange)
    if entry is None:
        return miss(exchange, known, 'fwd=miss')
    return with_entry(exchange, known, entry)


def find_entry(exchange: Exchange) -> Entry | None:
    try:
        return exchange.store.entry(exchange.name)
    except Damaged as error:
        damaged(exchange, error)
    except OSError as error:
        # the disk, or this process's file descriptors; it says nothing of the entry
        exchange.runtime.logger.error('entry of %s not opened: %s', exchange.name.path, error)
    return None


def damaged(exchange: Exchange, error: Exception) -> None:
    exchange.runtime.logger.error('entry of %s is damaged: %s', exchange.name.path, error)
    exchange.runtime.logger.increment('prefetch.damaged')
    exchange.forget()


def with_entry(exchange: Exchange, known: Known, entry: Entry) -> Answer:
    try:
        decision = decide.judge(entry.meta, entry.stamp, known.token, exchange.settings,
                                exchange.policy_index, exchange.runtime.clock())
        if decision.action is Action.VALIDATE:
            decision = validate(exchange, known, entry)
        if decision.action is Action.SERVE:
            return hit(exchange, entry, decision.reason)
    except BaseException:
        entry.close()
        raise
    identity = entry.identity
    entry.close()
    if decision.reason != 'unvalidated':
        exchange.forget(identity)
    return miss(exchange, known, f'fwd=stale; detail={decision.reason}')


def validate(exchange: Exchange, known: Known, entry: Entry) -> Decision:
    """Ask all replicas whether the entry is current; if it is, stamp it."""
    token = token_to_stamp(exchange, known)
    now = exchange.runtime.clock()
    status, version = newest_version(exchange.app, exchange.env)
    if status == 200 and version == version_of(entry.meta.headers):
        if token is not None or exchange.settings.freshness == 'max-age':
            restamp(exchange, entry, Stamp(token.value if token else '', now))
        return Decision(Action.SERVE, 'validated')
    # an error of the backend says nothing of the entry: it stays, and Swift words the answer
    return Decision(Action.MISS, 'changed' if status == 200 or 400 <= status < 500 else 'unvalidated')


def token_to_stamp(exchange: Exchange, known: Known) -> Token | None:
    """The token that the answer to a HEAD may be stamped with; it is read or set before that HEAD."""
    if not known.reachable or known.token is not None:
        return known.settled
    token = Token.new()
    try:
        exchange.runtime.tokens.set(exchange.name, token)
    except TokensUnreachable:
        return None
    return token


def restamp(exchange: Exchange, entry: Entry, stamp: Stamp) -> None:
    try:
        entry.restamp(stamp)
    except OSError as error:
        exchange.runtime.logger.warning('entry of %s cannot be stamped: %s', exchange.name.path, error)


def hit(exchange: Exchange, entry: Entry, reason: str) -> Answer:
    response = response_of(exchange, entry)
    # status and headers are settled here, by the engine that object servers use
    response.fix_conditional_response()
    if response.status_int == 412:
        # proxy-server words a failed precondition anew, and takes a quorum of replicas for it
        entry.close()
        return partial(exchange.passed, 'fwd=bypass; detail=precondition')
    exchange.note('prefetched' if entry.meta.origin in PREFETCHED else 'hit', entry.meta.body_length)
    if exchange.settings.cache_status:
        tell(exchange, response, entry, reason)
    try:
        entry.touch(exchange.runtime.clock())
    except OSError as error:
        exchange.runtime.logger.debug('entry of %s cannot be touched: %s', exchange.name.path, error)
    if exchange.req.method == 'HEAD':
        entry.close()
    # where proxy-server leaves it, and proxy-logging looks for it
    exchange.req.headers['X-Backend-Storage-Policy-Index'] = str(exchange.policy_index)
    return partial(exchange.answer, response)


def response_of(exchange: Exchange, entry: Entry) -> Response:
    headers, req = dict(entry.meta.headers), exchange.req
    resolve_ignore_range_header(req, headers)
    body = None
    if req.method == 'GET':
        rest = partial(rest_of_body, exchange.app, exchange.env, entry.meta)
        body = EntryBody(entry, rest, partial(damaged, exchange))
    return Response(request=req, headers=headers, app_iter=body, conditional_response=True,
                    conditional_etag=resolve_etag_is_at_header(req, headers))


def tell(exchange: Exchange, response: Response, entry: Entry, reason: str) -> None:
    """Say to the client where the answer comes from."""
    validated_at = entry.stamp.at if entry.stamp else entry.meta.fetched_at
    response.headers['Age'] = str(max(0, int(exchange.runtime.clock() - validated_at)))
    response.headers['Cache-Status'] = 'swiftahead; hit' + (f'; detail={reason}' if reason != 'fresh' else '')
    if entry.meta.origin in PREFETCHED:
        response.headers['X-Object-Prefetched'] = 'True'
