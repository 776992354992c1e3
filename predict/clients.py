"""Where each client is: its last reads, and what was predicted after each, until it is known what came true."""
from collections import OrderedDict, deque
from itertools import islice

from .accounts import Account
from .learner import ObjectKey, Read
from .transitions import Followers

# reads within which a prediction must come true
HORIZON = 12
# seconds by which records of several workers may be out of order; more, and a clock was set back
DISORDER = 5.0

Guess = tuple[ObjectKey, int]


class ClientSequence:
    """
    :param at: of its last read
    """
    __slots__ = ('account', 'at', 'reads', 'guesses')

    def __init__(self, account: Account, at: float):
        self.account = account
        self.at = at
        self.reads: deque[tuple[Followers, float]] = deque(maxlen=HORIZON)
        self.guesses: deque[list[Guess]] = deque()

    def context(self) -> tuple[Followers, ObjectKey | None, ObjectKey | None]:
        """What was read last, the object before it, and the one before that."""
        reads = self.reads
        return (reads[-1][0], reads[-2][0].key if len(reads) > 1 else None,
                reads[-3][0].key if len(reads) > 2 else None)

    def settle(self, most: int) -> None:
        """Count what came true, of all but so many of the last predictions."""
        guesses, add = self.guesses, self.account.calibration.add
        while len(guesses) > most:
            batch = guesses.popleft()
            since = {read[0].key for read in islice(self.reads, max(0, len(self.reads) - len(guesses) - 1), None)}
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
