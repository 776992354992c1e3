"""Commands that ask proxies with the filter: any user who may write to the container can."""
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from urllib3.exceptions import HTTPError

from ..conf.casts import argument, number
from ..conf.names import LARGEST_LIMIT, PARAMETER
from . import credentials
from .control import NodeAnswer, check_container, check_proxy, check_text, path_of, send, split_storage_url
from .errors import RemoteError, reason


@dataclass(frozen=True)
class Asked:
    """:param answer: None where the proxy did not give any, and `why` tells what came instead"""
    proxy: str
    answer: NodeAnswer | None
    why: str = ''

    @property
    def code(self) -> int:
        if self.answer is None:
            return 2
        return 0 if self.answer.is_taken else 1

    def row(self) -> dict:
        row = {'proxy': self.proxy, 'taken': self.code == 0}
        if self.answer is None:
            return {**row, 'status': None, 'node': None, 'said': self.why}
        return {**row, 'status': self.answer.status, 'node': self.answer.node or None, 'said': self.answer.said}

    def __str__(self):
        if self.answer is None:
            return f'not reached: {self.why}'
        return f'taken by {self.answer.node}' if self.code == 0 else f'not taken: {self.answer.said}'


def add_parsers(commands) -> None:
    warm = commands.add_parser('warm', help="fetch a container's objects into a proxy's cache")
    warm.add_argument('--prefix', metavar='P', help='objects that begin so')
    warm.add_argument('--limit', type=argument(number(int, 1, LARGEST_LIMIT)), metavar='N', help='objects at most')
    warm.set_defaults(run=ask, action='warm', object=None)
    purge = commands.add_parser('purge', help="drop an object, or a container, from a proxy's cache")
    which = purge.add_mutually_exclusive_group()
    which.add_argument('--object', metavar='O', help='this object alone; every node validates its copy then')
    which.add_argument('--prefix', metavar='P', help='objects that begin so')
    purge.set_defaults(run=ask, action='forget', limit=None)
    for parser in (warm, purge):
        parser.add_argument('container')
        parser.add_argument('--proxy', action='append', default=[], metavar='URL',
                            help='ask this proxy, http(s)://HOST[:PORT], and not the one that the login names')
        parser.add_argument('--all', action='store_true', help='ask each --proxy; all must take it, each a node')
        parser.add_argument('--json', action='store_true', help='one JSON document on standard output')
        credentials.add_arguments(parser)


def ask(args) -> int:
    """:returns: 0: each proxy that was to be asked took it; 1: one did not; 2: one was not reached"""
    params = _params(args)
    proxies = _proxies(args)
    connection = credentials.log_in(args)
    server, account = split_storage_url(connection.url)
    path = path_of(account, args.container, params)
    if not args.all:
        return _tell_one(args, _ask_one(connection, (proxies or [server])[0], path))
    asked = []
    for proxy in proxies:
        asked.append(_ask_one(connection, proxy, path))
        if not args.json:
            tell(f'{proxy}: {asked[-1]}')
    return _sum_up(args, asked)


def tell(line: str) -> None:
    """Print a line. Who reads no further keeps no other proxy from being asked, nor changes the result."""
    with suppress(BrokenPipeError):
        print(line, flush=True)


def _params(args) -> dict[str, str]:
    """The query. :raises RemoteError:"""
    check_container(args.container)
    check_text('--object', args.object)
    check_text('--prefix', args.prefix)
    given = {'prefix': args.prefix, 'name': args.object, 'limit': args.limit}
    return {PARAMETER: args.action, **{key: str(value) for key, value in given.items() if value is not None}}


def _proxies(args) -> list[str]:
    """:raises RemoteError:"""
    proxies = [check_proxy(url) for url in args.proxy]
    if args.all and not proxies:
        raise RemoteError('--all needs --proxy URL for each proxy of the cluster: Swift keeps no list of them')
    if len(proxies) > 1 and not args.all:
        raise RemoteError('several --proxy are asked with --all alone')
    for url, count in Counter(proxies).items():
        if count > 1:
            raise RemoteError(f'--proxy {url} is there twice')
    return proxies


def _ask_one(connection, proxy, path) -> Asked:
    try:
        return Asked(proxy, send(connection, proxy, path))
    except (OSError, HTTPError, ValueError) as error:
        return Asked(proxy, None, reason(error, connection.timeout))


def _tell_one(args, asked) -> int:
    if asked.answer is None:
        raise RemoteError(f'{asked.proxy}: {asked.why}')
    if args.json:
        print(json.dumps({'container': args.container, **asked.row()}))
    else:
        print(asked.answer.said if asked.code == 0 else asked)
    return asked.code


def _sum_up(args, asked) -> int:
    nodes = Counter(one.answer.node for one in asked if one.answer is not None and one.answer.node)
    doubled = [node for node, count in nodes.items() if count > 1]
    code = max(*(one.code for one in asked), 1 if doubled else 0)
    if args.json:
        print(json.dumps({'container': args.container, 'taken': code == 0,
                          'doubled': doubled, 'proxies': [one.row() for one in asked]}))
        return code
    for node in doubled:
        tell(f'{node} answered more than once: name each proxy by its own address, not by a balancer\'s, and give '
             'each host a name of its own')
    return code
