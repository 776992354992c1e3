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
    flight = exchange.runtime.flights.get(exchange.name)
    if flight is None or is_outdated(flight, known):
        return partial(capture, exchange, known, status)
    if may_join(exchange, flight, known):
        return partial(join, exchange, flight, status)
    # one capture of an object at a time: whoever reads it over and over would fill the spool with it
    return partial(exchange.passed, status)


def may_capture(exchange: Exchange) -> bool:
    return (exchange.settings.capture and exchange.leaves_traces
            and not any(key in exchange.env for key in CONDITIONAL))


def is_outdated(flight: CollapsedRead, known: TokenReading) -> bool:
    """Whether the object was written since that flight began: this one is for all who come from now on."""
    return known.settled is not None and known.token != flight.known.token


def may_join(exchange: Exchange, flight: CollapsedRead, known: TokenReading) -> bool:
    """Only what was asked for after the last acknowledged write may be handed on.

    This request's token was read after it arrived, the flight's before it asked. Where both are the same, or
    memcached knows of none still, no write was acknowledged between the two.
    """
    settings = exchange.settings
    oldest = min(settings.max_age, exchange.wanted_age)
    if (not flight.joinable or flight.policy_index != exchange.policy_index
            or not 0 <= exchange.runtime.clock() - flight.asked_at < oldest):
        return False
    if settings.freshness == 'max-age':
        return True
    return (known.reachable and flight.known.reachable and known.token == flight.known.token
            and (known.token is None or not known.token.pending))


def join(exchange: Exchange, flight: CollapsedRead, status: str) -> Iterable[bytes]:
    landed = flight.wait()
    now = exchange.runtime.clock()
    if (landed is None or is_expired(landed.meta, now) or is_superseded(exchange, landed)
            or now - flight.asked_at >= landed.meta.lifetime.after(flight.asked_at)):
        return exchange.passed(status)
    exchange.runtime.count('collapsed')
    # where proxy-server leaves it, and proxy-logging looks for it
    exchange.env['HTTP_X_BACKEND_STORAGE_POLICY_INDEX'] = str(exchange.policy_index)
    exchange.begin('fwd=miss; collapsed', landed.status, [*landed.headers, *aged(exchange, now - flight.asked_at)])
    return landed.follow(partial(rest_of_body, exchange.app, exchange.env, landed.meta))


def aged(exchange: Exchange, seconds: float) -> list[tuple[str, str]]:
    """How old an answer is told to be that another asked for, where nothing tells that it is current."""
    is_told = exchange.settings.cache_status and exchange.settings.freshness == 'max-age'
    return [('Age', str(int(seconds)))] if is_told else []


def is_superseded(exchange: Exchange, landed) -> bool:
    """Whether a HEAD of this request's own has told of another version."""
    return exchange.newest is not None and exchange.newest != version_of(landed.meta.headers)
