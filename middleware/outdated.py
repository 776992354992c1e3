"""Answers from past the cache that show an entry to be outdated: it ends, and is not left to the next reader."""
from typing import TYPE_CHECKING

from swift.common.utils import config_true_value

from ..cache import Damaged, Entry, Stamp
from ..cache.headers import Headers, find, is_older

if TYPE_CHECKING:
    from .exchange import Exchange

# no token has this value, and no clock says so little: whoever meets the entry next validates it
ENDED = Stamp('', 0.0, 0.0)


def end_outdated(exchange: 'Exchange', status_line: str, headers: Headers) -> None:
    """End the object's entry where an answer of the app's shows a newer version, or that there is none.

    An answer that shows an older one came from a replica that lags behind, and says nothing of the entry.
    """
    is_gone = status_line.startswith('404') and config_true_value(exchange.env.get('HTTP_X_NEWEST'))
    timestamp = find(headers, 'x-backend-timestamp')
    if timestamp is None and not is_gone:
        return
    try:
        entry = exchange.store.entry(exchange.name)
        if entry is None:
            return
        with entry:
            if is_gone or is_older(entry.meta.headers, timestamp or ''):
                _end(exchange, entry)
    except Damaged:
        # told by the next reader, who wants it
        return
    except Exception as error:  # noqa: BLE001 - the answer is in hand: the client gets it in any case
        exchange.runtime.failed('entry', f'entry of {exchange.name.quoted} cannot be compared', error)


def _end(exchange: 'Exchange', entry: Entry):
    exchange.runtime.count('stale', reason='changed')
    # at once and for all workers, before the sidecar comes to it
    try:
        entry.restamp(ENDED)
    except OSError as error:
        exchange.runtime.failed('stamp', f'entry of {exchange.name.quoted} cannot be stamped', error)
    exchange.runtime.forget(exchange.name, entry.identity)
