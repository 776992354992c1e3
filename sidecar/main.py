"""The program ``swiftahead-sidecar``.

Its modules of Swift take most of a second to load. The interrupt key must end the program then, as at any other
time: so none of them is loaded before `main` is called.
"""
import argparse

from ..conf.process import end_at_once, ending_at_once, keep_numbers, stand_in


def main(argv: list[str] | None = None) -> int:
    """Run the daemon, or make one pass.

    :returns: the exit code; 0: stopped, or the pass was made; 1: could not be started, or the pass not made;
        128 and the number of the signal: the pass was ended early
    """
    try:
        with ending_at_once():
            keep_numbers()
            # Swift's daemons ask the streams for their numbers
            stand_in('stdin', 'stdout', 'stderr')
            args = _parser().parse_args(argv)
            from .program import prepared
            run = prepared(args.conf, bool(args.once), args.verbose)
        return run() if run else 1
    except KeyboardInterrupt:
        return 130
    finally:
        # nothing comes but Python's own end
        if argv is None:
            end_at_once()


def _parser():
    parser = argparse.ArgumentParser(
        prog='swiftahead-sidecar',
        description='Fills, keeps and evicts the disk cache of the prefetch filter on this node.')
    parser.add_argument('conf', help='conf file (or folder of *.conf) with [sidecar] and [pipeline:main]')
    parser.add_argument('once', nargs='?', choices=['once'], help='make one whole pass and exit')
    parser.add_argument('-v', '--verbose', action='store_true', help='log to the console too')
    return parser
