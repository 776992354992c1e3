"""``swiftahead lab``."""
import json
import shlex

from ..conf.arguments import argument, real, some, whole
from . import steps
from .cluster import Lab

# of whatever is counted: more than one machine can carry
MOST = 100
MOST_MS = 60_000


def add_parser(subparsers) -> None:
    """Add ``lab`` to the command's subparsers; ``args.run(args)`` returns an exit code, or raises LabError."""
    lab = subparsers.add_parser('lab', help='a real Swift cluster on loopback, in one folder')
    actions = lab.add_subparsers(metavar='ACTION', required=True)
    _add_up(actions)
    for name, handler, text in (('down', take_down, 'end all its programs; its files stay'),
                                ('status', show_status, 'its programs, and whether they run'),
                                ('env', show_environ, 'what a client needs, for the shell to eval')):
        _common(actions.add_parser(name, help=text), handler)
    brain = actions.add_parser('brain', help='split it in halves, so that a container gets two policies')
    _common(brain, steps.take_steps)
    steps.add_arguments(brain)


def _add_up(actions):
    up = actions.add_parser('up', help='put a cluster up, or one that was taken down up again')
    up.add_argument('--nodes', type=whole(1, MOST), default=4, metavar='N', help='storage nodes (%(default)s)')
    up.add_argument('--replicas', type=whole(1, MOST), default=3, metavar='N', help='of each object (%(default)s)')
    up.add_argument('--policies', default='gold,silver', metavar='A,B',
                    help='storage policies, the first is the default; one that begins with ec is '
                         'erasure-coded (%(default)s)')
    up.add_argument('--proxies', type=whole(1, MOST), default=1, metavar='N', help='proxy servers (%(default)s)')
    up.add_argument('--latency-ms', type=real(0, MOST_MS, 'milliseconds'), default=0, metavar='MS',
                    help='delay of the object servers, to stand for disks and network (%(default)s)')
    up.add_argument('--no-filter', action='store_true', help='plain Swift: no prefetch filter, no sidecar')
    _common(up, put_up)


def _common(parser, handler):
    parser.add_argument('--dir', required=True, type=argument(some), metavar='D', help="the lab's folder")
    parser.add_argument('--json', action='store_true', help='one JSON document on standard output')
    parser.set_defaults(run=handler)


def put_up(args) -> int:
    policies = [name.strip() for name in args.policies.split(',')]
    lab = Lab(args.dir, args.nodes, args.replicas, policies, args.proxies, args.latency_ms,
              filter=not args.no_filter, sidecar=not args.no_filter)
    lab.up()
    if args.json:
        print(json.dumps({'dir': str(lab.folder), 'urls': lab.urls, 'environ': lab.environ(),
                          'programs': lab.status()}))
        return 0
    folder = shlex.quote(str(args.dir))
    print(f'up: {", ".join(lab.urls)}, {args.nodes} nodes, policies {", ".join(policies)}')
    print(f'to use it:        eval "$(swiftahead lab env --dir {folder})"')
    print(f'to take it down:  swiftahead lab down --dir {folder}')
    return 0


def take_down(args) -> int:
    lab = Lab.load(args.dir)
    lab.down()
    print(json.dumps({'dir': str(lab.folder), 'up': False}) if args.json else f'down: {lab.folder}')
    return 0


def show_status(args) -> int:
    """:returns: 0 where all runs, else 1"""
    lab = Lab.load(args.dir)
    rows = lab.status()
    is_up = all(row['alive'] for row in rows)
    if args.json:
        print(json.dumps({'dir': str(lab.folder), 'up': is_up, 'programs': rows}))
    else:
        for row in rows:
            state = f'pid {row["pid"]}' if row['alive'] else f'NOT RUNNING, see {lab.log(row["name"])}'
            print(f'{row["name"]:<14} {row["port"] or "-":>6}  {state}')
    return 0 if is_up else 1


def show_environ(args) -> int:
    environ = Lab.load(args.dir).environ()
    if args.json:
        print(json.dumps(environ))
    else:
        for name, value in environ.items():
            print(f'export {name}={shlex.quote(value)}')
    return 0
