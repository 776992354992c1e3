"""The lab's split-brain tool: halves that take writes on their own, and do not agree afterwards."""
import json

import pytest
from helpers.mover import splits

from swiftahead.cli import main
from swiftahead.lab import Lab, LabError
from swiftahead.lab.brain import Brain, halves
from swiftahead.lab.spec import LabSpec

GOLD, SILVER = range(2)
SERVERS = [f'{server}{node}' for server in ('account', 'container', 'object') for node in (1, 2, 3, 4)]


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('brain'), sidecar=False) as lab:
        yield lab


@pytest.fixture
def brain(lab, request):
    """Of a container of the test's own."""
    with Brain(lab, request.node.name) as brain:
        yield brain


def running(lab):
    return {name for name in SERVERS if lab.pid(name)}


def swiftahead(capsys, *argv):
    """:returns: exit code, output, errors"""
    code = main(['lab', 'brain', *map(str, argv)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize('primaries, left, right', [
    ([2, 4, 1], (2, 4), (1, 3)), ([1, 2, 3], (1, 2), (3, 4)), ([4, 3, 2], (3, 4), (1, 2))])
def test_left_has_most_primaries_and_right_the_rest(primaries, left, right):
    assert halves(primaries, LabSpec()) == (left, right)


def test_two_nodes_with_two_devices_each_can_be_split():
    assert halves([1, 2, 1], LabSpec(nodes=2)) == ((1,), (2,))


@pytest.mark.parametrize('nodes, replicas, wanted', [(3, 3, 4), (1, 1, 2), (5, 5, 6)])
def test_too_few_nodes_cannot_be_split(nodes, replicas, wanted):
    with pytest.raises(LabError, match=f'--nodes {wanted}$'):
        halves([1, 2, 3, 4, 5][:replicas], LabSpec(nodes=nodes, replicas=replicas))


def test_a_split_brain_ends_with_the_elder_policy_and_a_row_in_the_queue(lab, brain):
    with brain.only('right'):
        assert running(lab) == {name for name in SERVERS if int(name[-1]) in brain.right}
        brain.put_container('gold')
    with brain.only('left'):
        assert running(lab) == {name for name in SERVERS if int(name[-1]) in brain.left}
        brain.put_container('silver')
        brain.put_object('o', b'misplaced', X_Object_Meta_Colour='red')
        assert brain.get_object('o').headers['x-object-meta-colour'] == 'red'
    assert running(lab) == set(SERVERS)
    assert {replica.policy for replica in brain.replicas()} == {GOLD, SILVER}
    brain.meet()
    brain.forget()
    assert {(replica.policy, replica.names) for replica in brain.replicas()} == {(GOLD, ())}
    assert (brain.files(GOLD, 'o'), len(brain.files(SILVER, 'o'))) == ({}, 2)
    assert brain.get_object('o').status == 404
    assert f'1:/AUTH_test/{brain.container}/o' in splits.queued(brain)


def test_two_brains_use_one_lab(lab, brain):
    brain.put_container('silver')
    with Brain(lab, 'another') as other:
        other.put_container('gold')
        # with their policies it forgets the other's token
        other.forget()
    assert list(brain.listing()) == []


def test_any_account_and_any_name_can_be_used_from_inside(lab):
    with Brain(lab, '\0hidden', 'AUTH_of others', inside=True) as brain:
        brain.put_account()
        brain.put_container('silver')
        brain.put_object('\0o:1', b'reserved')
        assert brain.get_object('\0o:1').body == b'reserved'
        assert list(brain.listing()) == ['\0o:1']
        assert len(brain.files(SILVER, '\0o:1')) == 3
        brain.delete_object('\0o:1')
        assert [names[0].rpartition('.')[2] for names in brain.files(SILVER, '\0o:1').values()] == ['ts'] * 3


def test_what_is_refused_is_told(brain):
    for fails, words in ((lambda: brain.put_container('copper'), "policy 'copper': the lab has gold, silver"),
                         (lambda: brain.stop('middle'), "half 'middle': must be left or right"),
                         (lambda: brain.only('middle').__enter__(), "half 'middle': must be left or right"),
                         (lambda: brain.stop('left', ('proxy',)), 'servers proxy: must be of account'),
                         (lambda: brain.put_object('o'), f'{brain.container}/o: the answer is 404')):
        with pytest.raises(LabError, match=words):
            fails()


def test_one_kind_of_server_can_be_stopped_alone(lab, brain):
    brain.stop('right', ('container',))
    stopped = {f'container{node}' for node in brain.right}
    assert running(lab) == set(SERVERS) - stopped
    brain.start('right')
    assert running(lab) == set(SERVERS)


def test_whoever_fails_leaves_all_running(lab, brain):
    with pytest.raises(LabError, match='the answer is 404'), brain.only('left', ('account',)):
        brain.put_object('o')
    assert running(lab) == set(SERVERS)


def test_the_command_takes_steps_one_after_the_other(lab, capsys):
    code, said, errors = swiftahead(capsys, '--dir', lab.folder, '--json', 'by-command', 'put-container:silver',
                                    'put-object:o,a, b', 'get-object:o', 'where:o', 'delete-object:o',
                                    'get-object:o')
    assert (code, errors) == (0, '')
    halves, put, _, got, where, _, gone = json.loads(said)
    assert sorted(halves['left'] + halves['right']) == [1, 2, 3, 4]
    assert (put['status'], got['bytes'], gone['status']) == (201, 4, 404)
    assert len(where['silver']) == 3 and 'gold' not in where


def test_what_the_command_stopped_stays_stopped_until_it_starts_it(lab, capsys):
    argv = ('--dir', lab.folder, 'by-command')
    try:
        assert swiftahead(capsys, *argv, 'stop:left,account')[0] == 0
        assert len(running(lab)) == len(SERVERS) - 2
    finally:
        code, said, _ = swiftahead(capsys, *argv, 'start:left,account')
    assert (code, said.splitlines()[-1].split()) == (0, ['start:left,account', 'done'])
    assert running(lab) == set(SERVERS)


def test_both_halves_may_be_down(lab, capsys):
    argv = ('--dir', lab.folder, 'by-command')
    try:
        assert swiftahead(capsys, *argv, 'stop:left')[0] == 0
        assert swiftahead(capsys, *argv, 'stop:right')[0] == 0
        assert running(lab) == set()
    finally:
        assert swiftahead(capsys, *argv, 'start:left', 'start:right')[0] == 0
    assert running(lab) == set(SERVERS)


@pytest.mark.parametrize('step', ['halt', 'stop', 'meet:left', 'put-object:'])
def test_a_step_that_is_none_is_named_before_any_is_taken(lab, capsys, step):
    code, said, errors = swiftahead(capsys, '--dir', lab.folder, 'by-command', 'stop:left', step)
    assert (code, said) == (2, '') and f"step '{step}': must be one of stop:HALF" in errors
    assert running(lab) == set(SERVERS)
