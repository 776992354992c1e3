"""Pages of names around the objects that are read: asked for sparingly, in the background.

A container is asked for a page once a few of its objects were read. The page holds a few hundred names before and
after the last object. Clients that follow an order of names read on within the page, and cause no further request.
A page that is not here yet is not waited for. Requests are bounded thrice: one page at a time for the whole
process, one page in `PAUSE` seconds, and for an account one page in `READS_FOR_A_PAGE` of its reads.
"""
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cachetools import LRUCache
from swift.common.concurrency import Timeout, spawn_n

from ...conf.names import ObjectName
from ...predict import ObjectKey
from .backend_client import BackendClient, NotFetched

# reads of a container from which on it is asked for a page
FEW_READS = 3
# reads of an account for each page
READS_FOR_A_PAGE = 20
# seconds between two pages, of the process
PAUSE = 1.0
# names of a page before the object that is read, and after it: readers go on rather than back
BEFORE, AFTER = 200, 800
# seconds after which a page is asked for anew: where it was had, and where it could not be had
FRESH_SECONDS, FAILED_SECONDS = 3600.0, 300.0
CONTAINERS = 10_000

Sides = tuple[Sequence[tuple[str, int]], Sequence[tuple[str, int]]]
NOTHING: Sides = ((), ())


@dataclass(frozen=True)
class Page:
    """The names of a container around a read, with the objects' sizes.

    :param names: in the order of the listing
    :param sizes: bytes of each
    :param is_first: whether the container has no name before them
    :param is_last: whether the container has no name after them
    :param until: time from which the page is not relied on any more, in seconds of the clock
    """
    names: list[str]
    sizes: array
    is_first: bool
    is_last: bool
    until: float

    def sides(self, name: str, reach: int) -> tuple[Sides, bool]:
        """Give the neighbours before and after a name, the nearest first.

        :param reach: upper bound on the neighbours of each side
        :returns: the neighbours of both sides, and whether these are all within `reach`
        """
        names, count = self.names, len(self.names)
        place = bisect_left(names, name)
        after = place + (place < count and names[place] == name)
        if after == place and (place == 0 and not self.is_first or place == count and not self.is_last):
            # outside the page: there may be unknown names between the page and this name
            return NOTHING, False
        before, behind = slice(max(0, place - reach), place), slice(after, after + reach)
        is_whole = (place >= reach or self.is_first) and (after + reach <= count or self.is_last)
        return (self._items(before)[::-1], self._items(behind)), is_whole

    def _items(self, part: slice) -> list[tuple[str, int]]:
        return list(zip(self.names[part], self.sizes[part], strict=True))


class Listings:
    """Gives the neighbours of an object as a `predict.neighbours.Names`; never waits.

    :param most: upper bound on the names to remember
    :param may_ask: tells whether the backend is well enough to be asked
    :param count: counts a metric: name, by, reason
    """

    def __init__(self, fetcher: BackendClient, most: int, may_ask: Callable[[], bool], count: Callable, logger,
                 clock: Callable[[], float] = time.monotonic):
        self._fetcher = fetcher
        self._may_ask = may_ask
        self._count = count
        self._logger = logger
        self._clock = clock
        # one page for each container; the pages used longest ago go first
        self._pages: LRUCache[tuple[str, str], Page] = LRUCache(most, _weight)
        self._reads: LRUCache[tuple[str, str], int] = LRUCache(CONTAINERS)
        self._credit: LRUCache[str, int] = LRUCache(CONTAINERS)
        self._is_asking = False
        self._asked_at = float('-inf')

    def __len__(self):
        return sum(len(page.names) for page in self._pages.values())

    def __call__(self, account: str, key: ObjectKey, reach: int) -> Sides:
        """Give the known (name, bytes) before and after an object, the nearest first."""
        container, name = key
        place = account, container
        self._credit[account] = min(self._credit.get(account, READS_FOR_A_PAGE) + 1, READS_FOR_A_PAGE)
        self._reads[place] = min(self._reads.get(place, 0) + 1, FEW_READS)
        page = self._pages.get(place)
        sides, is_whole = page.sides(name, reach) if page else (NOTHING, False)
        if page is None or self._clock() >= page.until or not is_whole:
            self._ask(ObjectName(account, container, name))
        return sides

    def _ask(self, name):
        """Have the page around a name fetched, if the bounds on requests allow it."""
        now = self._clock()
        if (self._is_asking or now - self._asked_at < PAUSE or not self._may_ask()
                or self._reads[name.account, name.container] < FEW_READS
                or self._credit[name.account] < READS_FOR_A_PAGE):
            return
        self._is_asking, self._asked_at, self._credit[name.account] = True, now, 0
        spawn_n(self._fetch, name)

    def _fetch(self, name):
        """Fetch the page around a name, in a green thread of its own; raise nothing."""
        page, outcome = Page([], array('Q'), True, True, self._clock() + FAILED_SECONDS), 'failed'
        try:
            page, outcome = self._around(name), 'read'
        except (NotFetched, ValueError, KeyError) as error:
            self._logger.debug('no names around %s: %s', name.quoted, error)
        except (Exception, Timeout) as error:  # noqa: BLE001 - whatever one container meets, the others go on
            self._logger.warning('no names around %s: %r', name.quoted, error)
        finally:
            self._is_asking = False
        self._count('listings', reason=outcome)
        # the page alone may be larger than the bound on all names
        with suppress(ValueError):
            self._pages[name.account, name.container] = page

    def _around(self, name) -> Page:
        if self._fetcher.container(name.account, name.container).opted_out:
            raise NotFetched('the container has opted out')
        before = self._fetcher.page(name, BEFORE, reverse=True)
        # from the nearest name before, so that the page holds the name itself, unless that is gone
        marker = before[0][0] if before else ''
        after = self._fetcher.page(ObjectName(name.account, name.container, marker), AFTER)
        items = before[::-1] + after
        return Page([item[0] for item in items], array('Q', [item[1] for item in items]),
                    len(before) < BEFORE, len(after) < AFTER, self._clock() + FRESH_SECONDS)


def _weight(page: Page) -> int:
    return len(page.names) + 1
