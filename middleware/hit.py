"""Hits: the answer that an entry gives."""
from collections.abc import Iterable
from functools import partial

from swift.common.request_helpers import resolve_etag_is_at_header, resolve_ignore_range_header
from swift.common.storage_policy import EC_POLICY, POLICIES
from swift.common.swob import Request, Response
from swift.common.utils import close_if_possible

from ..cache import Entry
from .body import EntryBody, Pieces
from .decide import CONDITIONAL
from .exchange import Answer, Exchange
from .subrequests import rest_of_body

PREFETCHED = ('prefetch', 'segment', 'warm')


def hit(exchange: Exchange, entry: Entry, reason: str) -> Answer:
    """:raises Damaged: where that shows before the answer has begun"""
    try:
        entry.touch(exchange.runtime.clock())
    except OSError as error:
        exchange.runtime.failed('stamp', f'entry of {exchange.name.quoted} cannot be touched', error)
    # without a range or a condition swob's engine would pass status, headers and body on as they are
    form = conditional if any(key in exchange.env for key in CONDITIONAL) else plain
    answer = form(exchange, entry, told(exchange, entry, reason))
    if answer is None:
        # a failed precondition, for one, for which it takes a quorum of replicas
        entry.close()
        return partial(exchange.bypassed, 'precondition')
    status_line, headers, _ = answer.args
    exchange.note('prefetched' if entry.meta.origin in PREFETCHED else 'hit', entry.meta.body_length,
                  status_line, headers)
    # where proxy-server leaves it, and proxy-logging looks for it
    exchange.env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] = str(exchange.policy_index)
    return answer


def plain(exchange: Exchange, entry: Entry, more: list[tuple[str, str]]) -> partial:
    """The whole object, as the object servers' answer was."""
    body: Iterable[bytes] = [b'']
    if exchange.req.method == 'GET':
        small = entry.whole()
        body = [small] if small is not None else Pieces(body_of(exchange, entry), entry)
    if isinstance(body, list):
        entry.close()
    return partial(exchange.answer, '200 OK', [*entry.meta.headers, *more], body)


def conditional(exchange: Exchange, entry: Entry, more: list[tuple[str, str]]) -> partial | None:
    """What swob's engine, the one that object servers use, makes of a range or a condition; None where
    proxy-server words it anew."""
    # of a copy: slo on the left still needs the Range that this takes out for its manifest
    headers, req = dict(entry.meta.headers), Request({**exchange.env})
    resolve_ignore_range_header(req, headers)
    response = Response(request=req, headers=headers,
                        app_iter=body_of(exchange, entry) if req.method == 'GET' else None,
                        conditional_response=True, conditional_etag=resolve_etag_is_at_header(req, headers))
    response.fix_conditional_response()
    if response.status_int == 412 or is_worded_anew(exchange, entry, req, response.status_int):
        close_if_possible(response.response_iter)
        return None
    response.headers.update(more)
    if req.method == 'HEAD':
        entry.close()
    return partial(exchange.answer, response.status, list(response.headers.items()),
                   Pieces(response.response_iter, entry))


def is_worded_anew(exchange: Exchange, entry: Entry, req: Request, status: int) -> bool:
    """Whether proxy-server makes an answer of its own: of an erasure-coded policy's fragments, to which it puts
    the client's condition and range. It fails with ranges of empty objects, and with those to be ignored."""
    policy = POLICIES.get_by_index(entry.meta.policy_index)
    if policy is None or policy.policy_type != EC_POLICY or req.method != 'GET':
        return False
    odd_range = entry.meta.body_length == 0 or 'Range' not in req.headers
    return status in (304, 416) or ('HTTP_RANGE' in exchange.env and odd_range)


def body_of(exchange: Exchange, entry: Entry) -> EntryBody:
    rest = partial(rest_of_body, exchange.app, exchange.env, entry.meta)
    return EntryBody(entry, rest, partial(damaged, exchange))


def damaged(exchange: Exchange, error: Exception) -> None:
    exchange.runtime.logger.error('entry of %s is damaged: %s', exchange.name.quoted, error)
    exchange.runtime.count('entries_damaged')
    exchange.runtime.forget(exchange.name)


def age(exchange: Exchange, entry: Entry, reason: str) -> int:
    """Seconds since the entry was known to be current; none where a token or a HEAD told so for this request.

    Who adds the entry's time on the disk would have caches and browsers in front take for stale on arrival what
    Swift itself, which tells no age, would give them as new.
    """
    if exchange.settings.freshness != 'max-age' or reason == 'validated':
        return 0
    known_at = entry.stamp.at if entry.stamp else entry.meta.fetched_at
    return max(0, int(exchange.runtime.clock() - known_at))


def told(exchange: Exchange, entry: Entry, reason: str) -> list[tuple[str, str]]:
    """Headers that say to the client where the answer comes from."""
    if not exchange.settings.cache_status:
        return []
    headers = [('Age', str(age(exchange, entry, reason))),
               ('Cache-Status', 'swiftahead; hit' + (f'; detail={reason}' if reason != 'fresh' else ''))]
    if entry.meta.origin in PREFETCHED:
        headers.append(('X-Object-Prefetched', 'True'))
    return headers
