"""Misses: passed on, captured, or read along with one that is being captured."""
from functools import partial

from .capture import capture, follow
from .decide import CONDITIONAL, is_expired
from .exchange import Answer, Exchange
from .fill import Fill
from .runtime import Known


def miss(exchange: Exchange, status: str) -> Answer:
    exchange.missed()
    if not may_capture(exchange):
        return partial(exchange.passed, status)
    known = exchange.known()
    fill = exchange.runtime.fills.get(exchange.store.naming.entry(exchange.name))
    if fill is None:
        return partial(capture, exchange, known, status)
    if may_join(exchange, fill, known):
        exchange.runtime.count('collapsed')
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
