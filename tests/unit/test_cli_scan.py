"""`swiftahead misplaced scan` without a cluster: the rule, the count, and what it says meanwhile."""
from io import StringIO

from swift.common.concurrency import GreenPool
from swift.common.utils import Timestamp

from swiftahead.cli import main
from swiftahead.cli.looking import Unknown
from swiftahead.cli.misplaced import Progress, Scan
from swiftahead.misplaced import verdict
from swiftahead.queues import open_queue

FACTS = verdict.ContainerFacts(0, Timestamp(1))
COPY = verdict.Copy(1, Timestamp(5, offset=2), Timestamp(5))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Look:
    """Finds what it was given; an exception is raised."""

    def __init__(self, **found):
        self.found = found

    def container(self, account, container):
        return FACTS

    def names(self, account, container, facts):
        for name, found in self.found.items():
            if found is Ellipsis:
                raise Unknown('the listing ends early')
            yield name

    def find(self, name, facts):
        found = self.found[name.object]
        if isinstance(found, Exception):
            raise found
        return found


def scanned(**found):
    recorded: list = []
    scan = Scan(Look(**found), recorded.append, lambda done: None)
    scan.container('a', 'c', GreenPool(2))
    assert recorded == scan.found
    return scan


def test_what_is_found_is_recorded_with_the_copys_policy_and_time():
    record, = scanned(o=('found', [COPY])).found
    assert (record.account, record.container, record.object) == ('a', 'c', 'o')
    assert (record.policy_index, record.timestamp, record.op) == (1, '0000000005.00000_0000000000000002', 'PUT')


def test_one_object_that_nobody_knows_of_does_not_stop_the_others():
    scan = scanned(a=Unknown('too few'), b=('found', [COPY]), c=('deleted', []))
    assert scan.outcomes == {'unknown': 1, 'found': 1, 'deleted': 1}
    assert scan.unknown == ['too few'] and len(scan.found) == 1


def test_a_listing_that_ends_early_is_not_known_and_what_came_before_is_found():
    scan = scanned(a=('found', [COPY]), b=...)
    assert len(scan.found) == 1 and scan.unknown == ['the listing ends early']


def test_progress_is_told_every_two_seconds_with_the_time_left():
    clock, out = Clock(), StringIO()
    progress = Progress(1000, clock, out)
    for clock.now, done in ((1.9, 5), (10.0, 100), (11.0, 110)):
        progress(done)
    assert out.getvalue() == '100 of 1,000 objects asked for, 1 min 30 s left\n'


def test_progress_beyond_what_was_announced_promises_nothing():
    clock, out = Clock(), StringIO()
    progress = Progress(10, clock, out)
    clock.now = 5
    progress(11)
    assert out.getvalue() == '11 objects asked for, more than the 10 that were announced\n'


def test_without_a_queue_nothing_can_be_scanned(tmp_path, capsys):
    conf = tmp_path / 'sidecar.conf'
    conf.write_text(f'[sidecar]\ncache_dir = {tmp_path}\nqueue = sqlite:{tmp_path}/queue.db\n')
    assert main(['misplaced', 'scan', 'a', '--conf', str(conf)]) == 2
    assert 'is not there yet; start swiftahead-sidecar' in capsys.readouterr().err
    assert not open_queue(f'sqlite:{tmp_path}/queue.db').path.exists()
