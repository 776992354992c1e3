"""One command, one style: subcommands, ``--json`` everywhere, exit codes for scripts."""
import argparse
import errno
import io
import os
import sys

from ..lab.command import add_parser as add_lab
from . import local, misplaced, plan, queue, remote
from .errors import RemoteError


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
    if sys.stdout is None:
        # Python prints nothing then, and complains of nothing
        return _complain('standard output is closed')
    if isinstance(sys.stdout, io.TextIOWrapper):
        # names that the terminal has no letters for are told all the same
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        code = args.run(args)
        # here, and not when all is over: what does not fit on the disk is to be told
        sys.stdout.flush()
        return code
    except (local.LocalError, plan.PlanError, RemoteError) as error:
        return _complain(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        # what is opened by name is named where it is opened
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        _let_go(sys.stdout)
        return _complain(f'standard output: {error.strerror}')


def _complain(what) -> int:
    if sys.stderr is not None:
        print(f'swiftahead: {what}', file=sys.stderr)
    return 2


def _let_go(stream):
    """What it still holds is written nowhere: else Python would try once more at the end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
