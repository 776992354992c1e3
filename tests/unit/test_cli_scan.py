"""`swiftahead misplaced scan` without a cluster: the rule, the count, and what it says meanwhile."""
from io import StringIO
from types import SimpleNamespace

from swift.common.concurrency import GreenPool
from swift.common.utils import Timestamp

from swiftahead.cli import main
from swiftahead.cli.misplaced import Progress, ScanRun
from swiftahead.misplaced import verdict
from swiftahead.misplaced.search import Finding
from swiftahead.misplaced.servers import Unknown
from swiftahead.queues import open_queue

FACTS = verdict.ContainerFacts(0, Timestamp(1))
COPY = verdict.Copy(1, Timestamp(5, offset=2), Timestamp(5))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Look:
    """Finds what it was given; Ellipsis ends the listing."""

    def __init__(self, **found):
        self.found = found
        self.judge = SimpleNamespace(servers=self)

    def container_facts(self, account, container):
        return FACTS

    def names(self, account, container, home):
        for name, found in self.found.items():
            if found is Ellipsis:
                raise Unknown('the listing ends early')
            yield name

    def find(self, name, looked_in, facts):
        assert (looked_in, facts) == (FACTS.policy_index, FACTS)
        return self.found[name.object]


def scanned(**found):
    recorded: list = []
    look = Look(**found)
    scan = ScanRun(look, look.names, recorded.append, lambda done: None)
    scan.container('a', 'c', GreenPool(2))
    assert recorded == scan.found
    return scan


FOUND = Finding('found', (COPY,))


def test_what_is_found_is_recorded_with_the_copys_policy_and_time():
    record, = scanned(o=FOUND).found
    assert (record.account, record.container, record.object) == ('a', 'c', 'o')
    assert (record.policy_index, record.timestamp, record.op) == (1, '0000000005.00000_0000000000000002', 'PUT')


def test_one_object_that_nobody_knows_of_does_not_stop_the_others():
    scan = scanned(a=Finding('unknown'), b=FOUND, c=Finding('deleted'))
    assert scan.outcomes == {'unknown': 1, 'found': 1, 'deleted': 1}
    assert scan.unknown == ['too few object servers told of /a/c/a'] and len(scan.found) == 1


def test_a_policy_that_does_not_tell_is_named_and_what_others_have_is_found():
    scan = scanned(o=Finding('found', (COPY,), silent=(2,)))
    assert scan.unknown == ['policy 2 does not tell of /a/c/o'] and len(scan.found) == 1


def test_a_listing_that_ends_early_is_not_known_and_what_came_before_is_found():
    scan = scanned(a=FOUND, b=...)
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
