"""What is known of each account: nothing of it is used for another. Bounded together by their contexts."""
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice

from cachetools import LRUCache

from .evidence import Calibration, first_shares
from .neighbours import Names, Neighbours
from .prediction import ObjectKey, Read
from .transitions import Followers

# the logarithm of the bytes that half of the reads have at most, before there were any
USUAL_SIZE = 13.0
SIZE_STEP = 0.05
# what an account takes by itself, in contexts
CONTEXTS_OF_ACCOUNT = 20
# reads within which a prediction must come true
READS_KEPT = 12
# seconds by which records of several workers may be out of order; more, and a clock was set back
DISORDER = 5.0


class Account:
    """
    :param neighbours: None where no names are told
    """

    def __init__(self, neighbours: Neighbours | None):
        # What was read least lately first; bounded by `Accounts`. Looked at many times for each read, which must
        # take no time and does not count as use.
        self.followers: OrderedDict[ObjectKey, Followers] = OrderedDict()
        self.calibration = Calibration(first_shares())
        self.neighbours = neighbours
        self.usual_size = USUAL_SIZE

    def note_size(self, followers: Followers, size: int) -> None:
        followers.size_code = size.bit_length()
        self.usual_size += SIZE_STEP if followers.size_code > self.usual_size else -SIZE_STEP


class Accounts:
    """
    :param max_contexts: objects whose followers are remembered, of all accounts together
    """

    def __init__(self, max_contexts: int, names: Names | None, neighbour_threshold: float):
        self._max_contexts = max_contexts
        self._names = names
        self._neighbour_threshold = neighbour_threshold
        # the one that was read least lately first
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
        """One that has its share gives up its own: what floods it costs the others nothing. Else the account that
        was read least lately is forgotten."""
        if len(account.followers) * len(self._accounts) > self._max_contexts:
            account.followers.popitem(last=False)
            self.contexts -= 1
        else:
            self._forget_oldest()

    def _forget_oldest(self):
        _, account = self._accounts.popitem()
        self.contexts -= len(account.followers)


class ClientSequence:
    """
    :param at: of its last read
    """
    __slots__ = ('account', 'at', 'reads', 'unsettled')

    def __init__(self, account: Account, at: float):
        self.account = account
        self.at = at
        self.reads: deque[tuple[Followers, float]] = deque(maxlen=READS_KEPT)
        self.unsettled: deque[list[tuple[ObjectKey, int]]] = deque()

    def context(self) -> tuple[Followers, ObjectKey | None, ObjectKey | None]:
        """What was read last, the object before it, and the one before that."""
        reads = self.reads
        return (reads[-1][0], reads[-2][0].key if len(reads) > 1 else None,
                reads[-3][0].key if len(reads) > 2 else None)

    def settle(self, most: int) -> None:
        """Count what came true, of all but so many of the last predictions."""
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
    :param most: who are remembered
    """

    def __init__(self, window: float, most: int):
        self._window = window
        self._most = most
        # who read least lately first
        self._clients: OrderedDict[tuple[str, str], ClientSequence] = OrderedDict()

    def __len__(self):
        return len(self._clients)

    def of(self, account: Account, read: Read) -> ClientSequence:
        """Who is reading; anew, where its last read is too long ago."""
        clients, place = self._clients, (read.account, read.client)
        client = clients.get(place)
        if client is not None and (not -DISORDER <= read.at - client.at <= self._window
                                   or client.account is not account):
            client.settle(0)
            client = None
        if client is None:
            client = clients[place] = ClientSequence(account, read.at)
        clients.move_to_end(place)
        # who went away made nothing come true any more
        while (oldest := next(iter(clients.values()))) is not client and (
                len(clients) > self._most or abs(read.at - oldest.at) > self._window):
            clients.popitem(last=False)
            oldest.settle(0)
        return client
