"""``swiftahead lab brain``: a container whose cluster is split, one step after the other."""
import argparse
import json
from collections.abc import Callable

from ..conf.arguments import account_name, argument, container_name
from .brain import Brain
from .cluster import Lab
from .errors import LabError
from .spec import SERVERS

# what each step takes after its colon
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--account', type=argument(account_name), default='AUTH_test', help='(%(default)s)')
    parser.add_argument('--inside', action='store_true',
                        help="by Swift's InternalClient: any account and any name")
    parser.add_argument('container', type=argument(container_name))
    parser.add_argument('step', nargs='*', help='any of ' + ', '.join(map(_usage, TAKES)))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE


def take_steps(args) -> int:
    """Print what each step did. Servers that were stopped stay so: the next command may go on from there."""
    brain = Brain(Lab.load(args.dir), args.container, args.account, args.inside)
    try:
        calls = [_call(brain, step) for step in args.step]
        said = [{'left': brain.left, 'right': brain.right}]
        _print(args, said[-1], 'halves')
        for step, call in zip(args.step, calls, strict=True):
            said.append({'step': step, **(call() or {})})
            _print(args, said[-1], step)
        if args.json:
            print(json.dumps(said))
        return 0
    finally:
        brain.close()


def _print(args, outcome, step):
    if not args.json:
        words = [f'{key} {value}' for key, value in outcome.items() if key != 'step']
        print(f'{step:<28} {", ".join(words) or "done"}')


def _call(brain: Brain, step: str) -> Callable[[], dict | None]:
    """:raises LabError: for a step that is none"""
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


def _stop(brain, rest):
    half, *servers = rest.split(',')
    brain.stop(half, tuple(servers) or SERVERS)


def _start(brain, rest):
    half, *servers = rest.split(',')
    brain.start(half, tuple(servers) or SERVERS)


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
    'stop': _stop, 'start': _start, 'put-object': _put_object, 'get-object': _get_object, 'meet': _meet,
    'put-container': lambda brain, rest: _status(brain.put_container(rest)),
    'delete-container': lambda brain, _: _status(brain.delete_container()),
    'delete-object': lambda brain, rest: _status(brain.delete_object(rest)),
    'forget': lambda brain, _: brain.forget(),
    'where': lambda brain, rest: brain.everywhere(rest),
}
