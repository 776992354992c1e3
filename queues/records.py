"""The records. Added fields have defaults, so that what an older version wrote still decodes.

Who writes: the filter makes all kinds, the operator's command Warm and Forget. Who reads: the sidecar.
What holds after a crash is the queue's affair. Names are native strings, unquoted; times are seconds
since the epoch.
"""
import json
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Access:
    """An object was read. May be lost.

    :param client: opaque; equal for requests of one user from one address
    :param bytes: length of the object
    :param outcome: 'hit', 'prefetched' (a hit on what the sidecar had fetched) or 'miss'
    """
    account: str
    container: str
    object: str
    client: str
    at: float
    bytes: int = 0
    outcome: str = ''


@dataclass(frozen=True)
class Warm:
    """Somebody who may write to the container wants it fetched. May be lost."""
    account: str
    container: str
    prefix: str = ''
    limit: int = 0
    requested_by: str = ''
    at: float = 0.0


@dataclass(frozen=True)
class Forget:
    """Drop one object's entry, or a container's (those with `prefix`).

    :param identity: only the file that has it, so that nothing newer is dropped
    """
    account: str
    container: str
    prefix: str = ''
    object: str = ''
    identity: str = ''
    at: float = 0.0


@dataclass(frozen=True)
class Fill:
    """A captured miss to admit.

    The file is an entry already, stamp and all; it only has to be checked and linked.

    :param spool_name: file in the spool
    :param at: when it was whole
    """
    spool_name: str
    at: float = 0.0


@dataclass(frozen=True)
class Misplaced:
    """An object lies in a policy that is not its container's. Never lost once `put()` returned.

    :param timestamp: X-Backend-Timestamp of the copy that was found
    :param op: 'PUT' or 'DELETE'
    """
    account: str
    container: str
    object: str
    policy_index: int
    timestamp: str
    op: str = 'PUT'
    at: float = 0.0


Record = Access | Warm | Forget | Fill | Misplaced
KINDS = {kind.__name__: kind for kind in (Access, Warm, Forget, Fill, Misplaced)}
PREFETCH_KINDS = ('Access', 'Warm', 'Forget', 'Fill')


def encode(record: Record) -> tuple[str, str]:
    """(kind, JSON)."""
    return type(record).__name__, json.dumps(asdict(record), separators=(',', ':'))


def decode(kind: str, text: str) -> Record:
    """:raises ValueError: for what no version known here has written"""
    try:
        known = {field.name for field in fields(KINDS[kind])}
        found = json.loads(text)
        return KINDS[kind](**{key: value for key, value in found.items() if key in known})
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f'not a record of kind {kind}: {error!r}') from None
