"""The records. Added fields have defaults, so that what an older version wrote still decodes.

Who writes: the filter makes all kinds, the operator's command Warm and Forget. Who reads: the sidecar.
What holds after a crash is the queue's affair. Names are native strings, unquoted; times are seconds
since the epoch.
"""
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter

from ..conf.names import ObjectName


@dataclass(frozen=True)
class Access:
    """An object was read. May be lost.

    :param client: opaque; equal for requests of one user from one address
    :param bytes: length of the object
    :param outcome: 'hit', 'prefetched' (a hit on what the sidecar had fetched) or 'miss'
    :param manifest: it is a static large object's manifest
    :param cut: what was asked for ended before the object's end
    :param fetch: it is to be fetched whole: a part of it was asked for, and it was not there
    """
    account: str
    container: str
    object: str
    client: str
    at: float
    bytes: int = 0
    outcome: str = ''
    manifest: bool = False
    cut: bool = False
    fetch: bool = False


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

    @property
    def name(self) -> ObjectName:
        return ObjectName(self.account, self.container, self.object)


Record = Access | Warm | Forget | Fill | Misplaced
KINDS = {kind.__name__: kind for kind in (Access, Warm, Forget, Fill, Misplaced)}
FIELDS = {kind: frozenset(field.name for field in fields(kind)) for kind in KINDS.values()}
PREFETCH_KINDS = ('Access', 'Warm', 'Forget', 'Fill')


def encode(record: Record) -> tuple[str, str]:
    """(kind, JSON)."""
    # all fields are plain values: dataclasses.asdict would copy each of them, at twice the cost
    return type(record).__name__, json.dumps(vars(record), separators=(',', ':'))


def decode(kind: str, text: str) -> Record:
    """:raises ValueError: for what no version known here has written"""
    with _refusing(kind):
        return _made(KINDS[kind], json.loads(text))


def encode_many(records: Sequence[Record]) -> str:
    """JSON of records of one kind: the names of the fields, once, and the values of each record."""
    names = [field.name for field in fields(records[0])]
    rows = list(map(attrgetter(*names), records))
    return json.dumps({'fields': names, 'rows': rows}, separators=(',', ':'))


def decode_many(kind: str, text: str) -> list[Record]:
    """:raises ValueError: as `decode` does, for all of them"""
    with _refusing(kind):
        found = json.loads(text)
        return [_made(KINDS[kind], dict(zip(found['fields'], row, strict=True))) for row in found['rows']]


def _made(kind, found):
    known = FIELDS[kind]
    return kind(**found) if found.keys() <= known else kind(
        **{key: value for key, value in found.items() if key in known})


@contextmanager
def _refusing(kind) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f'not a record of kind {kind}: {error!r}') from None
