"""No hit is older than was promised, whatever becomes of memcached, of Swift's replicas and of those who ask.

What is promised, and checked of every answer (tests/freshness_machine.py has the machine):

coherent
    A hit is no older than any write that was acknowledged before the read arrived, if a token of that write
    lies in the memcached that the reader asks: the final one was set there at some time, or the pending one is
    there still. So it is too for a reader that reaches no memcached, and after memcached has forgotten.
validate
    A hit is no older than any write that was acknowledged before the read arrived.
in all modes
    A hit was Swift's answer within the last `max_age`. Body and metadata are of one version. Nothing is a hit
    after its X-Delete-At, nor (as above) after its DELETE. What is older than a write of which the token tells
    is not kept. Who reads along gets what Swift could answer itself, from one replica or another, since the
    last such write. Once all is well, an object is cached, and in mode coherent trusted, after a few reads.

Proxies must have the same mode: one that sets no tokens leaves the hits of the others as they are until `max_age`.
"""
import pytest
from helpers.common.builders import NOW
from helpers.common.trying import tries
from helpers.freshness import mutants
from helpers.freshness.freshness_machine import LARGE, SMALL, Machine
from helpers.freshness.links import LOST, REFUSED
from helpers.freshness.pools import MAX_AGE, NODES, Pool
from helpers.freshness.versions import Content
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

pytestmark = pytest.mark.holds('F7')

PROXIES = st.sampled_from([0, 0, 1, 2])
STOPS = st.sets(st.integers(1, 6), max_size=2)
WHICH = st.integers(0, 3)
# mostly all
REACHES = st.sampled_from([(0, 1, 2), (0, 1, 2), (0, 1), (1, 2), (0, 2), (0,), (2,)])
CONTENTS = st.builds(Content, st.sampled_from([SMALL, SMALL, SMALL, LARGE]),
                     st.sampled_from([None, None, None, int(NOW) + 100]))


class Freshness(RuleBasedStateMachine):
    mode = 'coherent'
    pool: Pool

    def __init__(self):
        super().__init__()
        self.machine = Machine(self.pool, self.mode)
        self.machine.ask(0, 'PUT')

    def teardown(self):
        self.machine.end()

    @rule(proxy=PROXIES, method=st.sampled_from(['PUT', 'PUT', 'PUT', 'POST', 'DELETE']), stops=STOPS,
          reaches=REACHES, content=CONTENTS, behind=st.sampled_from([0, 0, 0, 1, 3]))
    def write(self, proxy, method, **more):
        self.machine.begin(proxy, method, **more)

    @rule(proxy=PROXIES, stops=STOPS, replica=st.sampled_from([0, 1, 2]), down=st.sampled_from([None, 0, 1, 2]))
    def read(self, proxy, stops, replica, down):
        self.machine.begin(proxy, 'GET', stops=stops, replica=(replica + (replica == down)) % 3, down=down)

    @rule(proxy=PROXIES, replica=st.sampled_from([0, 1, 2]))
    def read_and_admit(self, proxy, replica):
        self.machine.begin(proxy, 'GET', replica=replica)
        self.machine.land()
        self.machine.handle_all()

    @rule(proxy=PROXIES, replica=st.sampled_from([0, 1, 2]))
    def read_twice(self, proxy, replica):
        for _ in range(2):
            self.machine.begin(proxy, 'GET', replica=replica)
            self.machine.land()
            self.machine.handle_all()

    @precondition(lambda self: self.machine.waiting)
    @rule(number=WHICH)
    def go_on(self, number):
        self.machine.go_on(number)

    @precondition(lambda self: self.machine.records)
    @rule(number=WHICH)
    def handle(self, number):
        self.machine.handle(number)

    @rule(seconds=st.sampled_from([1, 99, MAX_AGE - 1, MAX_AGE]))
    def time_goes_by(self, seconds):
        self.machine.now += seconds

    @rule(proxy=st.sampled_from(range(len(NODES))), state=st.sampled_from([0, 0, 0, 1, REFUSED, LOST]),
          what=st.sampled_from(['link', 'flush', 'land', 'repair']))
    def something_happens(self, proxy, state, what):
        if what == 'link':
            self.machine.link(proxy, state)
        elif what == 'flush':
            self.machine.flush(state == 1)
        elif what == 'land':
            self.machine.land()
        else:
            self.machine.swift.repair()


@pytest.fixture(scope='module')
def pool():
    pool = Pool()
    yield pool
    pool.close()


def run(pool, mode='coherent', examples=100, steps=25):
    machine = type('Machine', (Freshness,), {'pool': pool, 'mode': mode})
    run_state_machine_as_test(machine, settings=tries(
        examples, stateful_step_count=steps, phases=[Phase.generate], report_multiple_bugs=False,
        print_blob=False))


@pytest.mark.hypothesis
@pytest.mark.parametrize('mode', ['coherent', 'validate', 'max-age'])
def test_no_hit_is_older_than_promised(pool, mode):
    run(pool, mode)


# schedules that chance finds too seldom; each is right on the product, and shows one mutant

def written_between_answer_and_stamp(machine):
    machine.begin(0, 'GET', stops={3})
    machine.begin(1, 'PUT')
    machine.go_on()
    machine.land()
    machine.handle_all()
    machine.begin(0, 'GET')


def written_between_head_and_stamp(machine):
    machine.cache()
    machine.flush(0)
    machine.begin(0, 'GET', stops={4})
    machine.begin(1, 'PUT')
    machine.go_on()
    machine.begin(0, 'GET')


def writer_loses_memcached_in_between(machine):
    machine.cache()
    machine.begin(1, 'PUT', stops={2})
    machine.begin(0, 'GET')
    machine.link(1, REFUSED)
    machine.go_on()
    machine.begin(0, 'GET')


def older_write_ends_later(machine):
    machine.begin(0, 'PUT', stops={3})
    machine.begin(1, 'PUT', reaches=(0, 1))
    machine.go_on()
    machine.cache(0, replica=2)
    machine.begin(0, 'GET', replica=2)


def older_write_sets_its_token_after_a_newer_one_has_ended(machine):
    machine.begin(0, 'PUT', stops={3, 4, 5})
    machine.begin(1, 'PUT')
    # to where it has found what is set
    machine.go_on()
    machine.go_on()
    machine.begin(1, 'PUT', reaches=(0, 1))
    machine.finish()
    machine.cache(0, replica=2)
    machine.begin(0, 'GET', replica=2)


def failed_write_after_one_that_missed_a_replica(machine):
    machine.begin(0, 'PUT', reaches=(0, 1))
    machine.begin(0, 'PUT', reaches=(0,))
    machine.cache(0, replica=2)
    machine.begin(0, 'GET', replica=2)


def clock_of_a_writer_is_behind(machine):
    machine.begin(0, 'PUT', reaches=(0, 1))
    # not acknowledged, by a proxy whose clock is behind; and another that is superseded
    machine.begin(1, 'PUT', behind=1, reaches=(2,))
    machine.begin(1, 'PUT', behind=2)
    machine.cache(0, replica=2)
    machine.begin(0, 'GET', replica=2)


def deleted_twice_where_a_replica_lags(machine):
    machine.begin(0, 'DELETE', reaches=(0, 1))
    machine.begin(0, 'DELETE', reaches=(0, 1))
    machine.cache(0, replica=2)


def memcached_split(machine):
    machine.cache()
    machine.link(1, 1)
    machine.begin(1, 'PUT')
    machine.now += MAX_AGE + 1
    machine.begin(0, 'GET')


def expired(machine):
    machine.begin(0, 'PUT', content=Content(delete_at=int(NOW) + 100))
    machine.cache()
    machine.now += 100
    machine.begin(0, 'GET')


def posted_while_memcached_is_away(machine):
    machine.cache()
    machine.flush(0)
    machine.link(1, REFUSED)
    machine.begin(1, 'POST')
    machine.begin(0, 'GET')
    machine.link(0, REFUSED)
    machine.begin(0, 'GET')


DIRECTED = [written_between_answer_and_stamp, written_between_head_and_stamp, writer_loses_memcached_in_between,
            older_write_ends_later, failed_write_after_one_that_missed_a_replica,
            deleted_twice_where_a_replica_lags, memcached_split, expired, posted_while_memcached_is_away,
            clock_of_a_writer_is_behind, older_write_sets_its_token_after_a_newer_one_has_ended]


def play(pool, schedule):
    machine = Machine(pool)
    try:
        machine.ask(0, 'PUT')
        schedule(machine)
        machine.finish()
    finally:
        machine.end(check=False)


@pytest.mark.parametrize('state', [REFUSED, LOST])
def test_a_writer_without_memcached_has_its_own_nodes_entry_dropped(pool, state):
    def schedule(machine):
        machine.cache()
        machine.link(1, state)
        machine.begin(1, 'PUT')
        machine.handle_all()
        assert not pool.stores['one'].has(machine.name)
    play(pool, schedule)


def test_after_a_purge_through_one_node_another_validates_once(pool):
    def schedule(machine):
        machine.cache(2)
        machine.begin(2, 'GET')
        hits, trusted = machine.hits, machine.trusted
        assert machine.purge(0)
        machine.begin(2, 'GET')
        assert (machine.hits, machine.trusted) == (hits + 1, trusted)
        machine.begin(2, 'GET')
        assert (machine.hits, machine.trusted) == (hits + 2, trusted + 1)
    play(pool, schedule)


def test_after_a_purge_a_replica_that_missed_the_last_write_is_still_not_kept(pool):
    def schedule(machine):
        machine.begin(0, 'PUT', reaches=(0, 1))
        assert machine.purge(2)
        machine.cache(0, replica=2)
        assert not pool.stores['one'].has(machine.name)
        machine.cache(0, replica=1)
        assert pool.stores['one'].has(machine.name)
    play(pool, schedule)


def test_a_purge_in_the_middle_of_a_write_leaves_it_to_the_writer(pool):
    def schedule(machine):
        machine.begin(0, 'PUT', stops={2})
        token = machine.servers[0].token
        assert token.pending and machine.purge(2) and machine.servers[0].token == token
        machine.go_on()
        assert not machine.servers[0].token.pending and machine.servers[0].token.timestamp
    play(pool, schedule)


@pytest.mark.parametrize('state', [REFUSED, LOST])
def test_a_purge_that_memcached_does_not_hear_of_is_told(pool, state):
    def schedule(machine):
        machine.link(0, state)
        assert not machine.purge(0)
    play(pool, schedule)


@pytest.mark.parametrize('schedule', DIRECTED)
def test_no_hit_is_older_than_promised_on_this_schedule(pool, schedule):
    play(pool, schedule)


@pytest.mark.parametrize('mutant', [
    mutants.no_final_token, mutants.stamped_without_check, mutants.old_reads_joined,
    mutants.versions_not_compared])
def test_the_machine_finds_the_mutant(pool, monkeypatch, mutant):
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        run(pool)


@pytest.mark.parametrize('mutant, schedule', [
    (mutants.token_read_after_the_answer, written_between_answer_and_stamp),
    (mutants.token_to_stamp_read_after_the_head, written_between_head_and_stamp),
    (mutants.stamped_without_timestamp, failed_write_after_one_that_missed_a_replica),
    (mutants.pending_ignored, writer_loses_memcached_in_between),
    (mutants.set_back_by_an_older_write, older_write_ends_later),
    (mutants.timestamp_kept_by_an_older_write, older_write_sets_its_token_after_a_newer_one_has_ended),
    (mutants.delete_of_nothing_not_taken, deleted_twice_where_a_replica_lags),
    (mutants.age_not_looked_at, memcached_split),
    (mutants.expiry_not_looked_at, expired),
    (mutants.superseded_put_taken, clock_of_a_writer_is_behind),
    (mutants.only_etags_compared, posted_while_memcached_is_away)])
def test_the_schedule_finds_the_mutant(pool, monkeypatch, mutant, schedule):
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        play(pool, schedule)
