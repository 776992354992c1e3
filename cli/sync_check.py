"""``swiftahead sync check``: compare both sides of a synced container by their listings.

Nothing is changed on either side. Rows that the syncer has not sent yet are differences too.
"""
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from ..conf.arguments import account_name, argument, container_name, whole
from ..sidecar.syncer.figures import LedgerError, read_figures
from .main import CommandError
from .node import CONF, settings_of, swift_of

TOLD_SECONDS = 1.0
TEXT = """Compares names, times, ETags, sizes and content types. Of the manifests of large objects names and times
alone are compared: their sizes and ETags in listings do not cross clusters. Objects that were written a moment ago
and are not sent yet are differences too."""


def add_parser(actions) -> None:
    check = actions.add_parser('check', help='compare both sides of a container', description=TEXT)
    check.add_argument('container', type=argument(container_name), help='its name alone, not quoted')
    check.add_argument('--account', type=argument(account_name), metavar='A',
                       help='its account (default: that of the one container of this name that this node syncs)')
    check.add_argument('--limit', type=whole(), default=100, metavar='N',
                       help='differences that are shown (default: %(default)s)')
    check.add_argument('--conf', default=CONF, help='the conf of the syncer (default: %(default)s)')
    check.add_argument('--json', action='store_true', help='one JSON document on standard output')
    check.set_defaults(run=check_container)


class Comparison:
    """What a comparison came to. :param limit: differences that are kept"""

    def __init__(self, limit: int):
        self.compared = self.manifests = 0
        self.differences: Counter[str] = Counter()
        self.shown: list[dict] = []
        self._limit = limit

    def add(self, pair) -> None:
        self.compared += 1
        self.manifests += pair.is_manifest
        if pair.kind:
            self.differences[pair.kind] += 1
            if len(self.shown) < self._limit:
                self.shown.append({'name': pair.name, 'kind': pair.kind, 'fields': pair.fields,
                                   'here': pair.here, 'there': pair.there})

    @property
    def are_alike(self) -> bool:
        return not self.differences


def check_container(args) -> int:
    """Compare both sides of a container.

    :returns: 0 where they are alike, else 1
    """
    settings = settings_of(args.conf)
    account = args.account or _account(settings, args.container)
    outcome = Comparison(args.limit)
    sides = _open_sides(args.conf, settings, account, args.container)
    for pair in _followed(_pairs(sides), sides.count):
        outcome.add(pair)
    if args.json:
        print(json.dumps({'account': account, 'container': args.container, 'url': sides.url,
                          'alike': outcome.are_alike, 'compared': outcome.compared, 'manifests': outcome.manifests,
                          'counts': dict(outcome.differences), 'differences': outcome.shown}))
    else:
        for line in _lines(outcome):
            print(line)
    return 0 if outcome.are_alike else 1


def _account(settings, container):
    try:
        found = {one.account for one in read_figures(settings.syncer.devices) if one.container == container}
    except LedgerError as error:
        raise CommandError(f'name the account with --account: {error}') from None
    if len(found) != 1:
        known = f'this node syncs one in each of {", ".join(sorted(map(quote, found)))}' if found else (
            'this node syncs no container of that name')
        raise CommandError(f'name the account with --account: {known}')
    return found.pop()


def _open_sides(conf, settings, account, container):
    from ..sidecar.syncer.sides import NotSynced, SourceFailed, open_sides
    with swift_of(conf, settings):
        try:
            return open_sides(settings, account, container, logging.getLogger(__name__))
        except (NotSynced, SourceFailed) as error:
            raise CommandError(f'{error.why}; {error.remedy}') from None


def _pairs(sides) -> Iterator:
    from ..sidecar.syncer.compare import ListingError, compare, rows
    from ..sidecar.syncer.sides import RemoteFailed, SourceFailed
    try:
        yield from compare(rows(sides.here, 'here'), rows(sides.there, 'there'))
    except (SourceFailed, RemoteFailed) as error:
        raise CommandError(f'{error.why}; {error.remedy}') from None
    except ListingError as error:
        raise CommandError(str(error)) from None


def _followed(pairs: Iterable, count: int, clock: Callable[[], float] = time.monotonic, out=None) -> Iterator:
    """Give the pairs on, and tell on a terminal how far they are.

    :param count: objects that are said to be there
    """
    out = out or sys.stderr
    if not out.isatty():
        yield from pairs
        return
    told_at = clock()
    for number, pair in enumerate(pairs, 1):
        yield pair
        if (now := clock()) - told_at >= TOLD_SECONDS:
            told_at = now
            print(f'{number:,} names compared, of about {count:,}', file=out, flush=True)


def _lines(outcome) -> Iterator[str]:
    for one in outcome.shown:
        fields = ', '.join(f'{name} {one["here"].get(name)!a} here, {one["there"].get(name)!a} there'
                           for name in one['fields'])
        yield f'{one["kind"]}: {quote(one["name"])}{f": {fields}" if fields else ""}'
    if outcome.differences.total() > len(outcome.shown):
        yield f'{len(outcome.shown)} of {outcome.differences.total():,} differences are shown; --limit shows more'
    counts = ', '.join(f'{count:,} {kind}' for kind, count in sorted(outcome.differences.items()))
    manifests = f', {outcome.manifests:,} manifests among them by name and time alone' if outcome.manifests else ''
    yield f'{outcome.compared:,} names compared{manifests}: {counts or "both sides are alike"}'
