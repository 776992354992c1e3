"""Predict the next reads from a client's last reads, over counts that all clients of the account share.

Contexts of up to three reads with back-off; a window of reads, against noise; neighbours by name, for objects
never read. Each is evidence of some kind, and the share of that kind that came true is the probability.
"""
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter

from .accounts import Account, Accounts, restore, written
from .evidence import path_kind, soon_kind, sureness
from .neighbours import Names
from .prediction import DISORDER, ObjectKey, Prediction, Read
from .transitions import Followers

# reads within which one object comes soon after another
WINDOW = 6
# probability below which a path is not followed further
PATH_LEAST = 0.2
# An object that came soon has no order to back it: it must be likelier, and have come after one read in `SELDOM`.
SOON_LEAST, SELDOM = 0.6, 4
# A large object takes the room of many, so it must be likelier than a small one, within limits.
COST, CHEAP, SURE_ENOUGH = 0.15, 0.7, 0.6

# reads of a client that are kept; a prediction must come true within as many
READS_KEPT = 12

EXPECTED = attrgetter('at')

# object -> probability, seconds until it is read, and its followers
Found = dict[ObjectKey, tuple[float, float, Followers | None]]


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


class SequenceLearner:
    """
    :param threshold: least probability of a prediction, for an object of the usual size
    :param window: seconds after which a read no longer follows the one before
    :param look_ahead: upper bound on the steps
    :param max_contexts: upper bound on the objects with followers, and on the clients
    :param names: gives neighbours; None: none are known
    :param neighbour_threshold: least probability of a neighbour
    """

    def __init__(self, threshold: float = 0.35, window: float = 60.0, look_ahead: int = 8,
                 max_contexts: int = 100_000, names: Names | None = None, neighbour_threshold: float = 0.15):
        self._threshold = threshold
        self._sure_enough = max(SURE_ENOUGH, threshold)
        self._look_ahead = look_ahead
        self.accounts = Accounts(max_contexts, names, neighbour_threshold)
        self._clients = Clients(window, max_contexts)

    def observe(self, read: Read) -> list[Prediction]:
        account = self.accounts.of(read.account)
        client = self._clients.of(account, read)
        # records of several workers may arrive out of order by their flush intervals
        if read.at < client.at:
            return []
        was_known = read.key in account.followers
        if not client.reads or client.reads[-1][0].key != read.key:
            self._learn(client, read)
        elif client.unsettled:
            # read once more, in parts perhaps: the new predictions replace the last
            client.unsettled.pop()
        client.at = read.at
        if read.bytes:
            account.note_size(client.reads[-1][0], read.bytes)
        predictions = [Prediction(read.account, key, chance, read.at + gap,
                                  followers.most_bytes if followers is not None else 0)
                       for key, (chance, gap, followers) in self._found(client).items()
                       if chance >= self._sure_enough or chance >= self._least(account, followers)]
        predictions.sort(key=EXPECTED)
        return predictions + self._beside(account, read, was_known)

    def snapshot(self) -> Iterator[bytes]:
        return written(self.accounts)

    def restore(self, snapshot: bytes) -> int:
        return restore(self.accounts, snapshot)

    def _learn(self, client: ClientSequence, read: Read):
        followers = self.accounts.followers(client.account, read.key)
        key, reads = followers.key, client.reads
        if reads:
            last, before, before_that = client.context()
            last.add(key, before, before_that, read.at - reads[-1][1])
        for place in range(max(0, len(reads) - WINDOW), len(reads)):
            near, at = reads[place]
            if near is not followers:
                near.add_near(key, read.at - at)
        followers.read()
        reads.append((followers, read.at))

    def _found(self, client) -> Found:
        client.settle(client.reads.maxlen - 1)
        guesses: list[tuple[ObjectKey, int]] = []
        found = self._path(client, guesses)
        self._look_around(client, found, guesses)
        client.unsettled.append(guesses)
        return found

    def _path(self, client, guesses) -> Found:
        """Follow the likeliest path, each step from the reads that would have come before."""
        found: Found = {}
        shares, known = client.account.calibration.shares, client.account.followers
        followers, before, before_that = client.context()
        start, product, gap = followers.key, 1.0, 0.0
        for step in range(1, self._look_ahead + 1):
            chance, following_key, pause = -1.0, start, 0.0
            for key, kind, seconds in followers.best(before, before_that, step == 1):
                # of equal chances the higher order wins
                if shares[kind] >= chance:
                    chance, following_key, pause = shares[kind], key, seconds
                if step == 1:
                    guesses.append((key, kind))
            product *= chance
            if product < PATH_LEAST and step > 1 or following_key in found or following_key == start:
                break
            gap += pause
            if step > 1:
                kind = path_kind(step, product)
                guesses.append((following_key, kind))
                chance = shares[kind]
            following = known.get(following_key)
            found[following_key] = chance, gap, following
            if following is None or product < PATH_LEAST:
                break
            followers, before, before_that = following, followers.key, before
        return found

    def _look_around(self, client, found, guesses):
        """Add objects that came soon after this one, whatever was between."""
        followers, account = client.reads[-1][0], client.account
        reads, sure = followers.reads, sureness(next(iter(found.values()))[0] if found else 0.0)
        for key, count, gap in followers.near(-(-reads // SELDOM)):
            kind = soon_kind(count, reads, sure)
            guesses.append((key, kind))
            chance = account.calibration.shares[kind]
            if chance < SOON_LEAST:
                continue
            known = found.get(key)
            if known is None:
                found[key] = chance, gap, account.followers.get(key)
            elif known[0] < chance:
                found[key] = chance, min(gap, known[1]), known[2]

    def _least(self, account: Account, followers):
        if followers is None or not followers.size_code:
            return self._threshold
        cost = 2.0 ** (COST * (followers.size_code - account.usual_size))
        return max(self._threshold * CHEAP, min(self._threshold * cost, self._sure_enough))

    def _beside(self, account: Account, read, was_known):
        """Predict neighbours: at once at the earliest, mostly much later."""
        neighbours = account.neighbours
        if neighbours is None:
            return []
        return [Prediction(read.account, key, chance, read.at, size, neighbours.wait)
                for key, chance, size in neighbours.observe(read, was_known, account.followers)]
