"""Runs one program of a lab: python -m swiftahead.lab.launch SWIFT_DIR SCRIPT [ARGUMENT...]

SCRIPT is a console script such as swift-object-server. `swift_dir` in a conf alone does not bring the storage
policies of that folder, so folder and policies are set before anything else is loaded.
"""
import os
import sys
from importlib.metadata import entry_points

from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import set_swift_dir

from . import logs


def main(argv: list[str]) -> int | None:
    swift_dir, script, *arguments = argv
    # -m puts the current folder on the path, where a package could hide an installed one
    sys.path[:] = [path for path in sys.path if path not in ('', os.getcwd())]
    logs.to_file()
    set_swift_dir(swift_dir)
    reload_storage_policies()
    found = list(entry_points(group='console_scripts', name=script))
    if not found:
        raise SystemExit(f'{script} is not installed in the environment of {sys.executable}')
    sys.argv = [script, *arguments]
    return found[0].load()()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
