"""A2: who may not read has nothing done in the cache folder that would tell of what lies there."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
STATES = ('cold', 'warm', 'being fetched')
READS = ('GET', 'HEAD')


@pytest.fixture(scope='module')
def cases(tmp_path_factory):
    """What was touched in each case, as `watched` tells it."""
    command = [sys.executable, '-m', 'helpers.filter.watched', str(tmp_path_factory.mktemp('watched'))]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def files(noted):
    """Those of entries, spool and fetches; of the folders themselves, where it is seen what lies in them."""
    return [(event, path) for event, path in noted
            if path.count('/') > 1 or event in ('os.listdir', 'os.scandir')]


@pytest.mark.holds('A2')
@pytest.mark.parametrize('state', STATES)
def test_who_is_refused_touches_no_cache_file(cases, state):
    refused = [case for case in cases if case['state'] == state and not case['allowed']]
    assert len(refused) >= 30 and {case['status'] for case in refused} == {401, 403}
    assert [case for case in refused if files(case['before'] + case['after'])] == []


@pytest.mark.holds('A2')
@pytest.mark.parametrize('state', STATES)
def test_nobody_touches_one_before_authorisation_succeeded(cases, state):
    allowed = [case for case in cases if case['state'] == state and case['allowed']]
    assert len(allowed) >= 20
    assert [case for case in allowed if files(case['before'])] == []


@pytest.mark.holds('A2')
def test_who_is_allowed_does_and_afterwards(cases):
    """Else what the others do not do would show nothing."""
    allowed = [case for case in cases if case['allowed']]
    assert {case['reader'] for case in allowed} == {'owner', 'by acl', 'by referrer'}
    assert [case for case in allowed if not files(case['after'])] == []


@pytest.mark.holds('A2')
def test_what_is_done_for_who_is_refused_does_not_depend_on_what_is_cached(cases):
    """That it looks at the folder itself is the same for all."""
    done = {(case['asked'][:4].strip() in READS, json.dumps(case['before'] + case['after']))
            for case in cases if not case['allowed']}
    assert len(done) == 2


@pytest.mark.holds('A2')
def test_who_is_refused_leaves_no_record(cases):
    assert {case['learned'] for case in cases if not case['allowed']} == {0}
    assert any(case['learned'] for case in cases)


@pytest.mark.holds('A2')
def test_each_state_is_what_it_is_called(cases):
    owners = {case['state']: case for case in cases if (case['asked'], case['reader']) == ('GET', 'owner')}
    assert [owners[state]['said'] for state in STATES] == ['fwd=miss; stored', 'hit', 'fwd=miss; stored']
    waited = {state: sum(event == 'fcntl.flock' for event, _ in owners[state]['after']) for state in STATES}
    assert waited['being fetched'] >= 1 and waited['cold'] == waited['warm'] == 0
