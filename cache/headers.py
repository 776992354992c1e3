"""Headers of a backend's answer: which are kept, and whether the answer may be. They are pairs of names and
values, as WSGI has them."""
from collections.abc import Iterable

from swift.common.utils import Timestamp, config_true_value

from .lifetime import Lifetime, lifetime_of

Headers = Iterable[tuple[str, str]]

# of the moment or of the connection, not of the object; all others an object server can be told to store, and then
# Swift answers them
NOT_THE_OBJECTS = frozenset(('date', 'x-trans-id', 'x-openstack-request-id', 'connection', 'transfer-encoding'))
# up to this length it is cheaper to read an object than to ask all replicas, as a validation does, whether it is
# current
CHEAP = 64 * 1024


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
    """Tell one version of an object from another: X-Backend-Timestamp, since a POST keeps the ETag, and the
    ETag."""
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


def lifetime(headers: Headers) -> Lifetime:
    """How long the object's owner lets this answer be used."""
    return lifetime_of(find(headers, 'cache-control'), find(headers, 'expires'))


def uncacheable_reason(headers: Headers, max_object_size: int, at: float, whole: int | None = None) -> str | None:
    """Why a complete 200 to a plain GET is not kept; None where it may be.

    :param max_object_size: bytes
    :param at: when it was asked for, in seconds since the epoch
    :param whole: bytes of the object, where the answer is a part of it
    """
    length = find(headers, 'content-length')
    if length is None or not length.isdecimal():
        return 'no-length'
    if int(length) > max_object_size:
        return 'too-large'
    if not etag_of(headers) or find(headers, 'x-backend-timestamp') is None:
        return 'no-version'
    # no hit could tell how old the answer was that came with it
    if find(headers, 'age') is not None:
        return 'stored-age'
    allowed = lifetime(headers)
    if not allowed.keepable:
        return 'stored-cache-control'
    if (int(length) if whole is None else whole) <= CHEAP and allowed.after(at) <= 0:
        return 'validated-each-time'
    return None


def objects_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Those that belong to the object, and not to this one answer."""
    return tuple((name, value) for name, value in headers if name.lower() not in NOT_THE_OBJECTS)
