"""Commands that look at this node's cache folder and queue."""
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..cache import Store, Unavailable, read_report
from ..conf import ConfError
from ..conf.process import told
from ..metrics import counters_folder
from ..metrics.totals import read_all
from ..queues import QueueError, open_queue
from ..sidecar.settings import SidecarSettings, read_settings
from ..sidecar.status.report import mover_report
from ..sidecar.status.snapshot import queue_path
from .main import Absent, CommandError

CONF = '/etc/swift/swiftahead-sidecar.conf'
# the sidecar writes its report every few seconds
REPORT_SECONDS = 30


def add_parsers(commands) -> None:
    status = commands.add_parser('status', help='state of sidecar, cache and queue')
    status.set_defaults(run=show_status)
    check = commands.add_parser('check', help='read every cached entry and check every byte')
    check.add_argument('--fix', action='store_true', help='remove damaged entries')
    check.set_defaults(run=check_cache)
    for parser in (status, check):
        parser.add_argument('--conf', default=CONF, help="the sidecar's conf (default: %(default)s)")
        parser.add_argument('--json', action='store_true', help='one JSON document on standard output')


def show_status(args) -> int:
    """Print the state of sidecar, cache and queue.

    :returns: 0 where the sidecar's parts have reported lately, else 1

    :raises Absent: where there is no cache
    """
    settings, store = _open(args.conf)
    report = store.report()
    alive = _is_lately(report)
    found = {'alive': alive, **report, 'spool_bytes': store.spool_bytes(),
             'queue': _depth(settings.sidecar.queue), 'counters': _counters(settings)}
    if settings.mover.enabled:
        mover = read_report(mover_report(queue_path(settings)))
        found['mover'] = {'alive': _is_lately(mover), **mover}
        alive = alive and found['mover']['alive']
    if args.json:
        print(json.dumps(found))
    else:
        _print_status(found)
    return 0 if alive else 1


def _is_lately(report) -> bool:
    return time.time() - report.get('at', 0) < REPORT_SECONDS


def _print_status(found):
    if found['alive']:
        print(f'sidecar    running, pid {found["pid"]}')
    else:
        print('sidecar    NOT RUNNING: start swiftahead-sidecar; until then nothing is admitted or fetched')
    if 'entries' in found:
        print(f'cache      {found["entries"]} entries, {found["bytes"]:,} of {found["cache_size"]:,} bytes')
    if found.get('rebuilding'):
        print(f'           the index is being made anew: {found.get("rebuilt_percent", 0)} percent of the folder '
              'is known; until then entries and bytes are those found so far')
    print(f'spool      {found["spool_bytes"]:,} bytes')
    if 'mover' in found:
        print(f'mover      {_mover(found["mover"])}')
    told = ', '.join(f'{key} {value}' for key, value in found['queue'].items())
    print(f'queue      {told or "empty"}')
    counted = {name: count for name, count in found['counters'].items() if count}
    print('counters' if counted else 'counters   all 0')
    for name, count in counted.items():
        print(f'  {name:<32} {count:>20,}' if isinstance(count, int) else f'  {name} {count}')


def _mover(report):
    if not report['alive']:
        return 'NOT RUNNING: misplaced objects wait in the queue'
    rows = f", {report['rows']} rows in Swift's queue" if 'rows' in report else ''
    return f'running, pid {report["pid"]}, {report["under_way"]} objects under way{rows}'


def _counters(settings):
    try:
        return read_all(counters_folder(queue_path(settings)))
    except OSError as error:
        return {'error': str(error)}


def check_cache(args) -> int:
    """Check every entry, and print the damaged ones.

    :returns: 0 where all entries are whole or ``--fix`` removed the damaged ones, else 1
    """
    _, store = _open(args.conf)
    damaged = [{'entry': entry, 'why': why} for entry, why in store.check(args.fix)]
    if args.json:
        print(json.dumps({'damaged': damaged, 'fixed': args.fix}))
    else:
        for row in damaged:
            print(f'{row["entry"]}: {row["why"]}{" (removed)" if args.fix else ""}')
        print(f'{len(damaged)} damaged')
    return 1 if damaged and not args.fix else 0


def _open(conf):
    settings = settings_with_cache(conf)
    try:
        return settings, Store.open(settings.sidecar.cache_dir)
    except Unavailable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise Absent(f'there is no cache in {settings.sidecar.cache_dir} yet; start swiftahead-sidecar'
                         ) from None
        raise CommandError(f'{error}; run this as the user {settings.user}') from None


def settings_of(conf: str) -> SidecarSettings:
    """Read the sidecar's conf.

    :raises CommandError: where it cannot be read; names the conf
    """
    try:
        return read_settings(conf)
    except (ConfError, OSError) as error:
        raise CommandError(f'{conf}: {told(error)}; name the conf with --conf') from None


@contextmanager
def swift_of(conf: str, settings: SidecarSettings) -> Iterator[None]:
    """Load the storage policies of the conf's Swift, which what is made within the context reads.

    :raises CommandError: where Swift refuses the conf or the files in its folder
    """
    from swift.common.storage_policy import reload_storage_policies
    from swift.common.utils import set_swift_dir
    try:
        set_swift_dir(settings.sidecar.swift_dir)
        reload_storage_policies()
        yield
    except CommandError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - Swift and PasteDeploy raise any of them
        raise CommandError(f'{conf}: Swift refuses this conf or the files in {settings.sidecar.swift_dir}: '
                           f'{told(error)}') from None


def settings_with_cache(conf: str) -> SidecarSettings:
    """Read the sidecar's conf, for a command that looks at cache or queue.

    :raises CommandError: where it cannot be read, or is for the syncer alone
    """
    settings = settings_of(conf)
    if not settings.has_cache:
        raise CommandError(f'{conf} is for the syncer alone, with neither cache_dir nor queue; see `swiftahead '
                           'sync status`, or name the conf of a node with a cache with --conf')
    return settings


def _depth(url):
    queue = open_queue(url)
    try:
        if queue.is_missing():
            return {'error': 'it is not there yet'}
        return queue.depth()
    except QueueError as error:
        return {'error': str(error)}
    finally:
        queue.close()
