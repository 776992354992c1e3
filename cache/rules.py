"""What of a backend's answer may be kept. Headers are pairs of names and values, as WSGI has them."""
from collections.abc import Iterable

from swift.common.utils import Timestamp, config_true_value
from webob.cachecontrol import CacheControl

Headers = Iterable[tuple[str, str]]

# of the moment or of the requester, not of the object
NOT_THE_OBJECTS = frozenset((
    'date', 'x-trans-id', 'x-openstack-request-id', 'connection', 'keep-alive', 'transfer-encoding',
    'te', 'trailer', 'upgrade', 'proxy-authenticate', 'proxy-authorization', 'vary', 'age'))


def find(headers: Headers, key: str) -> str | None:
    """The value of a header; `key` in lower case."""
    # a loop, since a generator's frame costs more than it
    for name, value in headers:
        if name.lower() == key:
            return value
    return None


def etag_of(headers: Headers) -> str:
    return (find(headers, 'etag') or '').strip('"')


def version_of(headers: Headers) -> tuple[str, str]:
    """What tells one version of an object from another: X-Backend-Timestamp, since a POST keeps the ETag,
    and the ETag."""
    return find(headers, 'x-backend-timestamp') or '', etag_of(headers)


def length_of(headers: Headers) -> int:
    """Content-Length in bytes; 0 where there is none, or no number."""
    length = find(headers, 'content-length') or ''
    return int(length) if length.isdecimal() else 0


def is_opted_out(wish: str | None) -> bool:
    """Whether a container's X-Container-Meta-Prefetch keeps its objects out of the cache."""
    return wish is not None and not config_true_value(wish)


def is_older(headers: Headers, timestamp: str) -> bool:
    """Whether an answer with these headers was made before the write of that time ('': no write known)."""
    if not timestamp:
        return False
    own = find(headers, 'x-backend-timestamp')
    return own is None or Timestamp(own) < Timestamp(timestamp)


def uncacheable_reason(headers: Headers, max_object_size: int) -> str | None:
    """Why a complete 200 to a plain GET is not kept; None where it may be.

    :param max_object_size: bytes
    """
    length = find(headers, 'content-length')
    if length is None or not length.isdecimal():
        return 'no-length'
    if int(length) > max_object_size:
        return 'too-large'
    if not etag_of(headers) or find(headers, 'x-backend-timestamp') is None:
        return 'no-version'
    wish = find(headers, 'cache-control')
    stored = CacheControl.parse(wish.lower(), type='response') if wish else None
    if stored is not None and (stored.no_store or stored.private):
        return 'stored-cache-control'
    return None


def objects_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Those that belong to the object, and not to this one answer."""
    return tuple((name, value) for name, value in headers
                 if name.lower() not in NOT_THE_OBJECTS and not name.lower().startswith('access-control-'))
