"""The program ``swiftahead-sidecar``."""
import argparse
import sys

from swift.common.daemon import run_daemon
from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import set_swift_dir

from ..conf import ConfError
from .settings import SECTION, check_client, read_settings


def main(argv: list[str] | None = None) -> int:
    """:returns: the exit code"""
    parser = argparse.ArgumentParser(
        prog='swiftahead-sidecar',
        description='Fills, keeps and evicts the disk cache of the prefetch filter on this node.')
    parser.add_argument('conf', help='conf file (or folder of *.conf) with [sidecar] and [pipeline:main]')
    parser.add_argument('once', nargs='?', choices=['once'], help='make one whole pass and exit')
    parser.add_argument('-v', '--verbose', action='store_true', help='log to the console too')
    args = parser.parse_args(argv)
    try:
        settings = read_settings(args.conf)
        # before anything that reads swift.conf or the policies is loaded
        set_swift_dir(settings.sidecar.swift_dir)
        reload_storage_policies()
        check_client(settings)
    except (ConfError, OSError) as error:
        print(f'swiftahead-sidecar: {args.conf}: {error}', file=sys.stderr)
        return 1
    from .daemon import Sidecar
    run_daemon(Sidecar, args.conf, section_name=SECTION, once=bool(args.once), verbose=args.verbose)
    return 0
