"""The format of an entry file, version 1.

======================  =======================================================================
offset                  content
======================  =======================================================================
0                       fixed part, 64 bytes: magic, lengths, the block table's checksum, and a
                        checksum over the fixed part and the JSON
64                      stamp slot, 64 bytes, with a checksum of its own
128                     JSON: the three names, policy index, backend headers, origin, time
n * 4096                body
n * 4096 + length       block table: one xxh3 checksum per 64 KiB of body
======================  =======================================================================

The process that captures or fetches the object writes all of the file once, the fixed part last,
under a name in the spool. The sidecar renames it to its entry name. From then on only the stamp slot
is ever written, by any process that has just validated the entry, with one write of 64 bytes.
The proxy workers read the file, while it is being written (the body alone) and once it is linked.
After a crash a file without its fixed part, with lost pages or with half a stamp fails a checksum,
and is a miss, or its bad block is not sent. No fsync is needed for that, so none is done.
"""
import json
import struct
import time
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from xxhash import xxh3_64_intdigest as checksum

from ..conf.names import ObjectName
from .headers import Lifetime, find, lifetime


class CacheError(Exception):
    """Root of this package's errors."""


class Unavailable(CacheError):
    """The cache folder is not there, not ours or cannot be used."""


class InUse(Unavailable):
    """Another process has the cache folder."""


class Damaged(CacheError):
    """A file, or one of its blocks, is not as it was written."""


class NoRoom(CacheError):
    """The header or the body does not fit."""


MAGIC = b'swahead1'
PAGE = 4096
HEADER_LIMIT = 64 * 1024
BLOCK = 64 * 1024
# magic, header length, JSON length, body length, checksum of the block table, unused; then checksum
FIXED = struct.Struct('<8sIIQQ24x')
FIXED_SUM = struct.Struct('<Q')
STAMP_OFFSET = 64
STAMP = struct.Struct('<32sdd')
JSON_OFFSET = 128
ENCODER = json.JSONEncoder(separators=(',', ':'))


def uptime() -> float:
    """Give the seconds since the machine was started: the same in all its processes, and nobody sets it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Stamp:
    """The last time that an entry was found to be current, and the token that said so.

    :param token: the freshness token's value, '' where none was known
    :param at: seconds since the epoch
    :param up: the uptime then
    """
    token: str
    at: float
    up: float = field(default_factory=lambda: uptime(), compare=False)

    def age(self, now: float) -> float:
        """Count the seconds since then, by the clock that says more; below 0 where the clock was set back, or the
        machine restarted."""
        by_clock, by_uptime = now - self.at, uptime() - self.up
        # a comparison fails where one of them is no number
        return max(by_clock, by_uptime) if by_clock >= 0 and by_uptime >= 0 else -1.0

    def pack(self, bound_to: int) -> bytes:
        body = STAMP.pack(self.token.encode('ascii'), self.at, self.up)
        # bound to its own entry: a stamp copied from another file does not count
        return body + FIXED_SUM.pack(checksum(body, seed=bound_to))

    @classmethod
    def parse(cls, data: bytes, bound_to: int) -> 'Stamp | None':
        body, found = data[:STAMP.size], data[STAMP.size:STAMP.size + FIXED_SUM.size]
        if found != FIXED_SUM.pack(checksum(body, seed=bound_to)):
            return None
        token, at, up = STAMP.unpack(body)
        return cls(token.rstrip(b'\0').decode('ascii', 'replace'), at, up)


@dataclass(frozen=True)
class EntryMeta:
    """The facts that an entry has of its object.

    :param headers: all headers of the backend's answer that belong to the object, in their order
    :param body_length: bytes
    :param origin: 'read' for a captured miss; 'prefetch', 'segment' or 'warm' for an object that the sidecar
        fetched before anyone asked for it; 'whole' for one that it fetched after somebody had asked for a part
    :param fetched_at: seconds since the epoch
    """
    name: ObjectName
    policy_index: int
    headers: tuple[tuple[str, str], ...]
    body_length: int
    origin: str
    fetched_at: float

    def header(self, key: str) -> str | None:
        """Find the value of a header; `key` in lower case."""
        return find(self.headers, key)

    @cached_property
    def lifetime(self) -> Lifetime:
        """The time for which the object's owner lets an answer be used."""
        return lifetime(self.headers)


@dataclass(frozen=True)
class Frame:
    """An entry's lengths and checksums, as the fixed part holds them."""
    header_length: int
    json_length: int
    body_length: int
    table_sum: int
    sum: int

    @property
    def table_length(self) -> int:
        return 8 * block_count(self.body_length)

    @property
    def table_offset(self) -> int:
        return self.header_length + self.body_length

    @property
    def file_length(self) -> int:
        return self.table_offset + self.table_length


def block_count(body_length: int) -> int:
    return -(-body_length // BLOCK)


def rounded(taken: int) -> int:
    """Round bytes up to whole pages, as the disk does."""
    return -(-taken // PAGE) * PAGE


def expected_disk_bytes(body_length: int) -> int:
    """Count the bytes on disk of an entry whose headers fit one page."""
    return rounded(PAGE + body_length + 8 * block_count(body_length))


def encode_meta(meta: EntryMeta) -> bytes:
    fields = {'name': vars(meta.name), 'policy_index': meta.policy_index, 'headers': meta.headers,
              'origin': meta.origin, 'fetched_at': meta.fetched_at}
    return ENCODER.encode(fields).encode('ascii')


def header_length(encoded: bytes) -> int:
    """Count the bytes before the body, a multiple of the page size.

    :raises NoRoom: where the headers are too large to be cached
    """
    length = rounded(JSON_OFFSET + len(encoded))
    if length > HEADER_LIMIT:
        raise NoRoom(f'headers of {len(encoded)} bytes do not fit the {HEADER_LIMIT} of an entry')
    return length


def pack_header(encoded: bytes, body_length: int, table: bytes, stamp: Stamp | None) -> bytes:
    """Pack the whole header, which is written after body and table."""
    length = header_length(encoded)
    fixed = FIXED.pack(MAGIC, length, len(encoded), body_length, checksum(table))
    own_sum = checksum(fixed + encoded)
    header = bytearray(length)
    header[:FIXED.size] = fixed
    header[FIXED.size:STAMP_OFFSET] = FIXED_SUM.pack(own_sum)
    if stamp is not None:
        packed = stamp.pack(own_sum)
        header[STAMP_OFFSET:STAMP_OFFSET + len(packed)] = packed
    header[JSON_OFFSET:JSON_OFFSET + len(encoded)] = encoded
    return bytes(header)


def parse_frame(data: bytes, file_length: int) -> Frame:
    """Parse the fixed part. It is believed only where its lengths fit each other and the file.

    :raises Damaged: where it cannot be an entry
    """
    if len(data) < STAMP_OFFSET or data[:len(MAGIC)] != MAGIC:
        raise Damaged('not an entry of this format')
    _, length, json_length, body_length, table_sum = FIXED.unpack_from(data)
    frame = Frame(length, json_length, body_length, table_sum, FIXED_SUM.unpack_from(data, FIXED.size)[0])
    if not JSON_OFFSET + json_length <= length <= HEADER_LIMIT or frame.file_length != file_length:
        raise Damaged(f'lengths do not fit a file of {file_length} bytes')
    return frame


def parse_meta(header: bytes, frame: Frame) -> EntryMeta:
    """Parse the JSON of a header. :raises Damaged: where the checksum is wrong"""
    encoded = header[JSON_OFFSET:JSON_OFFSET + frame.json_length]
    if checksum(header[:FIXED.size] + encoded) != frame.sum:
        raise Damaged('checksum of the header')
    return (_decode_meta if len(encoded) <= PAGE else _decode_meta.__wrapped__)(encoded, frame.body_length)


# a header that is read often is decoded once; the bytes are the key, so that no header can pass for another
@lru_cache(maxsize=1000)
def _decode_meta(encoded, body_length):
    try:
        found = json.loads(encoded)
        # fields that a later version added are left alone
        return EntryMeta(ObjectName(**found['name']), found['policy_index'],
                         tuple((key, value) for key, value in found['headers']), body_length,
                         found['origin'], found['fetched_at'])
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f'header of another kind: {error!r}') from None
