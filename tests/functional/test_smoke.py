"""The script that operators point at their clusters, pointed at a lab."""
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.lab import labs

from swiftahead.lab import Lab

pytestmark = pytest.mark.tools

SCRIPT = Path(__file__).with_name('smoke.py')
NOBODY = 'http://127.0.0.1:1/auth/v1.0'


def run(*args, **env):
    """The script, with no login in its environment but what is given."""
    rest = {key: value for key, value in os.environ.items() if not key.startswith(('ST_', 'OS_'))}
    return subprocess.run([sys.executable, SCRIPT, *args], env={**rest, **env}, capture_output=True, text=True,
                          timeout=240, check=False)


def login(lab, user='test:tester', key='testing'):
    return ['--auth', lab.auth_url(), '--user', user, '--key', key]


def smoke(lab, *more):
    """:returns: the exit code, and the checks by name"""
    done = run(*login(lab), '--json', *more)
    assert done.stderr == ''
    return done.returncode, {check['name']: check for check in json.loads(done.stdout)['checks']}


def said(done):
    """The one line on stderr."""
    assert done.stderr.count('\n') == 1, done.stderr
    return done.stderr.rstrip()


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab')) as lab:
        yield lab


def test_smoke_passes_on_a_lab(lab):
    code, checks = smoke(lab)
    assert [check for check in checks.values() if not check['passed']] == []
    assert code == 0


def test_a_token_is_as_good_as_a_login(lab):
    url, token = labs.swiftclient.get_auth(lab.auth_url(), labs.USER, labs.KEY)
    done = run(OS_STORAGE_URL=url, OS_AUTH_TOKEN=token)
    assert done.returncode == 0 and done.stdout.endswith(' passed, 0 failed\n')


def test_who_may_not_write_is_told_so(lab):
    done = run(*login(lab, 'test:tester3', 'testing3'))
    assert done.returncode == 2 and said(done).startswith('smoke: no container can be made in http://')


def test_a_sidecar_that_does_not_run_is_named_and_not_waited_for_each_time(lab):
    lab.stop('sidecar')
    try:
        code, checks = smoke(lab, '--wait', '3')
    finally:
        lab.start('sidecar')
    late = [check for check in checks.values() if 'does swiftahead-sidecar run' in check['seen']]
    assert code == 1 and late[0]['name'] == 'small: becomes a hit'
    waited = [float(re.search(r'after ([0-9.]+) s', check['seen'])[1]) for check in late]
    assert waited[0] >= 3 and len(waited) > 5 and statistics.median(waited[1:]) < 3


def test_smoke_fails_without_the_filter(tmp_path):
    """A check that cannot fail checks nothing; and what holds in plain Swift must be found to hold."""
    with Lab(tmp_path / 'lab', filter=False, sidecar=False) as lab:
        code, checks = smoke(lab, '--wait', '0.2')
    assert code == 1
    assert not checks['small: becomes a hit']['passed']
    assert 'no filter answers there' in checks['small: becomes a hit']['seen']
    assert not checks['warm: accepted']['passed']
    assert checks['small: the hit has the same bytes']['passed']
    assert checks['overwrite: the very next GET shows it']['passed']


@pytest.mark.parametrize('url', [NOBODY, 'https://127.0.0.1:1/auth/v1.0', 'nonsense', 'ftp://127.0.0.1/',
                                 'http://[::1/'])
def test_where_nobody_can_log_in_one_sentence_says_so(url):
    done = run('--auth', url, '--user', 'test:tester', '--key', 'testing')
    assert done.returncode == 2 and said(done).startswith(f'smoke: cannot log in at {url}: ')


@pytest.mark.parametrize('url', ['nonsense', 'ftp://127.0.0.1/v1/a', 'http:///v1', 'http://127.0.0.1:1/v1/a'])
def test_a_storage_url_that_leads_nowhere_is_one_sentence(url):
    done = run('--os-storage-url', url, '--os-auth-token', 'AUTH_tk')
    assert done.returncode == 2 and said(done).startswith('smoke: ')


@pytest.mark.parametrize('wait', ['nan', '-1', 'x', '1e9'])
def test_how_long_is_waited_is_a_sane_number(wait):
    done = run(*['--auth', NOBODY, '--user', 'u', '--key', 'k'], '--wait', wait)
    assert done.returncode == 2 and f"invalid seconds value: '{wait}'" in done.stderr


def test_what_is_given_goes_before_the_environment():
    ready = {'OS_STORAGE_URL': 'http://127.0.0.1:1/v1/a', 'OS_AUTH_TOKEN': 'AUTH_tk'}
    done = run('--auth', NOBODY, ST_USER='u', ST_KEY='k', **ready)
    assert said(done).startswith(f'smoke: cannot log in at {NOBODY}: ')
    assert '--user, --key missing' in run('--auth', NOBODY).stderr
