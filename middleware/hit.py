"""Answer hits from an entry, and give its body in the form that swob's range engine asks for."""
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from swift.common.concurrency import sleep
from swift.common.request_helpers import resolve_etag_is_at_header, resolve_ignore_range_header
from swift.common.storage_policy import EC_POLICY, POLICIES
from swift.common.swob import Request, Response, multi_range_iterator
from swift.common.utils import close_if_possible

from ..cache import Damaged, Entry
from .decide import CONDITIONAL
from .exchange import Answer, Exchange
from .subrequests import Rest, rest_of_body

# seconds that a quick client may keep the others of its worker waiting; a switch after each piece would cost a
# large hit a quarter of its time
HOLD_SECONDS = 0.001


class EntryBody:
    """The body of an open entry. Every block is checked before it is sent.

    :param rest: gives a range of bytes from the backend where the cache cannot
    :param on_damage: called once with the error
    """

    def __init__(self, entry: Entry, rest: Rest, on_damage: Callable[[Exception], None]):
        self._entry = entry
        self._rest = rest
        self._on_damage = on_damage

    def __iter__(self):
        return self.app_iter_range(0, self._entry.meta.body_length)

    def app_iter_range(self, start: int, stop: int) -> Iterator[bytes]:
        try:
            yield from self._range(start, stop)
        finally:
            self.close()

    def app_iter_ranges(self, ranges, content_type, boundary, content_size) -> Iterator[bytes]:
        try:
            yield from multi_range_iterator(ranges, content_type, boundary, content_size, self._range)
        finally:
            self.close()

    def _range(self, start, stop):
        position = start
        try:
            turn_ends_at = time.monotonic() + HOLD_SECONDS
            for piece in self._entry.blocks(start, stop):
                yield piece
                position += len(piece)
                if time.monotonic() >= turn_ends_at:
                    sleep()
                    turn_ends_at = time.monotonic() + HOLD_SECONDS
        except (Damaged, OSError) as error:
            self._on_damage(error)
            yield from self._rest(position, stop)

    def close(self) -> None:
        self._entry.close()


class Pieces:
    """The iterator that the server sends; closing it closes the entry, even where nothing was read.

    Like a body of proxy-server, it gives middleware on the left no ranges.
    """

    def __init__(self, pieces: Iterable[bytes], entry: Entry):
        self._pieces = pieces
        self._entry = entry

    def __iter__(self):
        return iter(self._pieces)

    def close(self) -> None:
        close_if_possible(self._pieces)
        self._entry.close()


PREFETCHED = ('prefetch', 'segment', 'warm')


def hit(exchange: Exchange, entry: Entry, reason: str) -> Answer:
    """Give the answer from an entry; a bypass where proxy-server words it anew.

    :raises Damaged: where the damage shows before the answer has begun
    """
    try:
        entry.touch(exchange.runtime.clock())
    except OSError as error:
        exchange.runtime.failed('stamp', f'entry of {exchange.name.quoted} cannot be touched', error)
    # without a range or a condition swob's engine would pass status, headers and body on as they are
    form = conditional if any(key in exchange.env for key in CONDITIONAL) else plain
    answer = form(exchange, entry, told(exchange, entry, reason))
    if answer is None:
        # proxy-server words this anew; a failed precondition, for one, takes a quorum of replicas
        entry.close()
        return partial(exchange.bypassed, 'precondition')
    status_line, headers, _ = answer.args
    exchange.note('prefetched' if entry.meta.origin in PREFETCHED else 'hit', entry.meta.body_length,
                  status_line, headers)
    # proxy-server leaves the policy there, and proxy-logging looks for it there
    exchange.env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] = str(exchange.policy_index)
    return answer


def plain(exchange: Exchange, entry: Entry, more: list[tuple[str, str]]) -> partial:
    """Give the whole object, as the object servers answered."""
    body: Iterable[bytes] = [b'']
    if exchange.req.method == 'GET':
        small = entry.whole()
        body = [small] if small is not None else Pieces(body_of(exchange, entry), entry)
    if isinstance(body, list):
        entry.close()
    return partial(exchange.answer, '200 OK', [*entry.meta.headers, *more], body)


def conditional(exchange: Exchange, entry: Entry, more: list[tuple[str, str]]) -> partial | None:
    """Answer a range or a condition by swob's engine, which object servers use; None where proxy-server words
    the answer anew."""
    # a copy is changed: slo on the left still needs the Range that this takes out for its manifest
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
    """Tell whether proxy-server words the answer itself: it applies condition and range to the fragments of an
    erasure-coded policy, and fails with ranges of empty objects and with ranges that are to be ignored."""
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
    """Give the seconds since the entry was known to be current; 0 where a token or a HEAD told so for this
    request.

    With the entry's time on the disk added, caches and browsers in front would take the answer for stale on
    arrival. Swift itself tells no age.
    """
    if exchange.settings.freshness != 'max-age' or reason == 'validated':
        return 0
    known_at = entry.stamp.at if entry.stamp else entry.meta.fetched_at
    return max(0, int(exchange.runtime.clock() - known_at))


def told(exchange: Exchange, entry: Entry, reason: str) -> list[tuple[str, str]]:
    """Make the headers that tell the client where the answer comes from."""
    if not exchange.settings.cache_status:
        return []
    headers = [('Age', str(age(exchange, entry, reason))),
               ('Cache-Status', 'swiftahead; hit' + (f'; detail={reason}' if reason != 'fresh' else ''))]
    if entry.meta.origin in PREFETCHED:
        headers.append(('X-Object-Prefetched', 'True'))
    return headers
