"""File systems of their own, in memory, for tests; only root may have them."""
import os
import subprocess

import pytest

root_only = pytest.mark.skipif(os.geteuid() != 0, reason='only root may mount')


class Mount:
    """One that is mounted over `folder`, made if it is not there. Skips the test where that may not be."""

    def __init__(self, folder, options):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'mode=0700,{options}', 'tmpfs', folder],
                                 capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f'no tmpfs can be mounted here: {mounted.stderr.strip()}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unmount()

    def remount(self, options):
        subprocess.run(['mount', '-o', f'remount,{options}', self.folder], check=True)

    def unmount(self):
        subprocess.run(['umount', '--lazy', self.folder], check=True)
