"""One command, one style: subcommands, ``--json`` everywhere, exit codes for scripts."""
import argparse
import sys

from ..lab.command import add_parser as add_lab
from . import local, misplaced, plan, queue, remote


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog='swiftahead', description='Read-ahead for OpenStack Swift.')
    commands = top.add_subparsers(metavar='COMMAND', required=True)
    add_lab(commands)
    local.add_parsers(commands)
    remote.add_parsers(commands)
    queue.add_parsers(commands)
    misplaced.add_parsers(commands)
    plan.add_parser(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """:returns: 0: well; 1: not as it should be; 2: the command could not be carried out"""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except (local.LocalError, plan.PlanError, remote.RemoteError) as error:
        print(f'swiftahead: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader has seen enough
        sys.stderr.close()
        return 0
