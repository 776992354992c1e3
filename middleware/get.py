"""Answer reads: decide whether the cache may answer, find the entry, and find out whether it is current."""
import errno
import time
from collections.abc import Iterable
from functools import partial

from swift.common.concurrency import Event, sleep

from ..cache import Damaged, Entry, Stamp
from ..cache.headers import version_of
from ..freshness import Token, TokenReading
from . import decide
from .authorize import identify, is_allowed
from .decide import Action, Decision
from .exchange import Answer, Exchange
from .hit import damaged, hit
from .miss import may_capture, miss
from .subrequests import VALIDATE_SECONDS, newest_version

# seconds from one look for the end of a fetch to the next
LOOK_SECONDS = 0.005


def read(exchange: Exchange) -> Iterable[bytes]:
    """Decide, then act: until the answer has begun, a failure here does not reach the client."""
    try:
        answer = plan(exchange)
    except Exception:  # noqa: BLE001 - a cache that is broken must not be a storage that is broken
        exchange.runtime.logger.exception('cache not used for %s', exchange.name.quoted)
        exchange.runtime.count('passed_broken', reason='fault')
        answer = exchange.unseen
    return answer()


def plan(exchange: Exchange) -> Answer:
    env, app = exchange.env, exchange.app
    reason = decide.bypass_reason(env, getattr(app, 'deny_host_headers', ()), exchange.wishes)
    if reason:
        return partial(exchange.bypassed, reason)
    info = exchange.look_up()
    reason = decide.bypass_container_reason(info)
    if reason:
        return partial(exchange.bypassed, reason)
    if not is_allowed(exchange.req, info.get('read_acl')):
        exchange.runtime.count('denied')
        return exchange.unseen
    exchange.client = identify(exchange.req, exchange.store.naming)
    exchange.policy_index = int(info.get('storage_policy') or 0)
    try:
        entry = find_entry(exchange) or find_later(exchange)
    except OSError as error:
        return without_disk(exchange, error)
    if entry is None:
        return miss(exchange, 'fwd=miss')
    return with_entry(exchange, entry)


def find_entry(exchange: Exchange) -> Entry | None:
    """Open the object's entry; None where there is none, or it is damaged, which is reported.

    :raises OSError: where the disk fails
    """
    try:
        return exchange.store.entry(exchange.name)
    except Damaged as error:
        damaged(exchange, error)
    return None


def find_later(exchange: Exchange) -> Entry | None:
    """Find an entry that came in while memcached answered, or comes in a moment from a fetch of the sidecar.

    The object's token was asked for before: a write that is acknowledged meanwhile does not concern this request.

    :raises OSError: where the disk fails
    """
    if exchange.req.method != 'GET':
        return None
    expected_at = exchange.store.expected_at(exchange.name)
    if expected_at is not None and exchange.name not in exchange.runtime.waited_in_vain:
        return find_fetched(exchange, exchange.runtime.fetch_wait.seconds(expected_at - exchange.runtime.clock()))
    if may_capture(exchange):
        # a collapsed read may have ended, and its capture have been admitted: one of them is found
        exchange.known()
        return find_entry(exchange)
    return None


def find_fetched(exchange: Exchange, patience: float) -> Entry | None:
    """Find the entry that a fetch brings in within `patience` seconds."""
    if not patience:
        exchange.runtime.count('awaited', reason='not')
        return None
    exchange.known()
    entry = find_entry(exchange) if has_been_fetched(exchange, patience) else None
    exchange.runtime.count('awaited', reason='in-time' if entry is not None else 'in-vain')
    return entry


def has_been_fetched(exchange: Exchange, patience: float) -> bool:
    """Wait for the end of a fetch; False where that takes too long."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        sleep(LOOK_SECONDS)
        if not exchange.store.is_fetching(exchange.name):
            return True
    exchange.runtime.waited_in_vain[exchange.name] = True
    return False


def without_disk(exchange: Exchange, error: OSError) -> Answer:
    """Leave the folder alone for a moment after a failure of the disk, or for want of file descriptors."""
    runtime = exchange.runtime
    runtime.failed('entry', f'entry of {exchange.name.quoted} not opened', error)
    runtime.count('passed_broken', reason='disk')
    runtime.forget_store()
    if error.errno == errno.EIO:
        # a bad place on the disk, most likely: the next try would find it again
        runtime.forget(exchange.name)
    exchange.missed()
    return partial(exchange.passed, 'fwd=miss')


def with_entry(exchange: Exchange, entry: Entry) -> Answer:
    try:
        known = exchange.known()
        decision = decide.judge(entry.meta, entry.stamp, known.token, exchange.settings,
                                exchange.policy_index, exchange.runtime.clock(), exchange.wishes.age)
        if decision.action is Action.VALIDATE:
            exchange.runtime.count('validations', reason=exchange.runtime.why_validated or decision.reason)
            decision = validate_together(exchange, known, entry, decision.reason)
        if decision.action is Action.SERVE:
            return hit(exchange, entry, decision.reason)
    except Damaged as error:
        entry.close()
        damaged(exchange, error)
        return miss(exchange, 'fwd=miss')
    except BaseException:
        entry.close()
        raise
    identity = entry.identity
    entry.close()
    exchange.runtime.count('stale', reason=decision.reason)
    if decision.reason == 'unvalidated':
        exchange.looks_back = True
    else:
        exchange.runtime.forget(exchange.name, identity)
    return miss(exchange, f'fwd=stale; detail={decision.reason}')


def validate_together(exchange: Exchange, known: TokenReading, entry: Entry, why: str) -> Decision:
    """Share one HEAD among the readers that meet the entry meanwhile with the same token; see `miss.may_join`."""
    if exchange.settings.freshness == 'validate' or not (known.reachable or exchange.runtime.tokens.ring is None):
        return validate(exchange, known, entry)
    # without tokens a write may have come between: a reader that wants the present state asks for itself
    if exchange.runtime.tokens.ring is None and why in ('lifetime', 'request-max-age'):
        return validate(exchange, known, entry)
    under_way, key = exchange.runtime.validations, (exchange.name, entry.identity, known)
    if key in under_way:
        found = under_way[key].wait(VALIDATE_SECONDS)
        if found is not None:
            decision, exchange.newest = found
            return decision
        return validate(exchange, known, entry)
    done, found = under_way.setdefault(key, Event()), None
    try:
        decision = validate(exchange, known, entry)
        found = decision, exchange.newest
        return decision
    finally:
        del under_way[key]
        done.send(found)


def validate(exchange: Exchange, known: TokenReading, entry: Entry) -> Decision:
    """Ask all replicas whether the entry is current, and stamp it if so."""
    token = token_to_stamp(exchange, known)
    now = exchange.runtime.clock()
    status, version = newest_version(exchange.app, exchange.env)
    exchange.newest = version if status == 200 else None
    if status == 200 and version == version_of(entry.meta.headers):
        if token is not None or exchange.settings.freshness == 'max-age':
            restamp(exchange, entry, Stamp(token.value if token else '', now))
        return Decision(Action.SERVE, 'validated')
    # an error of the backend says nothing of the entry: the entry stays, and Swift words the answer
    return Decision(Action.MISS, 'changed' if status == 200 or 400 <= status < 500 else 'unvalidated')


def token_to_stamp(exchange: Exchange, known: TokenReading) -> Token | None:
    """Return the token to stamp the entry with after a HEAD; it is read or set before that HEAD."""
    if not known.reachable or known.token is not None:
        return known.settled
    token = Token.new()
    return token if exchange.runtime.tokens.set(exchange.name, token) else None


def restamp(exchange: Exchange, entry: Entry, stamp: Stamp) -> None:
    try:
        entry.restamp(stamp)
    except OSError as error:
        exchange.runtime.failed('stamp', f'entry of {exchange.name.quoted} cannot be stamped', error)
