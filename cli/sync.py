"""``swiftahead sync status``: how far the containers of this node are in step with those of other clusters.

Each primary of a container has a share of its rows. So a container's state is known when the shares of all its
nodes are put together: the command takes the output of other nodes too.
"""
import json
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from ..conf.arguments import argument, some
from ..conf.process import told
from ..sidecar.settings import SidecarSettings
from ..sidecar.syncer.figures import (
    FAILING,
    NOT_SYNCED,
    STATES,
    LedgerError,
    SyncFigures,
    figures_of,
    find_ledgers,
    read_ledger,
    silence,
    without_login,
)
from . import sync_check
from .main import CommandError
from .node import CONF, settings_of

SUMS = 'behind', 'unseen', 'failed_rows', 'rate', 'puts', 'posts', 'deletes', 'bytes', 'failures'
HEADINGS = ('container', 'state', 'lag', 'behind', 'second look', 'failed', 'rows/s', 'left', 'bytes', 'puts',
            'posts', 'deletes', 'looked at')
TEXT = """Shows this node's share of each container. For all of it, run the command on each container node with
--json, and give the outputs to one of them with --from."""


@dataclass(frozen=True)
class Share:
    """A node's share of a container.

    :param figures: at the time of the command; `lag` is that of then, `at` is when the syncer last looked
    """
    node: str
    device: str
    figures: SyncFigures


@dataclass
class Synced:
    """A container, with all its shares that are known."""
    account: str
    container: str
    shares: list[Share] = field(default_factory=list)

    @property
    def _figures(self) -> list[SyncFigures]:
        return [share.figures for share in self.shares]

    @property
    def state(self) -> str:
        """Give the worst of all shares."""
        return min((one.state for one in self._figures), key=STATES.index)

    @property
    def seconds_left(self) -> float | None:
        """Give the time after which the slowest node has sent its share; None where that cannot be told."""
        waiting = [one for one in self._figures if one.behind]
        if not all(one.rate for one in waiting):
            return None
        return max((one.behind / one.rate for one in waiting), default=0.0)

    @property
    def troubles(self) -> list[dict[str, str]]:
        found = {(one.why, one.remedy) for one in self._figures if one.why}
        return [{'why': why, 'remedy': remedy} for why, remedy in sorted(found)]

    def as_json(self) -> dict:
        newest = max(self._figures, key=lambda one: one.at)
        return {'account': self.account, 'container': self.container, 'sync_to': newest.sync_to,
                'state': self.state, 'lag': max(one.lag for one in self._figures),
                'seconds_left': self.seconds_left, 'at': newest.at,
                **{name: sum(getattr(one, name) for one in self._figures) for name in SUMS},
                'troubles': self.troubles,
                'shares': [{'node': share.node, 'device': share.device, **asdict(share.figures)}
                           for share in self.shares]}


def add_parsers(commands) -> None:
    sync = commands.add_parser('sync', help='see how far container sync is; compare both sides of a container')
    actions = sync.add_subparsers(metavar='ACTION', required=True)
    status = actions.add_parser('status', help='lag, rows behind and troubles of each container', description=TEXT)
    status.add_argument('conf', nargs='*', metavar='CONF', help=f'confs of syncers (default: {CONF})')
    status.add_argument('--from', dest='files', action='append', type=argument(some), default=[], metavar='FILE',
                        help='output of this command with --json on another node; can be given several times')
    status.add_argument('--json', action='store_true', help='one JSON document on standard output')
    status.set_defaults(run=show_status)
    sync_check.add_parser(actions)


def show_status(args) -> int:
    """Print the state of each container that is synced.

    :returns: 0 where all is well, 1 where a container fails or is not synced, or a syncer does nothing
    """
    now = time.time()
    shares, problems = [], []
    for conf in args.conf or ([] if args.files else [CONF]):
        for found in _of_node(conf, now):
            (shares if isinstance(found, Share) else problems).append(found)
    for path in args.files:
        their_shares, their_problems = _of_file(path)
        shares += their_shares
        problems += their_problems
    containers = together(shares)
    if args.json:
        print(json.dumps({'at': now, 'problems': problems, 'containers': [one.as_json() for one in containers]}))
    else:
        for line in (*_lines([one.as_json() for one in containers], now), *problems):
            print(line)
    return 1 if problems or any(one.state in (FAILING, NOT_SYNCED) for one in containers) else 0


def together(shares: Iterable[Share]) -> list[Synced]:
    """Put the shares of each container together, and leave out what is known twice."""
    newest: dict[tuple, Share] = {}
    for share in sorted(shares, key=lambda share: share.figures.at):
        newest[share.node, share.device, share.figures.account, share.figures.container] = share
    found: dict[tuple[str, str], Synced] = {}
    for (*_, account, container), share in newest.items():
        found.setdefault((account, container), Synced(account, container)).shares.append(share)
    return [found[key] for key in sorted(found)]


def _of_node(conf, now) -> Iterator[Share | str]:
    """Give the shares of this node, and its problems in words."""
    settings = syncer_settings(conf)
    node, reported = socket.gethostname(), 0.0
    try:
        paths = find_ledgers(settings.syncer.devices)
    except LedgerError as error:
        raise CommandError(f'{conf}: [syncer] devices = {error}') from None
    for path in paths:
        try:
            reading = read_ledger(path)
        except LedgerError as error:
            yield f'{error}; run this as the user {settings.user}, or see whether the disk is well'
            continue
        reported = max(reported, reading.at)
        for one in reading.figures:
            yield Share(node, str(reading.device), replace(
                one, at=max(one.at, reading.looked_at), lag=one.lag_at(now), sync_to=without_login(one.sync_to)))
    if seconds := silence(reported, settings.syncer.interval, now):
        yield (f'{conf}: the syncer has done nothing for {span(seconds)}; see that swiftahead-sidecar runs with '
               'this conf')


def syncer_settings(conf: str) -> SidecarSettings:
    """Read the conf of a syncer. :raises CommandError: where it has none"""
    settings = settings_of(conf)
    if not settings.syncer.enabled:
        raise CommandError(f'{conf}: there is no syncer: [syncer] enabled is off; name the conf of the syncer')
    return settings


def _of_file(path) -> tuple[list[Share], list[str]]:
    try:
        document = json.loads(Path(path).read_bytes())
        shares = [Share(str(share['node']), str(share['device']), figures_of(share))
                  for container in document['containers'] for share in container['shares']]
        return shares, [str(problem) for problem in document['problems']]
    except OSError as error:
        raise CommandError(told(error)) from None
    except (ValueError, TypeError, KeyError):
        raise CommandError(f'{path}: is no output of swiftahead sync status --json') from None


def _lines(containers, now) -> Iterator[str]:
    if not containers:
        yield 'no container has been synced from here yet'
        return
    rows = [HEADINGS, *(_row(one, now) for one in containers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, state, *numbers in rows:
        yield '  '.join((name.ljust(widths[0]), state.ljust(widths[1]),
                         *(text.rjust(width) for text, width in zip(numbers, widths[2:], strict=True))))
    for one in containers:
        for trouble in one['troubles']:
            remedy = f'; {trouble["remedy"]}' if trouble['remedy'] else ''
            # the other cluster may have had a say in it
            yield ascii(f'{_path(one)}: {trouble["why"]}{remedy}')[1:-1]


def _path(one):
    return f'{quote(one["account"])}/{quote(one["container"])}'


def _row(one, now):
    from ..sidecar.status.formats import as_text
    left = one['seconds_left']
    behind, unseen, failed, puts, posts, deletes = (
        f'{one[name]:,}' for name in ('behind', 'unseen', 'failed_rows', 'puts', 'posts', 'deletes'))
    return (f'{_path(one)} -> {ascii(one["sync_to"])[1:-1]}', one['state'], span(one['lag']), behind, unseen,
            failed, f'{one["rate"]:,.1f}', '?' if left is None else span(left), as_text(one['bytes'], 'bytes'),
            puts, posts, deletes,
            f'{span(max(now - one["at"], 0))} ago' if one['at'] else 'never')


def span(seconds: float) -> str:
    """Write a time span in the unit that suits it."""
    for size, unit in ((86400, 'd'), (3600, 'h'), (60, 'min')):
        if seconds >= 2 * size:
            return f'{seconds / size:.0f} {unit}'
    return f'{seconds:.0f} s'
