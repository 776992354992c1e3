"""Misses: passed on, captured, or read along with one that is under way."""
from collections.abc import Iterable
from functools import partial

from ..cache.headers import version_of
from ..freshness import TokenReading
from .capture import capture
from .collapsing import CollapsedRead
from .decide import CONDITIONAL, is_expired
from .exchange import Answer, Exchange
from .subrequests import rest_of_body


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
    # one capture of an object at a time: whoever reads it over and over would fill the spool with it
    return partial(exchange.passed, status)


def may_capture(exchange: Exchange) -> bool:
    return (exchange.settings.capture and exchange.leaves_traces
            and not any(key in exchange.env for key in CONDITIONAL))


def is_outdated(collapsed: CollapsedRead, known: TokenReading) -> bool:
    """Whether the object was written since that collapsed began: this one is for all who come from now on."""
    return known.settled is not None and known.token != collapsed.known.token


def may_join(exchange: Exchange, collapsed: CollapsedRead, known: TokenReading) -> bool:
    """Only what was asked for after the last acknowledged write may be handed on.

    This request's token was read after it arrived, that of the collapsed read before it asked. Where both are the
    same, or memcached still knows of none, no write was acknowledged between the two.
    """
    settings = exchange.settings
    oldest = min(settings.max_age, exchange.wanted_age)
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
    # where proxy-server leaves it, and proxy-logging looks for it
    exchange.env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] = str(exchange.policy_index)
    headers = [*shared.headers, *aged(exchange, now - collapsed.asked_at)]
    exchange.begin('fwd=miss; collapsed', shared.status, headers)
    return shared.follow(partial(rest_of_body, exchange.app, exchange.env, shared.meta))


def aged(exchange: Exchange, seconds: float) -> list[tuple[str, str]]:
    """How old an answer is told to be that another asked for, where nothing tells that it is current."""
    is_told = exchange.settings.cache_status and exchange.settings.freshness == 'max-age'
    return [('Age', str(int(seconds)))] if is_told else []


def is_superseded(exchange: Exchange, shared) -> bool:
    """Whether a HEAD of this request's own has told of another version."""
    return exchange.newest is not None and exchange.newest != version_of(shared.meta.headers)
