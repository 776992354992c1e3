"""``swiftahead misplaced scan``: look for misplaced objects on purpose, and have them moved.

A record is put as soon as its object is found: a scan that is interrupted leaves its records to the mover. A scan
can be repeated, since a record that is handled twice does no harm.
"""
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from ..conf.arguments import argument, container_path, real, whole
from ..conf.names import ObjectName
from ..queues import Misplaced
from ..queues.wake import Waker
from ..sidecar.settings import check_client
from .main import Absent, CommandError
from .node import CONF, settings_of, swift_of
from .queue import opened

TOLD_SECONDS = 2.0
# about three hundred years
MOST_SECONDS = 1e10
NOT_FOUND = 404
TEXT = """Asks the other storage policies for every object that a container's listing names, and for every object
that its servers have rows of in other policies. A misplaced object of which no container server has a row is not
found: Swift has no list of it. A read of its name finds it, if the filter looks (detect_misplaced)."""


def add_parsers(commands) -> None:
    misplaced = commands.add_parser('misplaced', help='look for objects that lie in a wrong storage policy')
    actions = misplaced.add_subparsers(metavar='ACTION', required=True)
    scan = actions.add_parser('scan', help='ask for every object that is listed; have misplaced ones moved',
                              description=TEXT)
    scan.add_argument('path', type=argument(container_path), metavar='ACCOUNT[/CONTAINER]', help='not quoted')
    scan.add_argument('--concurrency', type=whole(1, 1000), default=8, metavar='N',
                      help='objects at a time (default: %(default)s)')
    scan.add_argument('--reclaim-age', type=real(1, MOST_SECONDS, 'seconds'), metavar='SECONDS',
                      help="the object servers' (default: reclaim_age of [mover] in the conf)")
    scan.add_argument('--dry-run', action='store_true', help='look only; nothing is recorded')
    scan.add_argument('--conf', default=CONF, help="the sidecar's conf (default: %(default)s)")
    scan.add_argument('--json', action='store_true', help='one JSON document on standard output')
    scan.set_defaults(run=scan_account)


class ScanRun:
    """A scan of containers: the objects found, and the outcomes.

    :param search: a `misplaced.search.Search`
    :param names: gives the names to ask for, by account, container and home policy
    :param record: takes a Misplaced record
    :param tell: takes the number of objects asked for
    """

    def __init__(self, search, names: Callable[[str, str, int], Iterable[str]],
                 record: Callable[[Misplaced], None], tell: Callable[[int], None]):
        self.found: list[Misplaced] = []
        self.outcomes: Counter[str] = Counter()
        self.unknown: list[str] = []
        self._search = search
        self._names = names
        self._record = record
        self._tell = tell

    def container(self, account: str, container: str, pool) -> None:
        """Ask for every object of a container, and wait until all are done.

        :param pool: a GreenPool; its size is the number of objects asked for at a time
        """
        from ..misplaced.servers import Unknown
        try:
            facts = self._search.judge.servers.container_facts(account, container)
            for name in self._names(account, container, facts.policy_index) if facts.exists else ():
                pool.spawn_n(self._one, ObjectName(account, container, name), facts)
        except Unknown as error:
            self.unknown.append(str(error))
        pool.waitall()

    def _one(self, name: ObjectName, facts):
        finding = self._search.find(name, facts.policy_index, facts)
        self.outcomes[finding.outcome] += 1
        if finding.silent:
            silent = ', '.join(map(str, finding.silent))
            self.unknown.append(f'policy {silent} does not tell of {name.quoted}')
        elif finding.outcome == 'unknown':
            self.unknown.append(f'too few object servers told of {name.quoted}')
        for copy in finding.copies:
            record = Misplaced(*name.parts, copy.policy_index, copy.timestamp.internal, at=time.time())
            self._record(record)
            self.found.append(record)
        self._tell(self.outcomes.total())


def scan_account(args) -> int:
    """Scan an account, or one of its containers.

    :returns: 0 where no object is misplaced; 1 where one is, or where not all could be asked
    """
    account, container = args.path
    with opened(args.conf, missing=CommandError) as queue:
        settings, client = _client(args.conf)
        if args.reclaim_age is None:
            args.reclaim_age = settings.mover.reclaim_age
        waker = Waker(queue.path)

        def record(found):
            if not args.dry_run:
                queue.put([found])
                waker.wake({type(found).__name__})
        try:
            scan = _scan(client, account, container, args, record)
        finally:
            waker.close()
    _print(scan, args)
    return 1 if scan.found or scan.unknown else 0


def _client(conf):
    """Load the storage policies, then check the conf and make the client, since both read them.

    :raises CommandError: where Swift refuses the conf or the files in its folder
    """
    settings = settings_of(conf)
    from ..sidecar.cluster import make_client, with_proxys_servers
    with swift_of(conf, settings):
        check_client(settings)
        return settings, make_client(with_proxys_servers(settings, logging.getLogger(__name__)))


def _scan(client, account, container, args, record) -> ScanRun:
    from swift.common.concurrency import GreenPool

    from ..misplaced.search import Search, names
    from ..misplaced.servers import Judge, StorageServers
    containers = dict(_containers(client, account, container))
    # the pipeline ends with proxy-server, which has the rings
    servers = StorageServers.of_proxy(client.app._pipeline_final_app)
    search = Search(Judge(servers, args.reclaim_age, time.time), partial(_head, client))

    def named(account, container, home):
        return names(servers, _listing(client, account, container), account, container, home)
    scan = ScanRun(search, named, record, Progress(sum(containers.values())))
    for name in containers:
        scan.container(account, name, GreenPool(args.concurrency))
    return scan


def _head(client, name, policy) -> tuple[int, Mapping[str, str]]:
    from swift.common.internal_client import UnexpectedResponse

    from ..misplaced.servers import ABSENT, POLICY
    path = client.make_path(*name.parts)
    try:
        resp = client.make_request('HEAD', path, {'X-Newest': 'true', POLICY: str(policy)}, (2, ABSENT))
    except UnexpectedResponse as error:
        resp = error.resp
    return resp.status_int, resp.headers


def _listing(client, account, container) -> Iterator[str]:
    from swift.common.internal_client import UnexpectedResponse

    from ..misplaced.servers import Unknown
    try:
        for item in client.iter_objects(account, container):
            yield item['name']
    except UnexpectedResponse as error:
        raise Unknown(f'the listing of /{account}/{container} ends early: {error}') from None


def _containers(client, account, container) -> Iterator[tuple[str, int]]:
    """Yield the name of each container and the number of objects that it is said to hold.

    :raises Absent: where there is no such account or container
    """
    from swift.common.internal_client import UnexpectedResponse
    path = client.make_path(account, container)
    try:
        resp = client.make_request('HEAD', path, {}, (2, NOT_FOUND))
        # Swift answers for an account that the first write would make as if it were there, and empty
        if resp.status_int == NOT_FOUND or resp.headers.get('X-Backend-Fake-Account-Listing'):
            raise Absent(f'there is no {"container" if container else "account"} {path.removeprefix("/v1")}')
        if container:
            yield container, int(resp.headers.get('X-Container-Object-Count', 0))
        else:
            for item in client.iter_containers(account):
                yield item['name'], int(item['count'])
    except UnexpectedResponse as error:
        raise CommandError(f'{path.removeprefix("/v1")}: {error}') from None


class Progress:
    """Tell on standard error how far the scan is, and how long it may take.

    :param total: objects that the containers are said to hold; rows of other policies come on top
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic, out=None):
        self._total = total
        self._clock = clock
        self._out = out or sys.stderr
        self._begin = self._told = clock()

    def __call__(self, done: int) -> None:
        now = self._clock()
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            print(self._text(done, now - self._begin), file=self._out, flush=True)

    def _text(self, done, seconds):
        if done >= self._total:
            return f'{done:,} objects asked for, more than the {self._total:,} that were announced'
        left = seconds / done * (self._total - done)
        return f'{done:,} of {self._total:,} objects asked for, {left // 60:.0f} min {left % 60:.0f} s left'


def _print(scan, args):
    if args.json:
        print(json.dumps({'found': [vars(one) for one in scan.found], 'recorded': not args.dry_run,
                          'outcomes': dict(scan.outcomes), 'unknown': scan.unknown}))
        return
    for one in scan.found:
        print(f'{one.name.quoted} in policy {one.policy_index} at {one.timestamp}')
    for why in scan.unknown:
        print(f'not known: {ascii(why)}')
    word = 'found' if args.dry_run else 'found and recorded'
    refused = {key: scan.outcomes[key] for key in ('deleted', 'old') if scan.outcomes[key]}
    print(f'{scan.outcomes.total()} objects asked for, {len(scan.found)} {word}'
          + ''.join(f', {count} left alone ({key})' for key, count in refused.items()))
