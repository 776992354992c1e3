"""Identify the client of a request, and tell whether it may do what it asks, exactly as proxy-server does.

proxy-server asks `swift.authorize` before the handler, and where that denied and the handler delays the denial,
again with the container's ACL. `is_allowed` takes back the ACL and the sync key that it sets for that. So Swift
alone authorises a request that is passed on, and words its denial."""
from dataclasses import dataclass

from swift.common.swob import Request
from swift.common.utils import config_true_value, get_remote_client

from ..conf.names import Naming

INFOCACHE_KEY = 'swiftahead.client'


@dataclass(frozen=True)
class ReadingClient:
    """
    :param name: opaque name of the client
    :param no_prefetch: the client sent X-No-Prefetch: a hit may answer, but nothing is captured, learned or
        triggered
    """
    name: str
    no_prefetch: bool


# stands for the client until it is identified: nothing may be captured or learned
NOBODY = ReadingClient('', no_prefetch=True)


def identify(req: Request, naming: Naming) -> ReadingClient:
    """Tell the client of this request's transaction.

    Requests that SLO, DLO and symlink make on behalf of a client carry neither its address nor its
    headers, but share `swift.infocache` with the first one, which leaves the answer there.
    """
    infocache = req.environ.setdefault('swift.infocache', {})
    known = infocache.get(INFOCACHE_KEY)
    if known is None:
        address = get_remote_client(req) or req.environ.get('swift.trans_id', '')
        user = req.environ.get('REMOTE_USER') or req.environ.get('HTTP_X_USER_ID') or ''
        no_prefetch = config_true_value(req.environ.get('HTTP_X_NO_PREFETCH'))
        known = infocache[INFOCACHE_KEY] = ReadingClient(naming.client(user, address), no_prefetch)
    return known


ACL = 'swob.ACL'
SYNC_KEY = 'swift_sync_key'
MISSING = object()


def is_allowed(req: Request, acl: str | None, sync_key: str | None = None) -> bool:
    """Tell whether the request may do what it asks for.

    :param acl: the container's read ACL for GET and HEAD, its write ACL for requests that change objects
    :param sync_key: the container's sync key; only writes are given it
    """
    authorize = req.environ.get('swift.authorize')
    if authorize is None or authorize(req) is None:
        return True
    before = {key: req.environ.get(key, MISSING) for key in (ACL, SYNC_KEY)}
    try:
        req.acl = acl
        if sync_key is not None:
            req.environ[SYNC_KEY] = sync_key
        return authorize(req) is None
    finally:
        for key, value in before.items():
            if value is MISSING:
                req.environ.pop(key, None)
            else:
                req.environ[key] = value
