"""Captured misses: what the app answers is kept for the next reader, if it may be kept."""
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
from .exchange import Exchange
from .subrequests import rest_of_body
from .tee import Tee


def capture(exchange: Exchange, known: TokenReading, status: str) -> Iterable[bytes]:
    """Ask the app, keep what it answers if it may be kept, and let others read along."""
    collapsed_reads = exchange.runtime.collapsed_reads
    collapsed = collapsed_reads.begin(exchange.name, known, exchange.policy_index, exchange.runtime.clock())
    tee = None
    try:
        body, tee = ask(exchange, collapsed, status)
        return body
    finally:
        # a tee goes on by itself, and ends its collapsed then
        if tee is None:
            collapsed_reads.end(collapsed)


def ask(exchange: Exchange, collapsed: CollapsedRead, status: str) -> tuple[Iterable[bytes], Tee | None]:
    """The client's body, and the tee that it reads along with, where there is one."""
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
    # Swift's loggers share these: what proxy-server logs of this answer keeps its transaction id
    logger.thread_locals = thread_locals
    tee.run()


def keepable(exchange: Exchange, collapsed: CollapsedRead, status_line: str, headers: list):
    """What an entry of this answer would know of it; None where it is not to be kept, or cannot be."""
    try:
        if (not status_line.startswith('200 ') or exchange.is_misplaced
                or waits_for_admission(exchange, collapsed, headers)):
            return None
        reason = uncacheable_reason(headers, exchange.settings.max_object_size, collapsed.asked_at)
        # from a replica that missed a write: Swift's answer, but not to be made to last
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
    """Whether this version was captured just now, or the object is by a read that began while this one asked:
    who reads it over and over, or many at once, would fill the spool with it."""
    if exchange.runtime.collapsed_reads.get(exchange.name) is not collapsed:
        return True
    before = exchange.runtime.captured.get(exchange.name)
    return before is not None and before[0] == version_of(headers) and exchange.store.is_in_spool(before[1])


def stamp_of(exchange: Exchange, known: TokenReading, meta: EntryMeta) -> Stamp | None:
    if exchange.settings.freshness == 'max-age':
        return Stamp('', meta.fetched_at)
    # a token that knows of no write cannot tell how old this one replica's answer is: left unstamped,
    # the entry is validated at its first hit
    token = known.settled
    return Stamp(token.value, meta.fetched_at) if token and token.timestamp else None


def capture_small(exchange: Exchange, known: TokenReading, meta: EntryMeta,
                  body) -> tuple[bytes | None, Iterable[bytes], str]:
    """A body of one block is read and written in one go, which costs a third of a tee.

    :returns: the body, None where it is not as announced; the client's; the spool file's name, '' for none
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
    """The body whole; or, where it is not as long as was announced, what the client gets instead."""
    chunks, total = [], 0
    try:
        for chunk in body:
            chunks.append(chunk)
            total += len(chunk)
            if total > length:
                return b'', CloseableChain(chunks, body)
    except (Exception, Timeout) as error:  # noqa: BLE001 - raised again, when the client has what came before
        close_if_possible(body)
        return b'', broken_off(chunks, error)
    close_if_possible(body)
    return b''.join(chunks), None if total == length else chunks


def broken_off(chunks: list[bytes], error: BaseException) -> Iterator[bytes]:
    yield from chunks
    raise error


def try_tee(exchange: Exchange, collapsed: CollapsedRead, meta: EntryMeta, status_line: str, headers: list, body):
    """A tee of this answer; None where there can be none."""
    try:
        return Tee(exchange.store.writer(meta), status_line, headers, body,
                    stamp_of(exchange, collapsed.known, meta), partial(tee_ended, exchange, collapsed))
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return None


def tee_ended(exchange: Exchange, collapsed: CollapsedRead, tee: Tee) -> None:
    """The tee has ended: what is whole is the sidecar's to admit."""
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
    # what is cached may well be readable on a disk that takes no more
    exchange.runtime.spool.rest()


def rest_of_tee(exchange: Exchange, tee: Tee, start: int, stop: int) -> Iterator[bytes]:
    """What the spool file cannot give, from the backend. Of a file that cannot be written `tee_ended` tells."""
    if tee.read_error is not None:
        exchange.runtime.failed('capture', f'spool file of {exchange.name.quoted} cannot be read', tee.read_error)
    return rest_of_body(exchange.app, exchange.env, tee.meta, start, stop)
