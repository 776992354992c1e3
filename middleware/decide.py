"""Decide without I/O. Each decision has a reason, which is also the word in Cache-Status, log and metric."""
import re
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from math import inf

from swift.common.utils import config_true_value

from ..cache import EntryMeta, Stamp
from ..cache.headers import (
    NO_WISHES,
    Headers,
    Wishes,
    find,
    is_older,
    is_opted_out,
    length_of,
    uncacheable_reason,
)
from ..conf import FilterSettings
from ..freshness import Token

# headers by which middleware to the left asks the object server; the cache can answer them
KNOWN_BACKEND_HEADERS = frozenset((
    'HTTP_X_BACKEND_ETAG_IS_AT',
    'HTTP_X_BACKEND_IGNORE_RANGE_IF_METADATA_PRESENT',
    'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES',
    'HTTP_X_BACKEND_USE_REPLICATION_NETWORK',
    # the gatekeeper keeps a client's X-Timestamp here; it is no part of the answer
    'HTTP_X_BACKEND_INBOUND_X_TIMESTAMP',
))
CONDITIONAL = ('HTTP_RANGE', 'HTTP_IF_MATCH', 'HTTP_IF_NONE_MATCH', 'HTTP_IF_MODIFIED_SINCE',
               'HTTP_IF_UNMODIFIED_SINCE', 'HTTP_IF_RANGE')


class Action(Enum):
    SERVE = 'serve'
    VALIDATE = 'validate'
    MISS = 'miss'


@dataclass(frozen=True)
class Decision:
    action: Action
    reason: str


def bypass_reason(env: dict, denied_hosts: Container[str] = (), wishes: Wishes = NO_WISHES) -> str | None:
    """Tell why a GET or HEAD of an object passes the cache by; None where it does not.

    :param denied_hosts: proxy-server's deny_host_headers
    :param wishes: the wishes in the request's Cache-Control
    """
    if 'swift.authorize' not in env:
        return 'no-authorize'
    if denied_hosts and env.get('HTTP_HOST', '').partition(':')[0] in denied_hosts:
        return 'denied-host'
    if config_true_value(env.get('HTTP_X_NEWEST')):
        return 'newest'
    if 'HTTP_ORIGIN' in env:
        return 'origin'
    if config_true_value(env.get('HTTP_X_OPEN_EXPIRED')):
        return 'open-expired'
    if env.get('CONTENT_LENGTH', '0') not in ('0', '') or 'HTTP_TRANSFER_ENCODING' in env:
        return 'request-body'
    if wishes.is_past:
        return 'request-cache-control'
    for key in env:
        if key.startswith('HTTP_X_BACKEND_') and key not in KNOWN_BACKEND_HEADERS:
            return 'backend-header'
    return None


def bypass_name_reason(account: str, path: str, reserved_allowed: bool) -> str | None:
    """Tell why an object of this name is never cached; None where it may be."""
    if account.startswith('.'):
        return 'system-account'
    try:
        path.encode('utf-8')
    except UnicodeEncodeError:
        return 'not-utf8'
    if '\x00' in path and not reserved_allowed:
        return 'reserved-name'
    return None


def bypass_container_reason(info: dict) -> str | None:
    """Tell why the container's objects are not cached; None where they may be."""
    if not 200 <= (info.get('status') or 0) < 300:
        return 'container'
    if is_opted_out(info.get('meta', {}).get('prefetch')):
        return 'container-opt-out'
    return None


def judge(meta: EntryMeta, stamp: Stamp | None, token: Token | None, settings: FilterSettings,
          policy_index: int, now: float, wanted: float = inf) -> Decision:
    """Decide whether to serve an entry, to validate it or to miss.

    :param token: the object's token; None where there is none, or it could not be read
    :param wanted: the age in seconds that the client accepts at most
    """
    if meta.policy_index != policy_index:
        return Decision(Action.MISS, 'policy')
    if is_expired(meta, now):
        return Decision(Action.MISS, 'expired')
    if settings.freshness == 'validate':
        return Decision(Action.VALIDATE, 'validate')
    if settings.freshness == 'coherent' and (reason := _distrust(meta, stamp, token)):
        return Decision(Action.MISS if reason == 'written' else Action.VALIDATE, reason)
    return _by_age(meta, stamp, settings.max_age, wanted, now)


def is_expired(meta: EntryMeta, now: float) -> bool:
    delete_at = meta.header('x-delete-at')
    return delete_at is not None and float(delete_at) <= now


def _distrust(meta, stamp, token):
    """Tell why the token does not vouch for the entry; None where it does."""
    if token is None:
        return 'no-token'
    if token.pending:
        return 'write-pending'
    if stamp is None or stamp.token != token.value:
        return 'written' if is_older(meta.headers, token.timestamp) else 'token'
    return None


def _by_age(meta, stamp, max_age, wanted, now):
    """Decide by the time since the entry was fetched or a HEAD last found it current."""
    at = stamp.at if stamp else meta.fetched_at
    age = stamp.age(now) if stamp else now - at
    # an age below zero means that a clock was set back: the entry's age is unknown
    if not 0 <= age < max_age:
        return Decision(Action.VALIDATE, 'age')
    if age >= meta.lifetime.after(at):
        return Decision(Action.VALIDATE, 'lifetime')
    if age >= wanted:
        return Decision(Action.VALIDATE, 'request-max-age')
    return Decision(Action.SERVE, 'fresh')


CONTENT_RANGE = re.compile(r'bytes [0-9]{1,19}-([0-9]{1,19})/([0-9]{1,19})$')


@dataclass(frozen=True)
class AnsweredPart:
    """
    :param length: bytes of the whole object; 0 where the answer does not tell
    :param to_end: whether the part reaches the object's end
    """
    length: int
    to_end: bool


def part_of(status_line: str, headers: Headers) -> AnsweredPart:
    """Tell the part that an answer holds; a 304 holds none, and several ranges at once do not tell the length."""
    if status_line.startswith('200'):
        return AnsweredPart(length_of(headers), True)
    found = CONTENT_RANGE.match(find(headers, 'content-range') or '') if status_line.startswith('206') else None
    if found is None:
        return AnsweredPart(0, False)
    last, length = int(found.group(1)), int(found.group(2))
    return AnsweredPart(length, last + 1 == length)


def is_manifest(headers: Headers) -> bool:
    """Tell whether the headers are those of a static large object."""
    return config_true_value(find(headers, 'x-static-large-object'))


def is_worth_fetching(part: AnsweredPart, headers: Headers, env: dict, settings: FilterSettings,
                     now: float) -> bool:
    """Tell whether the sidecar is to fetch the whole object after a miss with a range or a condition.

    A miss without them is captured instead.
    """
    most = min(settings.fetch_whole, settings.max_object_size)
    return (settings.capture and 0 < part.length <= most and any(key in env for key in CONDITIONAL)
            and uncacheable_reason(headers, most, now, part.length) is None)
