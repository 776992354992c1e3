"""One command, one style: subcommands, ``--json`` everywhere, exit codes for scripts, and errors in one sentence.

With ``--json``, exit codes 0 and 1 come with one document on standard output, and exit code 2 comes with none.
Where the target of the command is not there, the document has the key ``error`` and no other. Sentences are on
standard error.
"""
import argparse
import errno
import io
import json
import os
import sys

from ..conf.process import told
from ..lab.command import add_parser as add_lab
from ..lab.spec import LabError, NoLab
from . import container, misplaced, node, plan, queue, sync
from .main import Absent, CommandError

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog='swiftahead', description='Read-ahead for OpenStack Swift.')
    commands = top.add_subparsers(metavar='COMMAND', required=True)
    add_lab(commands)
    for module in (node, container, queue, misplaced, sync, plan):
        module.add_parsers(commands)
    return top


def carry_out(argv: list[str] | None) -> int:
    """Parse the arguments and run the command that they name.

    :returns: 0: well; 1: not as it should be, or not there; 2: the command could not be carried out
    """
    if sys.stdout is None:
        # Python prints nothing then, and complains of nothing
        return _complain('standard output is closed')
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal without the letters of a name shows their codes
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        return _run(_parsed(argv))
    except (CommandError, LabError) as error:
        return _complain(error)
    except UnicodeEncodeError as error:
        # only an argument that is a path may hold such letters
        return _complain(f'{ascii(error.object)[1:-1]}: must be UTF-8')
    except BrokenPipeError:
        # the program behind the pipe has read enough
        _let_go(sys.stdout)
        return 0
    except OSError as error:
        if error.filename is None and error.errno in DISK:
            _let_go(sys.stdout)
            return _complain(f'standard output: {error.strerror}')
        return _complain(told(error))


def _parsed(argv):
    try:
        return parser().parse_args(argv)
    except SystemExit:
        # flushed here, since at exit a closed pipe would be complained of
        sys.stdout.flush()
        raise


def _run(args):
    try:
        code = args.run(args)
    except (Absent, NoLab) as error:
        code = 1
        if args.json:
            print(json.dumps({'error': str(error)}))
        else:
            _complain(error)
    try:
        # flushed here, since at exit nobody would tell of a full disk
        sys.stdout.flush()
    except BrokenPipeError:
        # the command has done its work; the program behind the pipe has read enough
        _let_go(sys.stdout)
    return code


def _complain(what) -> int:
    try:
        print(f'swiftahead: {what}', file=sys.stderr, flush=True)
    except OSError:
        _let_go(sys.stderr)
    return 2


def _let_go(stream):
    """Drop the text that the stream still holds: Python would try to write it at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
