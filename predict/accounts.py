"""What is known of each account: nothing of it is used for another. Bounded together by their contexts."""
from collections import OrderedDict
from collections.abc import Iterator

from cachetools import LRUCache

from .evidence import Calibration, guesses
from .learner import ObjectKey
from .neighbours import Names, Neighbours
from .transitions import Followers

# the logarithm of the bytes that half of the reads have at most, before there were any
USUAL_SIZE = 13.0
SIZE_STEP = 0.05
# what an account takes by itself, in contexts
CONTEXTS_OF_ACCOUNT = 20


class Account:
    """
    :param neighbours: None where no names are told
    """

    def __init__(self, neighbours: Neighbours | None):
        # What was read least lately first; bounded by `Accounts`. Looked at many times for each read, which must
        # take no time and does not count as use.
        self.followers: OrderedDict[ObjectKey, Followers] = OrderedDict()
        self.calibration = Calibration(guesses())
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
