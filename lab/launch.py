"""What a lab's own copies of Swift's console scripts run: each is a file in the lab's ``bin``.

Files, since a server that is asked to reload executes the file of its own name again. `swift_dir` in a conf alone
does not bring the storage policies of that folder, so folder and policies are set before anything else is loaded.
"""
import os
import sys
from importlib.metadata import entry_points

from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import set_swift_dir

from . import logs


def main(swift_dir: str) -> int | None:
    logs.to_file()
    set_swift_dir(swift_dir)
    reload_storage_policies()
    name = os.path.basename(sys.argv[0])
    found = list(entry_points(group='console_scripts', name=name))
    if not found:
        raise SystemExit(f'{name} is not installed in the environment of {sys.executable}')
    return found[0].load()()
