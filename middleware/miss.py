"""Misses: passed on, captured, or read along with one that is being captured."""
from collections.abc import Iterable
from functools import partial

from swift.common.concurrency import spawn_n

from ..cache import EntryMeta, NoRoom, Stamp
from ..cache.rules import is_older, length_of, objects_headers, uncacheable_reason
from ..queues import Fill as FillRecord
from .backend import rest_of_body
from .decide import CONDITIONAL, is_expired
from .exchange import Answer, Exchange
from .fill import Fill, Follower
from .runtime import Known


def miss(exchange: Exchange, known: Known, status: str) -> Answer:
    exchange.missed()
    if not may_capture(exchange):
        return partial(exchange.passed, status)
    fill = exchange.runtime.fills.get(exchange.store.naming.entry(exchange.name))
    if fill is None:
        return partial(capture, exchange, known, status)
    if may_join(exchange, fill, known):
        return partial(follow, exchange, fill, 'fwd=miss; collapsed')
    # one capture of an object at a time: whoever reads it over and over would fill the spool with it
    return partial(exchange.passed, status)


def may_capture(exchange: Exchange) -> bool:
    return (exchange.settings.capture and exchange.leaves_traces
            and not any(key in exchange.env for key in CONDITIONAL))


def may_join(exchange: Exchange, fill: Fill, known: Known) -> bool:
    """Only what was asked for after the last acknowledged write, and is there still, may be handed on."""
    token, meta = known.settled, fill.writer.meta
    return (token is not None and fill.token is not None and token.value == fill.token.value
            and meta.policy_index == exchange.policy_index
            and not is_expired(meta, exchange.runtime.clock()))


def capture(exchange: Exchange, known: Known, status: str) -> Iterable[bytes]:
    """Ask the app, and keep what it answers if it may be kept."""
    asked_at = exchange.runtime.clock()
    begun = []

    def keep_start(status_line, headers, exc_info=None):
        begun[:] = [status_line, headers, exc_info]

    body = exchange.app(exchange.env, keep_start)
    status_line, headers, exc_info = begun
    fill = try_fill(exchange, known, status_line, headers, body, asked_at)
    if fill is None:
        exchange.begin(status, status_line, headers, exc_info)
        return body
    spawn_n(run, exchange.runtime.logger, fill, exchange.runtime.logger.thread_locals)
    return follow(exchange, fill, f'{status}; stored')


def run(logger, fill: Fill, thread_locals) -> None:
    # Swift's loggers share these: what proxy-server logs of this answer keeps its transaction id
    logger.thread_locals = thread_locals
    fill.run()


def try_fill(exchange: Exchange, known: Known, status_line: str, headers: list, body, asked_at: float):
    """A fill of this answer; None where it is not to be kept, or cannot be."""
    try:
        if (not status_line.startswith('200 ')
                or uncacheable_reason(headers, exchange.settings.max_object_size)
                # from a replica that missed a write: Swift's answer, but not to be made to last
                or known.token is not None and is_older(headers, known.token.timestamp)):
            return None
        meta = EntryMeta(exchange.name, exchange.policy_index, objects_headers(headers),
                         length_of(headers), 'read', asked_at)
        if not exchange.runtime.reserve(exchange.store, meta.body_length):
            return None
        return new_fill(exchange, known, meta, status_line, headers, body)
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        cannot_capture(exchange, error)
        return None


def new_fill(exchange: Exchange, known: Known, meta: EntryMeta, status_line: str, headers: list, body) -> Fill:
    token = known.settled
    # a token that knows of no write cannot tell how old this one replica's answer is: left unstamped,
    # the entry is validated at its first hit
    stamp = Stamp(token.value, meta.fetched_at) if token and token.timestamp else None
    entry_name = exchange.store.naming.entry(exchange.name)
    fill = Fill(exchange.store.writer(meta), status_line, headers, body, token, stamp,
                partial(filled, exchange, entry_name))
    exchange.runtime.fills[entry_name] = fill
    return fill


def filled(exchange: Exchange, entry_name: str, fill: Fill) -> None:
    """The fill has ended: what is whole is the sidecar's to admit."""
    runtime = exchange.runtime
    if runtime.fills.get(entry_name) is fill:
        del runtime.fills[entry_name]
    if fill.complete:
        runtime.recorder.add(FillRecord(fill.writer.name, runtime.clock()))
    elif fill.disk_error is not None:
        cannot_capture(exchange, fill.disk_error)


def cannot_capture(exchange: Exchange, error: Exception) -> None:
    exchange.runtime.logger.increment('prefetch.capture.failed')
    if not isinstance(error, NoRoom):
        exchange.runtime.logger.error('misses are not captured: %r', error)
        exchange.runtime.forget_store()


def follow(exchange: Exchange, fill: Fill, status: str) -> Follower:
    exchange.begin(status, fill.status, fill.headers)
    return fill.follow(partial(rest_of_body, exchange.app, exchange.env, fill.writer.meta))
