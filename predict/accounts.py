"""Keep what was learned of each account, apart from all others, and the last reads of each client.

All accounts share one bound on their contexts, the objects whose followers are remembered.
"""
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice

from cachetools import LRUCache

from .evidence import Calibration, first_shares
from .neighbours import Names, Neighbours
from .prediction import ObjectKey, Read
from .transitions import Followers

# first guess of the median size of the objects read, as a logarithm of base 2
USUAL_SIZE = 13.0
SIZE_STEP = 0.05
# memory of an account without followers, in contexts
CONTEXTS_OF_ACCOUNT = 20
# reads of a client that are kept; a prediction must come true within as many
READS_KEPT = 12
# seconds by which records of several workers may be out of order; by more, a clock was set back
DISORDER = 5.0


class Account:
    """:param neighbours: None where no names are known"""

    def __init__(self, neighbours: Neighbours | None):
        # The key read longest ago comes first. Each read looks up many keys, which is no use of them.
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


class ClientSequence:
    """A client's last reads, and the predictions of each that are not settled yet.

    :param at: time of its last read
    """
    __slots__ = ('account', 'at', 'reads', 'unsettled')

    def __init__(self, account: Account, at: float):
        self.account = account
        self.at = at
        self.reads: deque[tuple[Followers, float]] = deque(maxlen=READS_KEPT)
        self.unsettled: deque[list[tuple[ObjectKey, int]]] = deque()

    def context(self) -> tuple[Followers, ObjectKey | None, ObjectKey | None]:
        """Give the object read last, the one before it, and the one before that."""
        reads = self.reads
        return (reads[-1][0], reads[-2][0].key if len(reads) > 1 else None,
                reads[-3][0].key if len(reads) > 2 else None)

    def settle(self, most: int) -> None:
        """Count which predictions came true, of all but the last `most` reads."""
        unsettled, add = self.unsettled, self.account.calibration.add
        while len(unsettled) > most:
            batch = unsettled.popleft()
            first = max(0, len(self.reads) - len(unsettled) - 1)
            since = {followers.key for followers, _ in islice(self.reads, first, None)}
            for key, kind in batch:
                add(kind, key in since)


class Clients:
    """
    :param window: seconds after which a read no longer follows the one before
    :param most: clients that are remembered
    """

    def __init__(self, window: float, most: int):
        self._window = window
        self._most = most
        # the client that read longest ago comes first
        self._clients: OrderedDict[tuple[str, str], ClientSequence] = OrderedDict()

    def __len__(self):
        return len(self._clients)

    def of(self, account: Account, read: Read) -> ClientSequence:
        """Find the client of a read; begin it anew where its last read is too long ago."""
        clients, place = self._clients, (read.account, read.client)
        client = clients.get(place)
        if client is not None and (not -DISORDER <= read.at - client.at <= self._window
                                   or client.account is not account):
            client.settle(0)
            client = None
        if client is None:
            client = clients[place] = ClientSequence(account, read.at)
        clients.move_to_end(place)
        # drop clients that went away
        while (oldest := next(iter(clients.values()))) is not client and (
                len(clients) > self._most or abs(read.at - oldest.at) > self._window):
            clients.popitem(last=False)
            oldest.settle(0)
        return client
