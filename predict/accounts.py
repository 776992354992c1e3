"""Keep the learned state of each account, apart from all others, and write it as a snapshot.

All accounts share one bound on their contexts, the objects whose followers are remembered.

A snapshot has parts, each of one account and readable alone: a line of JSON with lengths, numbers and names,
references to the names as 32-bit numbers, and pairs of count and gap as bytes. A part is packed by zlib, after its
length and checksum. Order and calibration of an account come back as they were. Places of clients and unsettled
predictions are not kept.
"""
import json
import struct
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

from cachetools import LRUCache

from .evidence import Calibration, first_shares
from .neighbours import Names, Neighbours
from .prediction import ObjectKey
from .transitions import LENGTHS, Followers

# first guess of the median size of the objects read, as a logarithm of base 2
USUAL_SIZE = 13.0
SIZE_STEP = 0.05
# memory of an account without followers, in contexts
CONTEXTS_OF_ACCOUNT = 20
MAGIC = b'swiftahead learned 1\n'
HEAD = struct.Struct('<II')
# contexts in a part: some milliseconds' work
AT_A_TIME = 500


class Account:
    """The learned state of one account. :param neighbours: None where no names are known"""

    def __init__(self, neighbours: Neighbours | None):
        # The key read longest ago comes first. Each read looks up many keys; that does not count as use.
        self.followers: OrderedDict[ObjectKey, Followers] = OrderedDict()
        self.calibration = Calibration(first_shares())
        self.neighbours = neighbours
        self.usual_size = USUAL_SIZE

    def note_size(self, followers: Followers, size: int) -> None:
        followers.size_code = size.bit_length()
        self.usual_size += SIZE_STEP if followers.size_code > self.usual_size else -SIZE_STEP


class Accounts:
    """:param max_contexts: upper bound on the objects with followers, of all accounts together"""

    def __init__(self, max_contexts: int, names: Names | None, neighbour_threshold: float):
        self._max_contexts = max_contexts
        self._names = names
        self._neighbour_threshold = neighbour_threshold
        # the account read longest ago comes first
        self._accounts: LRUCache[str, Account] = LRUCache(float('inf'))
        self.contexts = 0

    def __len__(self):
        return len(self._accounts)

    def __iter__(self) -> Iterator[tuple[str, Account]]:
        return iter(list(self._accounts.items()))

    def of(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            neighbours = None if self._names is None else Neighbours(self._names, self._neighbour_threshold)
            account = self._accounts[name] = Account(neighbours)
            if len(self._accounts) > max(1, self._max_contexts // CONTEXTS_OF_ACCOUNT):
                self._forget_oldest()
        return account

    def followers(self, account: Account, key: ObjectKey) -> Followers:
        found = account.followers.get(key)
        if found is not None:
            account.followers.move_to_end(key)
        else:
            found = account.followers[key] = Followers(key)
            self.contexts += 1
            while self.contexts > self._max_contexts:
                self._make_room(account)
        return found

    def _make_room(self, account):
        """Drop a context of this account if it has its share, so that no flood costs the others; else drop the
        account read longest ago."""
        if len(account.followers) * len(self._accounts) > self._max_contexts:
            account.followers.popitem(last=False)
            self.contexts -= 1
        else:
            self._forget_oldest()

    def _forget_oldest(self):
        _, account = self._accounts.popitem()
        self.contexts -= len(account.followers)


class DamagedSnapshot(ValueError):
    """The bytes are no snapshot, or not a whole one."""


# -- writing -----------------------------------------------------------------------------------------------

def written(accounts: Accounts) -> Iterator[bytes]:
    """Yield the parts of a snapshot, each as of the moment it is asked for."""
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
    """Load the parts of a snapshot; return the number of contexts.

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
