"""Captured misses: what the app answers is kept for the next reader, if it may be kept."""
from collections.abc import Iterable, Iterator
from functools import partial

from swift.common.concurrency import Timeout, spawn_n
from swift.common.utils import CloseableChain, close_if_possible

from ..cache import EntryMeta, NoRoom, Stamp
from ..cache.entry import BLOCK
from ..cache.rules import Headers, is_older, length_of, objects_headers, uncacheable_reason, version_of
from ..queues import Fill as FillRecord
from .backend import rest_of_body
from .exchange import Exchange
from .fill import Fill, Follower
from .runtime import Known


def capture(exchange: Exchange, known: Known, status: str) -> Iterable[bytes]:
    """Ask the app, and keep what it answers if it may be kept."""
    asked_at = exchange.runtime.clock()
    begun = []

    def keep_start(status_line, headers, exc_info=None):
        begun[:] = [status_line, headers, exc_info]

    body = exchange.app(exchange.env, keep_start)
    status_line, headers, exc_info = begun
    meta = keepable(exchange, known, status_line, headers, asked_at)
    if meta is not None and meta.body_length <= BLOCK:
        body, stored = capture_small(exchange, known, meta, body)
        exchange.begin(f'{status}; stored' if stored else status, status_line, headers, exc_info)
        return body
    fill = try_fill(exchange, known, meta, status_line, headers, body) if meta is not None else None
    if fill is None:
        exchange.begin(status, status_line, headers, exc_info)
        return body
    spawn_n(run, exchange.runtime.logger, fill, exchange.runtime.logger.thread_locals)
    return follow(exchange, fill, f'{status}; stored')


def run(logger, fill: Fill, thread_locals) -> None:
    # Swift's loggers share these: what proxy-server logs of this answer keeps its transaction id
    logger.thread_locals = thread_locals
    fill.run()


def keepable(exchange: Exchange, known: Known, status_line: str, headers: list, asked_at: float):
    """What an entry of this answer would know of it; None where it is not to be kept, or cannot be."""
    try:
        if not status_line.startswith('200 ') or waits_for_admission(exchange, headers):
            return None
        reason = uncacheable_reason(headers, exchange.settings.max_object_size)
        # from a replica that missed a write: Swift's answer, but not to be made to last
        if known.token is not None and is_older(headers, known.token.timestamp):
            reason = reason or 'older'
        if reason:
            exchange.runtime.count('not_captured', reason=reason)
            return None
        meta = EntryMeta(exchange.name, exchange.policy_index, objects_headers(headers),
                         length_of(headers), 'read', asked_at)
        if exchange.runtime.reserve(exchange.store, meta.body_length):
            return meta
        exchange.runtime.count('captures_failed', reason='no-room')
        return None
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return None


def waits_for_admission(exchange: Exchange, headers: Headers) -> bool:
    """Whether this version was captured just now, or the object is by a fill that began while this one asked:
    who reads it over and over, or many at once, would fill the spool with it."""
    if exchange.store.naming.entry(exchange.name) in exchange.runtime.fills:
        return True
    version, spool_name = exchange.runtime.captured.get(exchange.name, (None, ''))
    return version == version_of(headers) and exchange.store.is_in_spool(spool_name)


def stamp_of(exchange: Exchange, known: Known, meta: EntryMeta) -> Stamp | None:
    if exchange.settings.freshness == 'max-age':
        return Stamp('', meta.fetched_at)
    # a token that knows of no write cannot tell how old this one replica's answer is: left unstamped,
    # the entry is validated at its first hit
    token = known.settled
    return Stamp(token.value, meta.fetched_at) if token and token.timestamp else None


def capture_small(exchange: Exchange, known: Known, meta: EntryMeta, body) -> tuple[Iterable[bytes], bool]:
    """A body of one block is read and written in one go, which costs a third of a fill: the client's body,
    and whether it was captured."""
    whole, rest = read_small(body, meta.body_length)
    if rest is not None:
        exchange.runtime.count('captures_failed', reason='backend')
        return rest, False
    if waits_for_admission(exchange, meta.headers):
        # of those who asked at the same time another was quicker
        return [whole], False
    try:
        spool_name = exchange.store.keep(meta, whole, stamp_of(exchange, known, meta))
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return [whole], False
    captured(exchange, meta, spool_name)
    return [whole], True


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


def try_fill(exchange: Exchange, known: Known, meta: EntryMeta, status_line: str, headers: list, body):
    """A fill of this answer; None where there can be none."""
    entry_name = exchange.store.naming.entry(exchange.name)
    try:
        fill = Fill(exchange.store.writer(meta), status_line, headers, body, known.settled,
                    stamp_of(exchange, known, meta), partial(filled, exchange, entry_name))
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return None
    exchange.runtime.fills[entry_name] = fill
    return fill


def filled(exchange: Exchange, entry_name: str, fill: Fill) -> None:
    """The fill has ended: what is whole is the sidecar's to admit."""
    runtime = exchange.runtime
    if runtime.fills.get(entry_name) is fill:
        del runtime.fills[entry_name]
    if fill.complete:
        captured(exchange, fill.writer.meta, fill.writer.name)
    elif fill.disk_error is not None:
        cannot_capture(exchange, fill.disk_error)
    else:
        runtime.count('captures_failed', reason='backend')


def captured(exchange: Exchange, meta: EntryMeta, spool_name: str) -> None:
    runtime = exchange.runtime
    runtime.count('captures')
    runtime.captured[meta.name] = version_of(meta.headers), spool_name
    runtime.recorder.add(FillRecord(spool_name, runtime.clock()))


def cannot_capture(exchange: Exchange, error: Exception) -> None:
    if isinstance(error, NoRoom):
        exchange.runtime.count('captures_failed', reason='no-room')
        return
    exchange.runtime.count('captures_failed', reason='disk')
    exchange.runtime.failed('capture', 'misses are not captured', error)
    # what is cached may well be readable on a disk that takes no more
    exchange.runtime.rest_from_capture()


def follow(exchange: Exchange, fill: Fill, status: str) -> Follower:
    exchange.begin(status, fill.status, fill.headers)
    return fill.follow(partial(rest_of_fill, exchange, fill))


def rest_of_fill(exchange: Exchange, fill: Fill, start: int, stop: int) -> Iterator[bytes]:
    """What the spool file cannot give, from the backend. Of a file that cannot be written `filled` tells."""
    if fill.read_error is not None:
        exchange.runtime.failed('capture', f'spool file of {exchange.name.path} cannot be read', fill.read_error)
    return rest_of_body(exchange.app, exchange.env, fill.writer.meta, start, stop)
