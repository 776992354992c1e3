"""``swiftahead lab``: put a lab up, look at it, split it, take it down."""
import argparse
import json
import shlex
from collections.abc import Callable

from ..conf.arguments import account_name, argument, container_name, real, some, whole
from .brain import Brain
from .cluster import Lab
from .spec import REALM, SERVERS, LabError

# upper bound on each count: more than one machine can carry
MOST = 100
MOST_MS = 60_000
# argument of each step, after its colon
TAKES = {'stop': 'HALF[,SERVER...]', 'start': 'HALF[,SERVER...]', 'put-container': '[POLICY]',
         'delete-container': '', 'put-object': 'NAME[,BODY]', 'get-object': 'NAME', 'delete-object': 'NAME',
         'meet': '', 'forget': '', 'where': 'NAME'}
EXAMPLE = """\
makes an object that lies where its container does not:
  swiftahead lab brain --dir D c  stop:left put-container:gold start:left \\
                                  stop:right put-container:silver put-object:o,hello start:right \\
                                  meet forget where:o
and then has it found and moved, if the lab has filter and sidecar:
  swiftahead lab brain --dir D c  get-object:o where:o
"""


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
    _common(brain, take_steps)
    _add_brain_arguments(brain)


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
    up.add_argument('--peer', type=argument(some), action='append', default=[], metavar='D',
                    help='folder of another lab, to sync containers with; it knows this one from then on. '
                         'Can be given several times')
    up.add_argument('--cluster', default='', metavar='NAME',
                    help='name in the realm of its peers (the one it had, or the first free of lab, lab2, ...)')
    up.add_argument('--no-filter', action='store_true', help='plain Swift: no prefetch filter, no sidecar')
    _common(up, put_up)


def _common(parser, handler):
    parser.add_argument('--dir', required=True, type=argument(some), metavar='D', help="the lab's folder")
    parser.add_argument('--json', action='store_true', help='one JSON document on standard output')
    parser.set_defaults(run=handler)


def put_up(args) -> int:
    policies = [name.strip() for name in args.policies.split(',')]
    lab = Lab(args.dir, args.nodes, args.replicas, policies, args.proxies, args.latency_ms,
              filter=not args.no_filter, sidecar=not args.no_filter, cluster=args.cluster, peers=args.peer)
    lab.up()
    if args.json:
        print(json.dumps({'dir': str(lab.folder), 'urls': lab.urls, 'environ': lab.environ(),
                          **_realm(lab), 'programs': lab.status()}))
        return 0
    folder = shlex.quote(str(args.dir))
    print(f'up: {", ".join(lab.urls)}, {args.nodes} nodes, policies {", ".join(policies)}')
    print(_realm_line(lab))
    print(f'to use it:        eval "$(swiftahead lab env --dir {folder})"')
    print(f'to take it down:  swiftahead lab down --dir {folder}')
    return 0


def take_down(args) -> int:
    lab = Lab.load(args.dir)
    lab.down()
    print(json.dumps({'dir': str(lab.folder), 'up': False}) if args.json else f'down: {lab.folder}')
    return 0


def show_status(args) -> int:
    """Print each program and whether it runs. :returns: 0 where all run, else 1"""
    lab = Lab.load(args.dir)
    rows = lab.status()
    is_up = all(row['alive'] for row in rows)
    if args.json:
        print(json.dumps({'dir': str(lab.folder), 'up': is_up, **_realm(lab), 'programs': rows}))
    else:
        for row in rows:
            state = f'pid {row["pid"]}' if row['alive'] else f'NOT RUNNING, see {lab.log(row["name"])}'
            print(f'{row["name"]:<14} {row["port"] or "-":>6}  {state}')
        print(_realm_line(lab))
    return 0 if is_up else 1


def _realm(lab) -> dict:
    return {'cluster': lab.cluster, 'peers': {name: str(folder) for name, folder in lab.peers.items()}}


def _realm_line(lab) -> str:
    """Tell how the values of X-Container-Sync-To begin, for the lab and its peers."""
    peers = ', '.join(f'//{REALM}/{name} in {folder}' for name, folder in lab.peers.items())
    return f'cluster //{REALM}/{lab.cluster}, {f"with {peers}" if peers else "no peers"}'


def show_environ(args) -> int:
    environ = Lab.load(args.dir).environ()
    if args.json:
        print(json.dumps(environ))
    else:
        for name, value in environ.items():
            print(f'export {name}={shlex.quote(value)}')
    return 0


def _add_brain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--account', type=argument(account_name), default='AUTH_test', help='(%(default)s)')
    parser.add_argument('--inside', action='store_true',
                        help="by Swift's InternalClient: any account and any name")
    parser.add_argument('container', type=argument(container_name))
    parser.add_argument('step', nargs='*', help='any of ' + ', '.join(map(_usage, TAKES)))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE


def take_steps(args) -> int:
    """Take each step and print its outcome. Stopped servers stay so: the next command may go on from there."""
    brain = Brain(Lab.load(args.dir), args.container, args.account, args.inside)
    try:
        calls = [_call(brain, step) for step in args.step]
        said = [{'left': brain.left, 'right': brain.right}]
        _print_step(args, said[-1], 'halves')
        for step, call in zip(args.step, calls, strict=True):
            said.append({'step': step, **(call() or {})})
            _print_step(args, said[-1], step)
        if args.json:
            print(json.dumps(said))
        return 0
    finally:
        brain.close()


def _print_step(args, outcome, step):
    if not args.json:
        words = [f'{key} {value}' for key, value in outcome.items() if key != 'step']
        print(f'{step:<28} {", ".join(words) or "done"}')


def _call(brain: Brain, step: str) -> Callable[[], dict | None]:
    """Give the call that takes a step.

    :raises LabError: for an unknown step, or one whose argument is missing or needless
    """
    name, _, rest = step.partition(':')
    takes = TAKES.get(name)
    if takes is None or bool(rest) != bool(takes) and not takes.startswith('['):
        raise LabError(f'step {step!r}: must be one of {", ".join(map(_usage, TAKES))}')
    return lambda: STEPS[name](brain, rest)


def _usage(name):
    takes = TAKES[name]
    if not takes:
        return name
    return f'{name}[:{takes[1:]}' if takes.startswith('[') else f'{name}:{takes}'


def _switch(switch, rest):
    """Stop or start servers of a half. :param switch: the brain's method that does it"""
    half, *servers = rest.split(',')
    switch(half, tuple(servers) or SERVERS)


def _put_object(brain, rest):
    name, _, body = rest.partition(',')
    return _status(brain.put_object(name, body.encode()))


def _get_object(brain, rest):
    answer = brain.get_object(rest)
    return {'status': answer.status, 'bytes': len(answer.body)}


def _meet(brain, _):
    brain.meet()
    return {'policies': [replica.policy for replica in brain.replicas()]}


def _status(answer):
    return {'status': answer.status}


STEPS: dict[str, Callable[[Brain, str], dict | None]] = {
    'stop': lambda brain, rest: _switch(brain.stop, rest),
    'start': lambda brain, rest: _switch(brain.start, rest),
    'put-object': _put_object, 'get-object': _get_object, 'meet': _meet,
    'put-container': lambda brain, rest: _status(brain.put_container(rest)),
    'delete-container': lambda brain, _: _status(brain.delete_container()),
    'delete-object': lambda brain, rest: _status(brain.delete_object(rest)),
    'forget': lambda brain, _: brain.forget(),
    'where': lambda brain, rest: brain.everywhere(rest),
}
