"""Answer misses: pass them on, let them read along with one that is under way, or capture them.

An answer that may be kept is written into the spool for the next reader."""
import time
from collections.abc import Iterable, Iterator
from functools import partial

from swift.common.concurrency import Timeout, spawn_n
from swift.common.utils import CloseableChain, close_if_possible

from ..cache import EntryMeta, NoRoom, Stamp
from ..cache.entry import BLOCK, expected_disk_bytes
from ..cache.headers import Headers, is_older, length_of, objects_headers, uncacheable_reason, version_of
from ..freshness import TokenReading
from ..queues import Admit
from .collapsing import CollapsedRead, SmallAnswer
from .decide import CONDITIONAL, is_expired
from .exchange import Answer, Exchange
from .subrequests import rest_of_body
from .tee import Tee


def miss(exchange: Exchange, status: str) -> Answer:
    exchange.missed()
    if not may_capture(exchange):
        return partial(exchange.passed, status)
    known = exchange.known()
    collapsed = exchange.runtime.collapsed_reads.get(exchange.name)
    if collapsed is None or is_outdated(collapsed, known):
        return partial(capture, exchange, known, status)
    if may_join(exchange, collapsed, known):
        return partial(join, exchange, collapsed, status)
    # one capture of an object at a time: a client that reads it over and over would fill the spool with it
    return partial(exchange.passed, status)


def may_capture(exchange: Exchange) -> bool:
    return (exchange.settings.capture and exchange.leaves_traces
            and not any(key in exchange.env for key in CONDITIONAL))


def is_outdated(collapsed: CollapsedRead, known: TokenReading) -> bool:
    """Tell whether the object was written since that read began: later readers then join a new one."""
    return known.settled is not None and known.token != collapsed.known.token


def may_join(exchange: Exchange, collapsed: CollapsedRead, known: TokenReading) -> bool:
    """Tell whether this request may read along: no write may have been acknowledged since that read asked.

    This request's token was read after it arrived, that of the collapsed read before it asked. Where both are the
    same, or memcached still knows of none, no write was acknowledged between the two.
    """
    settings = exchange.settings
    oldest = min(settings.max_age, exchange.wishes.age)
    if (not collapsed.joinable or collapsed.policy_index != exchange.policy_index
            or not 0 <= exchange.runtime.clock() - collapsed.asked_at < oldest):
        return False
    if settings.freshness == 'max-age':
        return True
    return (known.reachable and collapsed.known.reachable and known.token == collapsed.known.token
            and (known.token is None or not known.token.pending))


def join(exchange: Exchange, collapsed: CollapsedRead, status: str) -> Iterable[bytes]:
    shared = collapsed.wait()
    now = exchange.runtime.clock()
    if (shared is None or is_expired(shared.meta, now) or is_superseded(exchange, shared)
            or now - collapsed.asked_at >= shared.meta.lifetime.after(collapsed.asked_at)):
        return exchange.passed(status)
    exchange.runtime.count('collapsed')
    # proxy-server leaves the policy there, and proxy-logging looks for it there
    exchange.env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] = str(exchange.policy_index)
    headers = [*shared.headers, *aged(exchange, now - collapsed.asked_at)]
    exchange.begin('fwd=miss; collapsed', shared.status, headers)
    return shared.follow(partial(rest_of_body, exchange.app, exchange.env, shared.meta))


def aged(exchange: Exchange, seconds: float) -> list[tuple[str, str]]:
    """Tell the Age of an answer that another request asked for, where only age vouches for it."""
    is_told = exchange.settings.cache_status and exchange.settings.freshness == 'max-age'
    return [('Age', str(int(seconds)))] if is_told else []


def is_superseded(exchange: Exchange, shared) -> bool:
    """Tell whether a HEAD of this request found another version."""
    return exchange.newest is not None and exchange.newest != version_of(shared.meta.headers)


def capture(exchange: Exchange, known: TokenReading, status: str) -> Iterable[bytes]:
    """Ask the app, capture its answer if that may be kept, and let other readers read along."""
    collapsed_reads = exchange.runtime.collapsed_reads
    collapsed = collapsed_reads.begin(exchange.name, known, exchange.policy_index, exchange.runtime.clock())
    tee = None
    try:
        body, tee = ask(exchange, collapsed, status)
        return body
    finally:
        # a tee goes on by itself, and ends the collapsed read at its own end
        if tee is None:
            collapsed_reads.end(collapsed)


def ask(exchange: Exchange, collapsed: CollapsedRead, status: str) -> tuple[Iterable[bytes], Tee | None]:
    """Give the client's body, and the tee that it reads along with, where there is one."""
    begun = []

    def keep_start(status_line, headers, exc_info=None):
        begun[:] = [status_line, headers, exc_info]

    asked_at = time.monotonic()
    body = exchange.send(keep_start)
    exchange.runtime.fetch_wait.answered(time.monotonic() - asked_at)
    status_line, headers, exc_info = begun
    meta = keepable(exchange, collapsed, status_line, headers)
    if meta is not None and meta.body_length <= BLOCK:
        whole, body, spool_name = capture_small(exchange, collapsed.known, meta, body)
        if whole is not None:
            collapsed.share(SmallAnswer(status_line, headers, meta, whole))
        if spool_name:
            exchange.runtime.collapsed_reads.end(collapsed, partial(exchange.store.is_in_spool, spool_name))
        exchange.begin(f'{status}; stored' if spool_name else status, status_line, headers, exc_info)
        return body, None
    tee = try_tee(exchange, collapsed, meta, status_line, headers, body) if meta is not None else None
    if tee is None:
        exchange.begin(status, status_line, headers, exc_info)
        return body, None
    collapsed.share(tee)
    spawn_n(run, exchange.runtime.logger, tee, exchange.runtime.logger.thread_locals)
    exchange.begin(f'{status}; stored', status_line, headers)
    return tee.follow(partial(rest_of_tee, exchange, tee), first=True), tee


def run(logger, tee: Tee, thread_locals) -> None:
    # Swift's loggers share these: proxy-server's log lines of this answer keep the transaction id
    logger.thread_locals = thread_locals
    tee.run()


def keepable(exchange: Exchange, collapsed: CollapsedRead, status_line: str, headers: list):
    """Make the meta of an entry for this answer; None where it is not to be kept, or cannot be."""
    try:
        if (not status_line.startswith('200 ') or exchange.is_misplaced
                or waits_for_admission(exchange, collapsed, headers)):
            return None
        reason = uncacheable_reason(headers, exchange.settings.max_object_size, collapsed.asked_at)
        # an older answer came from a replica that missed a write: the client gets it, and no entry keeps it
        token = collapsed.known.token
        if token is not None and is_older(headers, token.timestamp):
            reason = reason or 'older'
        if reason:
            exchange.runtime.count('not_captured', reason=reason)
            return None
        meta = EntryMeta(exchange.name, exchange.policy_index, objects_headers(headers),
                         length_of(headers), 'read', collapsed.asked_at)
        if exchange.runtime.spool.reserve(exchange.store, expected_disk_bytes(meta.body_length)):
            return meta
        exchange.runtime.count('captures_failed', reason='no-room')
        return None
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return None


def waits_for_admission(exchange: Exchange, collapsed: CollapsedRead, headers: Headers) -> bool:
    """Tell whether this version was captured just now, or a later read captures the object.

    Reads of one object over and over, or many at once, would fill the spool with it.
    """
    if exchange.runtime.collapsed_reads.get(exchange.name) is not collapsed:
        return True
    before = exchange.runtime.captured.get(exchange.name)
    return before is not None and before[0] == version_of(headers) and exchange.store.is_in_spool(before[1])


def stamp_of(exchange: Exchange, known: TokenReading, meta: EntryMeta) -> Stamp | None:
    if exchange.settings.freshness == 'max-age':
        return Stamp('', meta.fetched_at)
    # a token that knows of no write cannot tell how old this replica's answer is: an entry without a stamp is
    # validated at its first hit
    token = known.settled
    return Stamp(token.value, meta.fetched_at) if token and token.timestamp else None


def capture_small(exchange: Exchange, known: TokenReading, meta: EntryMeta,
                  body) -> tuple[bytes | None, Iterable[bytes], str]:
    """Read and write a body of one block in one go, which costs a third of a tee.

    :returns: the body, None where it is not as announced; the client's body; the spool file's name, '' for none
    """
    whole, rest = read_small(body, meta.body_length)
    if rest is not None:
        exchange.runtime.count('captures_failed', reason='backend')
        return None, rest, ''
    try:
        spool_name = exchange.store.keep(meta, whole, stamp_of(exchange, known, meta))
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return whole, [whole], ''
    captured(exchange, meta, spool_name)
    return whole, [whole], spool_name


def read_small(body, length: int) -> tuple[bytes, Iterable[bytes] | None]:
    """Read the whole body; where its length is not the announced one, give the client's body in its place."""
    chunks, total = [], 0
    try:
        for chunk in body:
            chunks.append(chunk)
            total += len(chunk)
            if total > length:
                return b'', CloseableChain(chunks, body)
    except (Exception, Timeout) as error:  # noqa: BLE001 - raised again when the client has the bytes before it
        close_if_possible(body)
        return b'', broken_off(chunks, error)
    close_if_possible(body)
    return b''.join(chunks), None if total == length else chunks


def broken_off(chunks: list[bytes], error: BaseException) -> Iterator[bytes]:
    yield from chunks
    raise error


def try_tee(exchange: Exchange, collapsed: CollapsedRead, meta: EntryMeta, status_line: str, headers: list, body):
    """Make a tee of this answer; None where that fails."""
    try:
        return Tee(exchange.store.writer(meta), status_line, headers, body,
                    stamp_of(exchange, collapsed.known, meta), partial(tee_ended, exchange, collapsed))
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return None


def tee_ended(exchange: Exchange, collapsed: CollapsedRead, tee: Tee) -> None:
    """Hand a whole spool file to the sidecar when its tee has ended."""
    waits = partial(exchange.store.is_in_spool, tee.writer.name) if tee.complete else None
    exchange.runtime.collapsed_reads.end(collapsed, waits)
    if tee.complete:
        captured(exchange, tee.meta, tee.writer.name)
    elif tee.disk_error is not None:
        cannot_capture(exchange, tee.disk_error)
    else:
        exchange.runtime.count('captures_failed', reason='backend')


def captured(exchange: Exchange, meta: EntryMeta, spool_name: str) -> None:
    runtime = exchange.runtime
    runtime.count('captures')
    runtime.captured[meta.name] = version_of(meta.headers), spool_name
    runtime.recorder.add(Admit(spool_name, runtime.clock()))


def cannot_capture(exchange: Exchange, error: Exception) -> None:
    if isinstance(error, NoRoom):
        exchange.runtime.count('captures_failed', reason='no-room')
        return
    exchange.runtime.count('captures_failed', reason='disk')
    exchange.runtime.failed('capture', 'misses are not captured', error)
    # hits go on: a disk that takes no more may well be readable
    exchange.runtime.spool.rest()


def rest_of_tee(exchange: Exchange, tee: Tee, start: int, stop: int) -> Iterator[bytes]:
    """Get the bytes from the backend that the spool file cannot give; `tee_ended` reports failed writes."""
    if tee.read_error is not None:
        exchange.runtime.failed('capture', f'spool file of {exchange.name.quoted} cannot be read', tee.read_error)
    return rest_of_body(exchange.app, exchange.env, tee.meta, start, stop)
