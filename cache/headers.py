"""Decide by headers whether a backend's answer may be kept, which of its headers, and for how long.

Headers are pairs of names and values, as WSGI has them. The object's owner stores Cache-Control and Expires, which
are read as RFC 9111 wants it of a shared cache. They can only shorten trust, so a value that cannot be read counts
as stale. WebOb's parser does not do for that: it takes the last of two values, and of a malformed header the part
that it can read.
"""
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate, mktime_tz, parsedate_tz
from math import inf

from swift.common.utils import Timestamp, config_true_value

Headers = Iterable[tuple[str, str]]
Directives = dict[str, list[str]]

# headers of the moment or the connection; a client can have an object server store all others, and then Swift
# answers them
NOT_THE_OBJECTS = frozenset(('date', 'x-trans-id', 'x-openstack-request-id', 'connection', 'transfer-encoding'))
# length up to which reading an object is cheaper than a validation, which asks all replicas
CHEAP = 64 * 1024
WORD = r"[!#$%&'*+.^_`|~0-9a-z-]+"
# one element of the list, which may be empty, and the comma after it; blanks match in one way only, else many of
# them would take seconds
ELEMENT = re.compile(rf'[ \t]*(?:({WORD})(?:=({WORD}|"(?:[^"\\]|\\.)*"))?[ \t]*)?(?:,|\Z)')
DELTA_SECONDS = re.compile(r'[0-9]{1,18}')


def directives(header: str | None) -> Directives | None:
    """Parse a Cache-Control header into its directives, in lower case, and their values; None: it is malformed."""
    text, found, position = (header or '').lower(), {}, 0
    while position < len(text):
        element = ELEMENT.match(text, position)
        if element is None:
            return None
        name, value = element.groups()
        if name:
            found.setdefault(name, []).append((value or '').strip('"'))
        position = element.end()
    return found


def seconds_of(values: Iterable[str]) -> float:
    """Give the least of a directive's values; 0 where one of them is no number."""
    return float(min(int(value) if DELTA_SECONDS.fullmatch(value) else 0 for value in values))


def time_of(date: str) -> float:
    """Parse an HTTP date in its one preferred form, to seconds since the epoch; 0 for all else."""
    parsed = parsedate_tz(date)
    try:
        found = float(mktime_tz(parsed)) if parsed else 0.0
        return found if formatdate(found, usegmt=True) == date else 0.0
    except (ValueError, OverflowError, OSError):
        return 0.0


@dataclass(frozen=True)
class Lifetime:
    """
    :param keepable: False where no cache that others share may keep the answer
    :param seconds: seconds for which an answer is fresh, from when it was made
    :param until: when an answer ceases to be fresh, in seconds since the epoch
    """
    keepable: bool = True
    seconds: float = inf
    until: float = inf

    def after(self, at: float) -> float:
        """Count the seconds for which an answer made at `at` is fresh; 0 or less: validate it at each use."""
        return min(self.seconds, self.until - at)


def lifetime_of(cache_control: str | None, expires: str | None) -> Lifetime:
    """Tell how long an object's stored Cache-Control and Expires let it be used; None: not stored."""
    wishes = directives(cache_control)
    if wishes is None:
        return Lifetime(not re.search('no-store|private', (cache_control or '').lower()), 0.0)
    keepable = not wishes.keys() & {'no-store', 'private'}
    if 'no-cache' in wishes:
        return Lifetime(keepable, 0.0)
    for name in ('s-maxage', 'max-age'):
        if name in wishes:
            return Lifetime(keepable, seconds_of(wishes[name]))
    return Lifetime(keepable, until=inf if expires is None else time_of(expires))


@dataclass(frozen=True)
class Wishes:
    """The wishes that a request's Cache-Control has of caches.

    :param is_past: whether the answer must come from past all caches
    :param age: the age in seconds that the client accepts at most
    """
    is_past: bool = False
    age: float = inf


NO_WISHES = Wishes()


def wishes_of(header: str | None) -> Wishes:
    """Read a request's Cache-Control; an age of 0 where it cannot be read."""
    if not header:
        return NO_WISHES
    found = directives(header)
    if found is None:
        return Wishes(age=0.0)
    return Wishes(bool(found.keys() & {'no-cache', 'no-store'}),
                  seconds_of(found['max-age']) if 'max-age' in found else inf)


# -- keeping answers ---------------------------------------------------------------------------------------

def find(headers: Headers, key: str) -> str | None:
    """Find the value of a header; `key` in lower case."""
    # a loop, since a generator's frame costs more than it
    for name, value in headers:
        if name.lower() == key:
            return value
    return None


def etag_of(headers: Headers) -> str:
    return (find(headers, 'etag') or '').strip('"')


def version_of(headers: Headers) -> tuple[str, str]:
    """Give the headers by which versions of an object differ: ETag, and X-Backend-Timestamp, since a POST keeps
    the ETag."""
    return find(headers, 'x-backend-timestamp') or '', etag_of(headers)


def length_of(headers: Headers) -> int:
    """Read Content-Length, in bytes; 0 where there is none, or no number."""
    length = find(headers, 'content-length') or ''
    return int(length) if length.isdecimal() else 0


def is_opted_out(wish: str | None) -> bool:
    """Tell whether a container's X-Container-Meta-Prefetch keeps its objects out of the cache."""
    return wish is not None and not config_true_value(wish)


def is_older(headers: Headers, timestamp: str) -> bool:
    """Tell whether an answer with these headers is older than the write of that time ('': no write known)."""
    if not timestamp:
        return False
    own = find(headers, 'x-backend-timestamp')
    return own is None or Timestamp(own) < Timestamp(timestamp)


def lifetime(headers: Headers) -> Lifetime:
    """Tell how long the object's owner lets this answer be used."""
    return lifetime_of(find(headers, 'cache-control'), find(headers, 'expires'))


def uncacheable_reason(headers: Headers, max_object_size: int, at: float, whole: int | None = None) -> str | None:
    """Tell why a complete 200 to a plain GET is not kept; None where it may be kept.

    :param max_object_size: bytes
    :param at: when the answer was asked for, in seconds since the epoch
    :param whole: bytes of the object, where the answer is a part of it
    """
    length = find(headers, 'content-length')
    if length is None or not length.isdecimal():
        return 'no-length'
    if int(length) > max_object_size:
        return 'too-large'
    if not etag_of(headers) or find(headers, 'x-backend-timestamp') is None:
        return 'no-version'
    # no hit could tell how old the answer was when it came
    if find(headers, 'age') is not None:
        return 'stored-age'
    allowed = lifetime(headers)
    if not allowed.keepable:
        return 'stored-cache-control'
    if (int(length) if whole is None else whole) <= CHEAP and allowed.after(at) <= 0:
        return 'validated-each-time'
    return None


def objects_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Leave out the headers that belong to this one answer, and not to the object."""
    return tuple((name, value) for name, value in headers if name.lower() not in NOT_THE_OBJECTS)
