"""What is read next, from what was read: contexts per client over counts that the account's clients share.

Contexts of up to three reads with back-off; a window of reads, against noise; neighbours in name order, for what
was never read. All are guesses on evidence of some kind; how often that came true tells how likely each is.
"""
from collections.abc import Iterator
from operator import attrgetter

from .accounts import Account, Accounts, Clients, ClientSequence
from .evidence import path_kind, soon_kind, sureness
from .neighbours import Names
from .prediction import ObjectKey, Prediction, Read
from .snapshot import restore, written
from .transitions import Followers

# reads after an object within which another one comes soon after it
WINDOW = 6
# a path less likely than that is not followed any further
LEAST = 0.2
# What came soon is not followed by what else there is to know: it must be likelier, and what came after one
# read in so many is not looked at.
SOON_LEAST, SELDOM = 0.6, 4
# What is large takes the room of many: it must be likelier than what is small, within limits.
COST, CHEAP, SURE_ENOUGH = 0.15, 0.7, 0.6

EXPECTED = attrgetter('at')

# of an object, the probability, after how many seconds, and what is known of it
Found = dict[ObjectKey, tuple[float, float, Followers | None]]


class SequenceLearner:
    """
    :param threshold: least probability of what is predicted, for an object of the usual size
    :param window: seconds after which a read no longer follows the one before
    :param look_ahead: steps at most
    :param max_contexts: objects whose followers are remembered, and clients whose place is
    :param names: of neighbours; None: none are known
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
            # read once more, in parts perhaps: what is predicted now takes the place of what was
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
        """What was learned, in parts."""
        return written(self.accounts)

    def restore(self, snapshot: bytes) -> int:
        """Learn what a snapshot tells; tells how many contexts there are. :raises DamagedSnapshot:"""
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
        """Step by step, each from what would have been read by then."""
        found: Found = {}
        shares, known = client.account.calibration.shares, client.account.followers
        followers, before, before_that = client.context()
        start, product, gap = followers.key, 1.0, 0.0
        for step in range(1, self._look_ahead + 1):
            chance, following_key, pause = -1.0, start, 0.0
            for key, kind, seconds in followers.best(before, before_that, step == 1):
                # as likely by more reads is likelier
                if shares[kind] >= chance:
                    chance, following_key, pause = shares[kind], key, seconds
                if step == 1:
                    guesses.append((key, kind))
            product *= chance
            if product < LEAST and step > 1 or following_key in found or following_key == start:
                break
            gap += pause
            if step > 1:
                kind = path_kind(step, product)
                guesses.append((following_key, kind))
                chance = shares[kind]
            following = known.get(following_key)
            found[following_key] = chance, gap, following
            if following is None or product < LEAST:
                break
            followers, before, before_that = following, followers.key, before
        return found

    def _look_around(self, client, found, guesses):
        """What came soon after this one, whatever was between."""
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
        """When a neighbour is read, nobody knows: it may be at once, and mostly is much later."""
        neighbours = account.neighbours
        if neighbours is None:
            return []
        return [Prediction(read.account, key, chance, read.at, size, neighbours.wait)
                for key, chance, size in neighbours.observe(read, was_known, account.followers)]
