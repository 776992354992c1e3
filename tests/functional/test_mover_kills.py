"""Every step of a move killed with -9 and made again; two daemons on one queue."""
import itertools
import time

import pytest
from helpers.lab import killing
from helpers.mover import splits
from helpers.mover.splits import DAEMONS, EC, GOLD, LARGE, SILVER, Timestamp, drain, timestamp

from swiftahead.lab import Lab
from swiftahead.lab.brain import Brain
from swiftahead.queues import Misplaced, open_queue

TELLING = ['before PUT object 1', 'amid body 1', 'after PUT object 3', 'after DELETE object 1',
           'before DELETE queue 2']
STEPS = [f'{when} {what} {number}' for what in ('PUT object', 'DELETE object', 'DELETE queue')
         for when in ('before', 'after') for number in (1, 2, 3)]
BURYING = [f'{when} {what} {number}' for what, most in (('DELETE object', 6), ('DELETE queue', 3))
           for when in ('before', 'after') for number in range(1, most + 1)]
LOCAL = ['after lease 1', 'after PUT object 3', 'before done 1', 'after done 1']
slow = pytest.mark.slow
# all of one hour, the last one, so that no hour that turns has a say
BEGIN = int(time.time()) // splits.HOUR * splits.HOUR - splits.HOUR
seconds = itertools.count(BEGIN)


def now() -> str:
    """Later than the one before."""
    return Timestamp(next(seconds)).internal


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('killed'), nodes=3, policies=splits.POLICIES, sidecar=False,
             sidecar_conf=splits.QUEUE_ONLY) as lab:
        yield lab


@pytest.fixture(scope='module')
def brain(lab):
    """Of a container in policy gold."""
    brain = Brain(lab, 'c', inside=True)
    brain.put_account()
    brain.put_container('gold', X_Timestamp=Timestamp(BEGIN - 1).internal)
    splits.enqueue(brain, GOLD, 'noop', now())
    splits.announce(brain)
    drain(brain, 'container-reconciler')
    yield brain
    brain.close()


@pytest.fixture(scope='module')
def queue(lab):
    lab.cache_dir.mkdir(mode=0o700, exist_ok=True)
    queue = open_queue(f'sqlite:{lab.layout.queue}')
    yield queue
    queue.close()


@pytest.fixture(params=splits.BOTH)
def daemon(request):
    return DAEMONS[request.param]


def misplace(brain, policy=SILVER, body=LARGE):
    """An object where its container's policy is not, and its row in the queue. :returns: name, time"""
    name, put = put_elsewhere(brain, policy, body)
    splits.enqueue(brain, policy, name, put.internal)
    return name, put


def put_elsewhere(brain, policy=SILVER, body=LARGE):
    put = now()
    name = f'o-{put}'
    brain.put_object(name, body, X_Backend_Storage_Policy_Index=str(policy), X_Timestamp=put,
                     X_Object_Meta_Colour='red')
    return name, Timestamp(put)


def check_at_home(brain, name, put, source=SILVER, body=LARGE, home=GOLD):
    answer = brain.get_object(name)
    assert (answer.status, answer.body, answer.headers['x-object-meta-colour']) == (200, body, 'red')
    assert answer.headers['x-timestamp'] == put.normal
    check_files(brain, home, name, {('data', Timestamp(put, offset=3))})
    check_files(brain, source, name, {('ts', Timestamp(put, offset=1))})
    assert name in brain.listing()


def check_files(brain, policy, name, expected):
    """The same on all three nodes, and nothing else."""
    files = brain.files(policy, name)
    assert len(files) == 3
    for found in files.values():
        assert {(file.rpartition('.')[2], timestamp(file)) for file in found} == expected


def kill(lab, daemon, point):
    assert killing.run(lab, daemon, point) == -9, f'{daemon} was done without passing {point!r}'


@pytest.mark.parametrize('point', [*TELLING, *(pytest.param(step, marks=slow) for step in STEPS
                                              if step not in TELLING)])
def test_a_move_that_was_killed_is_made_again(lab, brain, daemon, point):
    """R15, R27: copy, tombstone, row, each on three servers."""
    name, put = misplace(brain)
    kill(lab, daemon, point)
    drain(brain, daemon)
    check_at_home(brain, name, put)


@slow
@pytest.mark.parametrize('point', STEPS)
def test_a_move_from_erasure_coding_that_was_killed_is_made_again(lab, brain, daemon, point):
    """R20"""
    name, put = misplace(brain, EC)
    kill(lab, daemon, point)
    drain(brain, daemon)
    check_at_home(brain, name, put, EC)


@slow
@pytest.mark.parametrize('point', STEPS)
def test_a_move_to_erasure_coding_that_was_killed_is_made_again(lab, daemon, point):
    """R20, R21: fragments that were not committed are none."""
    with Brain(lab, 'coded', inside=True) as coded:
        coded.put_container('ec', X_Timestamp=Timestamp(BEGIN - 1).internal)
        name, put = misplace(coded, GOLD)
        kill(lab, daemon, point)
        drain(coded, daemon)
        check_at_home(coded, name, put, GOLD, home=EC)


@pytest.mark.parametrize('point', [pytest.param(step, marks=() if step == 'after DELETE object 3' else slow)
                                   for step in BURYING])
def test_a_tombstone_that_was_killed_is_brought_again(lab, brain, daemon, point):
    """R16: to the destination, to the source, and the row."""
    name, put = misplace(brain)
    brain.put_object(name, b'outlives its end', X_Timestamp=Timestamp(put, delta=-1000).internal)
    deleted = Timestamp(now())
    brain.delete_object(name, X_Backend_Storage_Policy_Index=str(SILVER), X_Timestamp=deleted.internal)
    splits.enqueue(brain, SILVER, name, deleted.internal, 'DELETE')
    kill(lab, daemon, point)
    drain(brain, daemon)
    assert brain.get_object(name).status == 404
    check_files(brain, GOLD, name, {('ts', Timestamp(deleted, offset=3))})
    check_files(brain, SILVER, name, {('ts', Timestamp(deleted, offset=1))})
    assert name not in brain.listing()


@splits.needs_mover
@pytest.mark.parametrize('point', [pytest.param(point, marks=() if point == 'before done 1' else slow)
                                   for point in LOCAL])
def test_a_record_of_the_local_queue_that_was_killed_is_handled_again(lab, brain, queue, point):
    name, put = put_elsewhere(brain)
    queue.put([Misplaced(brain.account, brain.container, name, SILVER, put.internal)])
    kill(lab, 'sidecar', point)
    if point != LOCAL[0]:
        retry_now(queue)
    deadline = time.monotonic() + splits.PATIENCE
    while queue.depth().get('Misplaced'):
        assert time.monotonic() < deadline, f'{queue.depth()} is still in the queue'
        lab.run_daemon('sidecar')
    check_at_home(brain, name, put)
    assert not queue.dead_letters(1)


def test_every_point_is_one_that_a_move_passes(lab, brain, daemon, tmp_path):
    """What is asked of others in a move is in the list of what is killed."""
    misplace(brain)
    assert killing.run(lab, daemon, log=tmp_path / 'points') == 0
    points = set((tmp_path / 'points').read_text().splitlines())
    requests = {point for point in points if point.split()[1] in killing.METHODS}
    assert requests == set(STEPS) and set(TELLING) <= points


@pytest.mark.parametrize('other', splits.BOTH)
def test_two_daemons_drain_one_queue_without_harm(lab, brain, other):
    """R27: upstream's, and one beside it."""
    copies = dict(misplace(brain, body=b'four hands') for _ in range(20))
    coded = dict(misplace(brain, EC, b'four hands') for _ in range(5))
    assert killing.run_together(lab, 'container-reconciler', DAEMONS[other]) == [0, 0]
    drain(brain, 'container-reconciler')
    for source, put in ((SILVER, copies), (EC, coded)):
        for name, when in put.items():
            check_at_home(brain, name, when, source, b'four hands')


def retry_now(queue):
    """As an operator does who does not wait for leases to run out."""
    queue.retry([letter.id for letter in queue.waiting('Misplaced', 100)], 0)


def work_off(brain, queue):
    """Passes until both queues are empty. Two that have one object under way at once, with its row and with its
    record, may find the source gone before the copy was there to be seen: the later one is tried again then."""
    deadline = time.monotonic() + splits.PATIENCE
    drain(brain, 'sidecar')
    while queue.depth().get('Misplaced'):
        assert time.monotonic() < deadline, f'{queue.depth()} is still in the queue'
        retry_now(queue)
        drain(brain, 'sidecar')
    assert not queue.dead_letters(1)


def both_queues(brain, queue, count):
    """Misplaced objects, one half with rows and one half with records, some with both. :returns: name -> time"""
    made = dict(put_elsewhere(brain, body=b'four hands') for _ in range(count))
    names = sorted(made)
    for name in names[:count * 2 // 3]:
        splits.enqueue(brain, SILVER, name, made[name].internal)
    queue.put([Misplaced(brain.account, brain.container, name, SILVER, made[name].internal)
               for name in names[count // 3:]])
    return made


@splits.needs_mover
def test_two_movers_work_off_both_queues_together(lab, brain, queue):
    """R27, R24: each object is moved once, or twice without harm."""
    made = both_queues(brain, queue, 18)
    assert killing.run_together(lab, 'sidecar', 'sidecar') == [0, 0]
    work_off(brain, queue)
    for name, when in made.items():
        check_at_home(brain, name, when, body=b'four hands')


@splits.needs_mover
@pytest.mark.parametrize('point', ['after PUT object 10', pytest.param('after lease 1', marks=slow)])
def test_what_a_mover_that_was_killed_leaves_another_moves(lab, brain, queue, tmp_path, point):
    """R27, R15: amid rows, and with records that it has leased, while the other is at work on both queues."""
    made = both_queues(brain, queue, 18)
    assert killing.run_beside(lab, 'sidecar', point, tmp_path / 'points') == [-9, 0]
    work_off(brain, queue)
    for name, when in made.items():
        check_at_home(brain, name, when, body=b'four hands')
