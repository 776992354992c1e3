"""Write the learned state as bytes, account by account, in parts that each can be read alone.

A part is a line of JSON with lengths, numbers and names, then references to the names as 32-bit numbers, then
pairs of count and gap as bytes. It is packed by zlib, after its length and checksum. Order and calibration of an
account come back as they were; places of clients and unsettled predictions are not kept.
"""
import json
import struct
import zlib
from array import array
from collections.abc import Iterator
from itertools import islice

from .accounts import Account, Accounts
from .prediction import ObjectKey
from .transitions import LENGTHS, Followers

MAGIC = b'swiftahead learned 1\n'
HEAD = struct.Struct('<II')
# contexts in a part: some milliseconds' work
AT_A_TIME = 500


class DamagedSnapshot(ValueError):
    """The bytes are no snapshot, or not a whole one."""


# -- writing -----------------------------------------------------------------------------------------------

def written(accounts: Accounts) -> Iterator[bytes]:
    """Yield the parts, each as of the moment it is asked for."""
    yield MAGIC
    for name, account in accounts:
        # oldest first, so that `restore` brings back the order
        keys = iter(list(account.followers))
        while batch := list(islice(keys, AT_A_TIME)):
            found = [followers for key in batch if (followers := account.followers.get(key)) is not None]
            yield _part(name, account, found)
    yield HEAD.pack(0, 0)


def _part(name, account: Account, batch: list[Followers]):
    numbers: dict[ObjectKey | None, int] = {}
    refs, tallies = array('I'), bytearray()
    for followers in batch:
        keys, lengths, counts = followers.state()
        refs.extend(lengths)
        # numbered as they come
        refs.extend(numbers.setdefault(key, len(numbers)) for key in (followers.key, *keys))
        tallies += counts
    head = {'account': name, 'names': list(numbers), 'refs': len(refs), 'usual': account.usual_size,
            'shares': list(account.calibration.numbers())}
    packed = zlib.compress(json.dumps(head).encode('ascii') + b'\n' + refs.tobytes() + tallies, 1)
    return HEAD.pack(len(packed), zlib.crc32(packed)) + packed


# -- reading -----------------------------------------------------------------------------------------------

def restore(accounts: Accounts, data: bytes) -> int:
    """Load the parts; return the number of contexts.

    :raises DamagedSnapshot: the parts before the damage are loaded
    """
    names: dict[tuple, ObjectKey] = {}
    for part in _parts(data):
        try:
            head, _, rest = zlib.decompress(part).partition(b'\n')
            _learn(accounts, json.loads(head), rest, names)
        except (ValueError, KeyError, IndexError, TypeError, zlib.error, struct.error) as error:
            raise DamagedSnapshot(f'a part that cannot be read: {error!r}') from None
    return accounts.contexts


def _parts(data: bytes) -> Iterator[memoryview]:
    if not data.startswith(MAGIC):
        raise DamagedSnapshot('no snapshot, or of another version')
    view, place = memoryview(data), len(MAGIC)
    while True:
        if place + HEAD.size > len(data):
            raise DamagedSnapshot('it ends too soon')
        length, checksum = HEAD.unpack_from(view, place)
        place += HEAD.size
        if not length:
            return
        part = view[place:place + length]
        if len(part) != length or zlib.crc32(part) != checksum:
            raise DamagedSnapshot('a part is not as it was written')
        place += length
        yield part


def _learn(accounts, head, rest, names):
    account = accounts.of(str(head['account']))
    account.usual_size = float(head['usual'])
    account.calibration.restore(head['shares'])
    # share one tuple for each name, to save memory and make comparisons fast
    keys = [names.setdefault((head['account'], *key), (key[0], key[1])) if key else None for key in head['names']]
    refs = array('I')
    refs.frombytes(rest[:head['refs'] * refs.itemsize])
    place, tallies = 0, memoryview(rest)[head['refs'] * refs.itemsize:]
    while place < len(refs):
        lengths = refs[place:place + LENGTHS]
        rows, near = lengths[:2]
        place += LENGTHS
        own, *found = [keys[number] for number in refs[place:place + 1 + 3 * rows + near]]
        place += 1 + 3 * rows + near
        size = 2 * (rows + near)
        accounts.followers(account, own).restore(found, lengths, bytes(tallies[:size]))
        tallies = tallies[size:]
