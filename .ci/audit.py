#!/usr/bin/env python3
"""Known vulnerabilities of what the project depends on: pip-audit, and what to make of its answer.

    python .ci/audit.py

Fails for an advisory against a direct dependency which `.ci/advisories.txt` does not list with a reason.
Advisories against what those need in their turn, and against development tools, are told and fail nothing: they
are not ours to pin. An advisory service that cannot be reached fails nothing either, and is said.
"""
import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

PROJECT = 'swiftahead'
IGNORED = Path(__file__).with_name('advisories.txt')
SECONDS = 120
# of the network; what else pip-audit may have to say of itself is an error of this target
UNREACHABLE = re.compile('(?i)could not connect|connection ?error|connectionpool|timed out|serviceerror')


class AuditFailed(Exception):
    """pip-audit did not do its work, for a reason that is not the network's."""


def normal(name: str) -> str:
    """A distribution's name as PyPI has it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def direct_dependencies() -> set[str]:
    return {normal(re.split(r'[^A-Za-z0-9._-]', line)[0]) for line in requires(PROJECT) or []
            if 'extra ==' not in line}


def read_ignored(text: str) -> dict[str, str]:
    """Advisory -> reason. :raises AuditFailed: for a line without a reason"""
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.strip() and not line.startswith('#')]
    for parts in lines:
        if len(parts) < 3:
            raise AuditFailed(f'{IGNORED.name}: "{" ".join(parts)}" needs an advisory, a package and a reason')
    return {parts[0]: parts[2] for parts in lines}


def judge(report: dict, direct: set[str], ignored: dict[str, str]) -> tuple[list[str], list[str]]:
    """What pip-audit found: (what fails the build, what is only told).

    :param report: pip-audit's JSON
    """
    failing, told, audited, found = [], [], set(), set()
    for package in report['dependencies']:
        name = normal(package['name'])
        if 'skip_reason' in package:
            continue
        audited.add(name)
        for advisory in package['vulns']:
            names = {advisory['id'], *advisory.get('aliases', ())}
            found |= names
            line = f'{name} {package["version"]}: {advisory["id"]}, fixed in {_fixed(advisory)}'
            reason = next((ignored[key] for key in sorted(names & set(ignored))), None)
            (failing if name in direct and reason is None else told).append(
                line if reason is None else f'{line}; ignored: {reason}')
    told += [f'{name}: the advisory service does not know it, not audited' for name in sorted(direct - audited)]
    told += [f'{key}: nothing has it any more, {IGNORED.name} may drop it' for key in sorted(set(ignored) - found)]
    return failing, told


def _fixed(advisory):
    return ', '.join(advisory.get('fix_versions') or ['no release yet'])


def ask(command=('-m', 'pip_audit', '--local', '--format', 'json', '--progress-spinner', 'off')) -> dict | None:
    """pip-audit's report; None where no advisory service can be reached.

    :raises AuditFailed:
    """
    try:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    try:
        report = json.loads(done.stdout)
    except ValueError:
        if UNREACHABLE.search(done.stderr):
            return None
        raise AuditFailed(done.stderr.strip()[-2000:] or f'pip-audit ended with {done.returncode}') from None
    # a mirror that has packages and no advisories answers, and knows none of them
    return report if any('skip_reason' not in package for package in report['dependencies']) else None


def main() -> int:
    """:returns: the exit code"""
    try:
        ignored, report = read_ignored(IGNORED.read_text()), ask()
    except AuditFailed as error:
        print(f'audit: {error}', file=sys.stderr)
        return 2
    if report is None:
        print('audit: no advisory service can be reached: NOTHING WAS AUDITED')
        return 0
    failing, told = judge(report, direct_dependencies(), ignored)
    for line in told:
        print(f'audit: {line}')
    for line in failing:
        print(f'audit: VULNERABLE {line}', file=sys.stderr)
    print(f'audit: {len(failing)} advisories against direct dependencies')
    return 1 if failing else 0


if __name__ == '__main__':
    sys.exit(main())
