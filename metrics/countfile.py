"""The file in which one process keeps its counts: bytes to numbers and back, no I/O.

A header that never changes: magic, version, and the names of the slots, so that processes of two
generations, whose names differ, can be added up. Then two places for the numbers, each with a sequence
number and a checksum, written by turns: a write that was torn, or met a full disk, leaves the other whole.
"""
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

MAGIC = b'sacounts'
VERSION = 1
# magic, version, length of the names, checksum of the names
HEADER = struct.Struct('<8sIII')
MASK = 2**64 - 1
# far above what any version writes
MOST_BYTES = 2**20


class BadFile(Exception):
    """Not a file of counts, or one that is damaged."""


class OtherVersion(BadFile):
    """A file of counts that another version of this program wrote."""


@dataclass(frozen=True)
class Format:
    """Where things lie in the file of a process that counts these slots."""
    slots: tuple[str, ...]

    @property
    def header(self) -> bytes:
        names = json.dumps(self.slots, separators=(',', ':')).encode()
        names += b' ' * (-(HEADER.size + len(names)) % 8)
        return HEADER.pack(MAGIC, VERSION, len(names), crc32(names)) + names

    @property
    def place_bytes(self) -> int:
        # sequence number, one number per slot, checksum
        return 8 * (len(self.slots) + 2)

    @property
    def size(self) -> int:
        return len(self.header) + 2 * self.place_bytes

    def place(self, sequence: int) -> int:
        """Where the numbers of that sequence number go."""
        return len(self.header) + sequence % 2 * self.place_bytes

    def numbers(self, sequence: int, values: Sequence[int]) -> bytes:
        packed = struct.pack(f'<{len(values) + 1}Q', sequence, *(int(value) & MASK for value in values))
        return packed + struct.pack('<Q', crc32(packed))

    def whole(self, sequence: int, values: Sequence[int]) -> bytes:
        """A new file, both places filled: what is overwritten later needs no more room on the disk."""
        return self.header + self.numbers(sequence, values) * 2


def decode(data: bytes) -> dict[str, int]:
    """Slots and their counts.

    :raises BadFile:
    """
    slots, start = _slots(data)
    length = 8 * (len(slots) + 2)
    found = [_numbers(data[place:place + length], len(slots)) for place in (start, start + length)]
    whole = [numbers for numbers in found if numbers is not None]
    if not whole:
        raise BadFile('both places are damaged')
    return dict(zip(slots, max(whole)[1:], strict=True))


def _slots(data):
    """The names, and where the places begin."""
    if len(data) < HEADER.size:
        raise BadFile('too short')
    magic, version, length, checksum = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BadFile('not a file of counts')
    if version != VERSION:
        raise OtherVersion(f'of version {version}')
    names = data[HEADER.size:HEADER.size + length]
    if len(names) != length or crc32(names) != checksum:
        raise BadFile('its names are damaged')
    try:
        slots = json.loads(names)
    except (ValueError, RecursionError):
        raise BadFile('its names are no JSON') from None
    if not isinstance(slots, list) or not all(isinstance(slot, str) for slot in slots):
        raise BadFile('its names are no list of names')
    return slots, HEADER.size + length


def _numbers(place, count):
    """The sequence number, then the counts; None where they are damaged."""
    if len(place) != 8 * (count + 2):
        return None
    *numbers, checksum = struct.unpack(f'<{count + 2}Q', place)
    return numbers if crc32(place[:-8]) == checksum else None
