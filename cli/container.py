"""Commands that ask proxies with the filter. Any user who may write to the container can run them.

No request that is sent from here may change an object, whatever was typed: a POST to an object removes its
metadata. So the path is made of a checked account and a checked container. Swift refuses the request where it
meets an object all the same (`GUARD`). Only the filter's own answers are believed.
"""
import http.client
import json
import re
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

from swiftclient import Connection
from urllib3.exceptions import HTTPError

from ..conf.arguments import account_name, argument, container_name, object_name
from ..conf.casts import number
from ..conf.names import GUARD, LARGEST_LIMIT, NODE_HEADER, PARAMETER
from . import credentials
from .credentials import RemoteError, one_line, reason

SERVER = r'(?i:https?)://[^\s/?#@\\]+'
STORAGE_URL = re.compile(rf'({SERVER})/v1/([^\s/?#\\]+)')
PROXY_URL = re.compile(rf'({SERVER})/?')
# bytes read of a filter's answer, which is one line
LONGEST_ANSWER = 1000


@dataclass(frozen=True)
class NodeAnswer:
    """A proxy's answer to a control request.

    :param node: the node that took or refused the request; '' where the answer is not the filter's
    :param said: one line, the filter's words; without a filter, an explanation of the answer
    """
    status: int
    node: str
    said: str

    @property
    def is_taken(self) -> bool:
        return self.status == http.client.ACCEPTED and bool(self.node)


@dataclass(frozen=True)
class Asked:
    """A proxy that was asked, and its answer.

    :param answer: None: the proxy gave none, and `why` tells the fault
    """
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
    warm.add_argument('--prefix', type=argument(object_name), metavar='P', help='objects that begin so')
    warm.add_argument('--limit', type=argument(number(int, 1, LARGEST_LIMIT)), metavar='N', help='objects at most')
    warm.set_defaults(run=ask, action='warm', object=None)
    purge = commands.add_parser('purge', help="drop an object, or a container, from a proxy's cache")
    which = purge.add_mutually_exclusive_group()
    which.add_argument('--object', type=argument(object_name), metavar='O',
                       help='this object alone; every node validates its copy then')
    which.add_argument('--prefix', type=argument(object_name), metavar='P', help='objects that begin so')
    purge.set_defaults(run=ask, action='forget', limit=None)
    for parser in (warm, purge):
        parser.add_argument('container', type=argument(container_name), help='its name alone, not quoted')
        parser.add_argument('--proxy', action='append', default=[], metavar='URL',
                            help='ask this proxy, http(s)://HOST[:PORT], and not the one that the login names')
        parser.add_argument('--all', action='store_true', help='ask each --proxy; all must take it, each a node')
        parser.add_argument('--json', action='store_true', help='one JSON document on standard output')
        credentials.add_arguments(parser)


def ask(args) -> int:
    """Send the warm or purge request to one proxy, or with ``--all`` to each.

    :returns: 0: each proxy that was to be asked took it; 1: one did not; 2: one was not reached
    """
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
    """Print a line. A closed pipe keeps no other proxy from being asked, nor changes the result."""
    with suppress(BrokenPipeError):
        print(line, flush=True)


def _params(args) -> dict[str, str]:
    """Build the query."""
    given = {'prefix': args.prefix, 'name': args.object, 'limit': args.limit}
    return {PARAMETER: args.action, **{key: str(value) for key, value in given.items() if value is not None}}


def _proxies(args) -> list[str]:
    """Check the URLs of the command line, and give the proxies' servers.

    :raises RemoteError: where one is no proxy's or is there twice, or where their number does not fit ``--all``
    """
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


# -- one request to one proxy ------------------------------------------------------------------------------

def split_storage_url(url: str) -> tuple[str, str]:
    """Split a storage URL into (scheme://host:port, account).

    :raises RemoteError: where it is not the URL of an account
    """
    found = STORAGE_URL.fullmatch(url)
    if not found or not _is_server(found[1]):
        raise RemoteError(f'storage URL {url!a}: must be http(s)://HOST[:PORT]/v1/ACCOUNT and nothing more')
    try:
        return found[1], account_name(unquote(found[2], errors='surrogateescape'))
    except ValueError as error:
        raise RemoteError(f'storage URL {url!a}: {error}') from None


def check_proxy(url: str) -> str:
    """Give scheme://host:port of a proxy's URL. :raises RemoteError: where it is not such a URL"""
    found = PROXY_URL.fullmatch(url)
    if not found or not _is_server(found[1]):
        raise RemoteError(f'--proxy {url!a}: must be http(s)://HOST[:PORT], as the proxy itself listens')
    return found[1]


def _is_server(url) -> bool:
    try:
        parts = urlsplit(url)
        return url.isprintable() and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def path_of(account: str, container: str, params: dict[str, str]) -> str:
    return f'/v1/{_quoted(account)}/{_quoted(container)}?{urlencode(params)}'


def _quoted(name):
    # Names of dots alone are names to Swift, and folders to requests, which would leave them out of the path.
    return '%2E' * len(name) if name in ('.', '..') else quote(name, safe='')


def send(connection: Connection, proxy: str, path: str) -> NodeAnswer:
    """Send a control request to a proxy. No redirect is followed: the token is for the named server alone.

    :param connection: has the token, and the settings for TLS and timeouts
    :raises OSError: where the proxy cannot be reached, or does not answer
    """
    _, client = connection.http_connection(proxy)
    client.requests_args['allow_redirects'] = False
    with closing(client):
        response = client.request('POST', path, '', {'X-Auth-Token': connection.token, **GUARD})
        node = one_line(response.headers.get(NODE_HEADER, ''))
        if not node:
            return NodeAnswer(response.status_code, '', _explain(response.status_code))
        body = next(response.iter_content(LONGEST_ANSWER), b'')
        return NodeAnswer(response.status_code, node, one_line(body.decode('utf-8', 'replace')))


def _explain(status) -> str:
    """Explain an answer that the filter did not give."""
    if 200 <= status < 300:
        return f'{status}, but not by a prefetch filter: there is none in this proxy, and nothing was done'
    if 300 <= status < 400:
        return f'{status}, a redirect, which is not followed: name the proxy itself'
    if status == 404:
        return 'no such container, or no Swift at this address'
    if status in (401, 403):
        return 'this user may not write to the container, or there is no prefetch filter in this proxy'
    return ' '.join([str(status), http.client.responses.get(status, '')]).strip()
