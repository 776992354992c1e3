"""How long the owner of an object lets an answer be used without asking Swift again: the stored Cache-Control and
Expires, read as RFC 9111 wants it of a shared cache.

They can only shorten trust, so what cannot be read counts as stale. WebOb's parser does not do for that: it takes
the last of two values, and of a malformed header what it can read.
"""
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate, mktime_tz, parsedate_tz
from math import inf

Directives = dict[str, list[str]]

WORD = r"[!#$%&'*+.^_`|~0-9a-z-]+"
# one element of the list, which may be empty, and the comma behind it; blanks can be matched in one way only, or
# many of them would take seconds
ELEMENT = re.compile(rf'[ \t]*(?:({WORD})(?:=({WORD}|"(?:[^"\\]|\\.)*"))?[ \t]*)?(?:,|\Z)')
DELTA_SECONDS = re.compile(r'[0-9]{1,18}')


def directives(header: str | None) -> Directives | None:
    """The directives of a Cache-Control header, in lower case, with their values; None: it is malformed."""
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
    """The least of a directive's values; 0 where one of them is no number."""
    return float(min(int(value) if DELTA_SECONDS.fullmatch(value) else 0 for value in values))


def time_of(date: str) -> float:
    """Seconds since the epoch of an HTTP date in its one preferred form; 0 for all else."""
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
    :param seconds: for which an answer is fresh, from when it was made
    :param until: seconds since the epoch at which it ceases to be fresh
    """
    keepable: bool = True
    seconds: float = inf
    until: float = inf

    def after(self, at: float) -> float:
        """Seconds for which an answer that was made at `at` is fresh; 0 or less: validate it at each use."""
        return min(self.seconds, self.until - at)


ENDLESS = Lifetime()


def lifetime_of(cache_control: str | None, expires: str | None) -> Lifetime:
    """What an object's stored Cache-Control and Expires allow; None: not stored."""
    if cache_control is None and expires is None:
        return ENDLESS
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
    """What a request's Cache-Control asks of caches.

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
