"""The script that operators point at their clusters, pointed at a lab."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from swiftahead.lab import Lab

pytestmark = pytest.mark.tools

SCRIPT = Path(__file__).with_name('smoke.py')


def smoke(lab, *more):
    """:returns: the exit code, and the checks by name"""
    login = ['--auth', lab.auth_url(), '--user', 'test:tester', '--key', 'testing']
    done = subprocess.run([sys.executable, SCRIPT, *login, '--json', *more],
                          capture_output=True, text=True, timeout=240, check=False)
    assert done.stderr == ''
    return done.returncode, {check['name']: check for check in json.loads(done.stdout)['checks']}


@pytest.mark.timeout(300)
def test_smoke_passes_on_a_lab(tmp_path):
    with Lab(tmp_path / 'lab') as lab:
        code, checks = smoke(lab)
    assert [check for check in checks.values() if not check['passed']] == []
    assert code == 0


def test_smoke_fails_without_the_filter(tmp_path):
    """A check that cannot fail checks nothing; and what holds in plain Swift must be found to hold."""
    with Lab(tmp_path / 'lab', filter=False, sidecar=False) as lab:
        code, checks = smoke(lab, '--wait', '0.2')
    assert code == 1
    assert not checks['small: becomes a hit']['passed']
    assert not checks['warm: accepted']['passed']
    assert checks['small: the hit has the same bytes']['passed']
    assert checks['overwrite: the very next GET shows it']['passed']
