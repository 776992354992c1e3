"""Commands that ask a proxy with the filter: any user who may write to the container can."""
import json
import os
from contextlib import closing
from urllib.parse import quote, urlencode, urlsplit

import swiftclient

TAKEN = 202


class RemoteError(Exception):
    """What is wrong and how to mend it, in one sentence."""


def add_parsers(commands) -> None:
    warm = commands.add_parser('warm', help="fetch a container's objects into the cache")
    warm.add_argument('--limit', type=int, default=0, metavar='N', help='objects at most')
    warm.set_defaults(run=lambda args: _ask(args, {'prefetch': 'warm', 'prefix': args.prefix,
                                                   'limit': args.limit}))
    purge = commands.add_parser('purge', help='drop an object, or a container, from the cache')
    purge.add_argument('--object', default='', metavar='O', help='this object alone')
    purge.set_defaults(run=lambda args: _ask(args, {'prefetch': 'forget', 'prefix': args.prefix,
                                                    'name': args.object}))
    for parser in (warm, purge):
        parser.add_argument('container')
        parser.add_argument('--prefix', default='', metavar='P', help='objects that begin so')
        parser.add_argument('--auth', default=os.environ.get('ST_AUTH'), help='default: $ST_AUTH')
        parser.add_argument('--user', default=os.environ.get('ST_USER'), help='default: $ST_USER')
        parser.add_argument('--key', default=os.environ.get('ST_KEY'), help='default: $ST_KEY')
        parser.add_argument('--json', action='store_true', help='one JSON document on standard output')


def _ask(args, params) -> int:
    if not (args.auth and args.user and args.key):
        raise RemoteError('set ST_AUTH, ST_USER and ST_KEY, or give --auth, --user and --key')
    status, body = _post(args, {key: value for key, value in params.items() if value})
    taken = status == TAKEN
    if args.json:
        print(json.dumps({'taken': taken, 'status': status, 'container': args.container}))
    elif taken:
        print(f'{params["prefetch"]} request for {args.container} taken')
    else:
        print(f'not taken: {_explain(status, body)}')
    return 0 if taken else 1


def _post(args, params):
    try:
        with closing(swiftclient.Connection(args.auth, args.user, args.key, retries=0)) as connection:
            storage_url, token = connection.get_auth()
            path = f'{urlsplit(storage_url).path}/{quote(args.container)}?{urlencode(params)}'
            _, http = swiftclient.http_connection(storage_url)
            http.request('POST', path, '', {'X-Auth-Token': token})
            response = http.getresponse()
            return response.status, response.read().decode('utf-8', 'replace').strip()
    except (swiftclient.ClientException, OSError) as error:
        raise RemoteError(f'{args.auth}: {error}') from None


def _explain(status, body):
    if status in (200, 201, 204):
        return 'there is no prefetch filter in this proxy (the container is unchanged)'
    if status == 404:
        return 'no such container'
    if status in (401, 403):
        return 'this user may not write to the container'
    return f'{status} {body}'
