"""Upstream's own functional tests: where they come from, and one run of them against a lab."""
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from swiftahead.lab import Lab

from .outcomes import Outcomes, read_outcomes

# of one test; upstream sets none
TEST_SECONDS = 300


class ConformanceError(Exception):
    """What went wrong, and how to mend it."""


def fetch(folder: Path) -> Path:
    """The source of the very Swift that is installed, from where pip gets its packages; once.

    :raises ConformanceError: where it cannot be had
    """
    wanted = version('swift')
    source = folder / f'swift-{wanted}'
    if (source / 'test' / 'functional').is_dir():
        return source
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-binary', 'swift',
               '--dest', str(folder), f'swift=={wanted}']
    done = subprocess.run(command, capture_output=True, text=True)
    archive = folder / f'swift-{wanted}.tar.gz'
    if done.returncode or not archive.exists():
        raise ConformanceError(f'pip cannot get the source of swift {wanted}, which holds its functional tests: '
                               f'{(done.stderr or done.stdout).strip()[-500:]}')
    with tarfile.open(archive) as packed:
        if hasattr(tarfile, 'data_filter'):
            packed.extraction_filter = tarfile.data_filter
        packed.extractall(folder)  # noqa: S202 - the archive that pip itself would install
    return source


def run(source: Path, lab: Lab, tests: Sequence[str], folder: Path) -> Outcomes:
    """Run tests of upstream's against a lab.

    :param tests: paths below the source, pytest's ids, or its options
    :param folder: where conf, report and output are left
    :raises ConformanceError: where pytest did not come to its end
    """
    folder.mkdir(parents=True, exist_ok=True)
    report, began_at = folder / 'report.xml', time.monotonic()
    report.unlink(missing_ok=True)
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:randomly', '-p', 'no:cacheprovider',
               '-o', 'addopts=', '--timeout', str(TEST_SECONDS), f'--junitxml={report}', *tests]
    env = {**os.environ, 'SWIFT_TEST_CONFIG_FILE': str(write_conf(lab, folder / 'test.conf')),
           'PYTHONPATH': str(source), 'LC_ALL': 'C.UTF-8', 'AWS_EC2_METADATA_DISABLED': 'true'}
    with open(folder / 'output', 'w') as output:
        done = subprocess.run(command, cwd=source, env=env, stdout=output, stderr=subprocess.STDOUT)
    # 1: some tests failed, which is an outcome too
    if done.returncode not in (0, 1) or not report.exists():
        raise ConformanceError(f"pytest ended with {done.returncode}, see {folder / 'output'}")
    return read_outcomes(report, time.monotonic() - began_at)


def write_conf(lab: Lab, path: Path) -> Path:
    """What upstream's tests want to know, of the users that labs have."""
    conf = ConfigParser()
    users = {'': ('test', 'tester', 'testing'), '2': ('test2', 'tester2', 'testing2'),
             '3': ('test', 'tester3', 'testing3'), '5': ('test5', 'tester5', 'testing5')}
    section = {'auth_uri': lab.auth_url(), 's3_storage_url': f'{lab.urls[0]}/', 's3_region': 'us-east-1',
               'collate': 'C', 'insecure': 'no', 'storage_domain': '', 'service_prefix': 'SERVICE',
               's3_access_key': 'test:tester', 's3_secret_key': 'testing',
               's3_access_key2': 'test:tester2', 's3_secret_key2': 'testing2',
               's3_access_key3': 'test:tester3', 's3_secret_key3': 'testing3'}
    for number, (account, name, key) in users.items():
        section |= {f'account{number}': account, f'username{number}': name, f'password{number}': key}
    conf['func_test'] = section
    conf['s3api_test'] = {
        'endpoint': lab.urls[0], 'region': 'us-east-1', 's3_acl_tests_enabled': 'True',
        'access_key1': 'test:tester', 'secret_key1': 'testing',
        'access_key2': 'test:tester2', 'secret_key2': 'testing2',
        'access_key3': 'test:tester3', 'secret_key3': 'testing3'}
    assert urlsplit(lab.urls[0]).hostname == '127.0.0.1'
    with open(path, 'w') as file:
        conf.write(file)
    return path
