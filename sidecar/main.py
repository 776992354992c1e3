"""The program ``swiftahead-sidecar``.

What it needs of Swift takes most of a second to load, in which the interrupt key must end it as at any other time:
so nothing of that is loaded before `main` is called.
"""
import argparse

from ..conf.process import ending_at_once, keep_numbers, stand_in


def main(argv: list[str] | None = None) -> int:
    """:returns: the exit code; 0: stopped, or the pass was made; 1: could not be started, or the pass not made"""
    try:
        with ending_at_once():
            keep_numbers()
            # Swift's daemons ask them for their numbers
            stand_in('stdin', 'stdout', 'stderr')
            args = _parser().parse_args(argv)
            from .program import prepared
            run = prepared(args.conf, bool(args.once), args.verbose)
        return run() if run else 1
    except KeyboardInterrupt:
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog='swiftahead-sidecar',
        description='Fills, keeps and evicts the disk cache of the prefetch filter on this node.')
    parser.add_argument('conf', help='conf file (or folder of *.conf) with [sidecar] and [pipeline:main]')
    parser.add_argument('once', nargs='?', choices=['once'], help='make one whole pass and exit')
    parser.add_argument('-v', '--verbose', action='store_true', help='log to the console too')
    return parser
