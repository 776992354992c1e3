"""The records. Added fields have defaults, so that a record of an older version still decodes.

The filter makes all kinds, the mover Forget, the operator's command Misplaced; the sidecar reads them. The queue
decides which records outlive a crash. Names are native strings, unquoted; times are seconds since the epoch.
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
    :param outcome: 'hit', 'prefetched' (a hit on an entry that the sidecar had fetched) or 'miss'
    :param manifest: the object is a static large object's manifest
    :param cut: the read ended before the object's end
    :param fetch: fetch the whole object: a part of it was read and missed
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
    """Fetch a container, as somebody with write access to it asked. May be lost."""
    account: str
    container: str
    prefix: str = ''
    limit: int = 0
    requested_by: str = ''
    at: float = 0.0


@dataclass(frozen=True)
class Forget:
    """Purge one object's entry, or a container's entries with `prefix`.

    :param identity: the only file to purge, so that no newer one is; empty: any
    """
    account: str
    container: str
    prefix: str = ''
    object: str = ''
    identity: str = ''
    at: float = 0.0


@dataclass(frozen=True)
class Admit:
    """Check and link a captured miss: its spool file is an entry already, with its stamp.

    :param at: when the file was whole
    """
    spool_name: str
    at: float = 0.0


@dataclass(frozen=True)
class Misplaced:
    """Move an object that lies in another policy than its container's. Never lost once `put()` returned.

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


Record = Access | Warm | Forget | Admit | Misplaced
RECORD_TYPES = {kind.__name__: kind for kind in (Access, Warm, Forget, Admit, Misplaced)}
FIELDS = {kind: frozenset(field.name for field in fields(kind)) for kind in RECORD_TYPES.values()}
PREFETCH_KINDS = ('Access', 'Warm', 'Forget', 'Admit')


def encode(record: Record) -> tuple[str, str]:
    """Give (kind, JSON) of a record."""
    # all fields are plain values, which dataclasses.asdict would copy at twice the cost
    return type(record).__name__, json.dumps(vars(record), separators=(',', ':'))


def decode(kind: str, text: str) -> Record:
    """Read a record from its kind and JSON.

    :raises ValueError: for a text that no version known here has written
    """
    with _refusing(kind):
        return _made(RECORD_TYPES[kind], json.loads(text))


def encode_row(records: Sequence[Record]) -> tuple[str, str]:
    """Give (kind, JSON) of a row: one record as in `encode`, several of a kind as field names and values."""
    if len(records) == 1:
        return encode(records[0])
    names = [field.name for field in fields(records[0])]
    rows = list(map(attrgetter(*names), records))
    return type(records[0]).__name__, json.dumps({'fields': names, 'rows': rows}, separators=(',', ':'))


def decode_row(kind: str, text: str, holds: int) -> list[Record]:
    """Read the records of a row.

    :param holds: records in the row
    :raises ValueError: as `decode` does, for all of them
    """
    if holds == 1:
        return [decode(kind, text)]
    with _refusing(kind):
        found = json.loads(text)
        return [_made(RECORD_TYPES[kind], dict(zip(found['fields'], row, strict=True))) for row in found['rows']]


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
