"""Authorisation exactly as proxy-server does it, without its consequences.

proxy-server asks `swift.authorize` before the handler, and where that denied and the handler
delays the denial, again with the container's ACL. Whatever is set for that is taken back, so that a
request that is passed on is authorised, and its denial worded, by Swift alone.
"""
from swift.common.swob import Request

ACL = 'swob.ACL'
SYNC_KEY = 'swift_sync_key'
MISSING = object()


def is_allowed(req: Request, acl: str | None, sync_key: str | None = None) -> bool:
    """Whether the request may do what it asks.

    :param acl: the container's read ACL for GET and HEAD, its write ACL for what changes objects
    :param sync_key: the container's sync key, which only writes are given
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
