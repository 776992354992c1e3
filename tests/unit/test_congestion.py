"""The pace of fetching ahead, by a clock of our own."""
import pytest

from swiftahead.sidecar.prefetcher.congestion import FIRST_ANSWERS, PAUSE_MOST, Congestion

USUAL = 0.1


@pytest.fixture
def make():
    """A pace that knows what is usual."""
    def make(most=16, rate=0, factor=3.0, stops=None):
        pace = Congestion(most, rate, factor, (lambda: None) if stops is None else lambda: stops.append(1))
        for _ in range(FIRST_ANSWERS):
            fetch(pace)
        return pace
    return make


def fetch(pace, seconds=USUAL, now=0.0):
    pace.began()
    pace.answered(seconds, now)
    pace.ended()


def fetch_together(pace, count, seconds, now=0.0):
    for _ in range(count):
        pace.began()
    for _ in range(count):
        pace.answered(seconds, now)
    for _ in range(count):
        pace.ended()


def stopped(pace, now=0.0):
    """The pace after errors that stop it."""
    while not pace.is_stopped:
        pace.began()
        pace.failed(now)
    return pace


def test_as_many_as_are_allowed_may_begin(make):
    pace = make(4)
    assert pace.places(0) == 4
    pace.began()
    assert pace.places(0) == 3
    pace.ended()
    assert pace.places(0) == 4


def test_a_slow_backend_halves_it(make):
    pace = make(16)
    fetch(pace, 10 * USUAL)
    assert pace.places(0) == 8


@pytest.mark.parametrize('seconds', [USUAL, 2.9 * USUAL])
def test_what_is_below_the_factor_is_not_slow(make, seconds):
    pace = make(16)
    for _ in range(20):
        fetch(pace, seconds)
    assert pace.places(0) == 16


def test_one_answer_a_little_too_late_is_nothing(make):
    pace = make(16)
    fetch(pace, 4 * USUAL)
    assert pace.places(0) == 16


def test_answers_of_milliseconds_are_never_slow():
    pace = Congestion(16)
    for _ in range(FIRST_ANSWERS):
        fetch(pace, 0.001)
    for _ in range(10):
        fetch(pace, 0.015)
    assert pace.places(0) == 16


def test_what_was_under_way_is_not_judged_again(make):
    pace = make(16)
    fetch_together(pace, 16, 10 * USUAL)
    assert pace.places(0) == 8


def test_it_is_halved_down_to_none_and_that_is_told(make):
    stops = []
    pace, places = make(16, stops=stops), []
    for _ in range(5):
        fetch(pace, 10 * USUAL)
        places.append(int(pace._limit))
    assert places == [8, 4, 2, 1, 0] and pace.is_stopped and stops == [1]


def test_an_error_counts_as_slow(make):
    pace = make(16)
    pace.began()
    pace.failed(0)
    assert (pace.places(0), pace.running) == (8, 0)


def test_it_recovers_step_by_step(make):
    pace = make(8)
    for _ in range(2):
        pace.began()
        pace.failed(0)
    found = []
    while pace.places(0) < 8:
        fetch_together(pace, pace.places(0), USUAL)
        found.append(pace.places(0))
    assert found == sorted(found) and len(found) >= 5
    assert all(after - before <= 1 for before, after in zip(found, found[1:], strict=False))


def test_a_stopped_pace_sends_one_probe_at_a_time(make):
    pace = stopped(make(4), 100.0)
    assert pace.places(100.9) == 0 and pace.wait(100.25) == pytest.approx(0.75)
    assert pace.places(101) == 1
    pace.began()
    assert pace.places(200) == 0


def test_the_pause_between_probes_doubles_up_to_a_minute(make):
    pace, now, pauses = stopped(make(4)), 0.0, []
    for _ in range(9):
        pauses.append(pace.wait(now))
        now += pauses[-1]
        assert pace.places(now) == 1
        pace.began()
        pace.failed(now)
    assert pauses == [1, 2, 4, 8, 16, 32, PAUSE_MOST, PAUSE_MOST, PAUSE_MOST]


def test_a_slow_probe_is_as_bad_as_one_that_fails(make):
    pace = stopped(make(4))
    fetch(pace, 10 * USUAL, 5.0)
    assert pace.is_stopped and pace.places(6.9) == 0 and pace.places(7) == 1


def test_a_probe_in_good_time_begins_anew_with_one(make):
    pace = stopped(make(4))
    for now in (1, 3):
        pace.began()
        pace.failed(now)
    fetch(pace, USUAL, 10.0)
    assert pace.places(10) == 1 and not pace.is_stopped
    assert stopped(pace, 20.0).wait(20) == 1


def test_what_began_before_the_stop_is_no_probe(make):
    pace = make(4)
    pace.began()
    stopped(pace)
    pace.answered(USUAL, 0)
    assert pace.is_stopped and pace.places(100) == 0
    pace.ended()
    assert pace.places(100) == 1


def test_a_probe_that_told_nothing_lets_the_next_try(make):
    pace = stopped(make(4))
    pace.began()
    pace.ended()
    assert pace.is_stopped and pace.places(1) == 1


def test_what_stays_slow_becomes_what_is_usual(make):
    pace, now = make(4), 0.0
    for turn in range(3000):
        now += PAUSE_MOST
        if pace.places(now):
            fetch(pace, 6 * USUAL, now)
        if pace.places(now) == 4 and turn > 10:
            return
    raise AssertionError('never')


@pytest.mark.parametrize('back', [1, 10**6])
def test_a_clock_that_is_set_back_does_not_lengthen_the_pause(make, back):
    pace = stopped(make(4), 1000.0)
    assert pace.wait(1000.0 - back) <= 1


# bytes per second

def test_without_a_limit_nobody_waits(make):
    pace = make()
    assert pace.took(2**40, 0) == 0 and pace.places(0) == 16


def test_the_bytes_of_all_fetches_stay_below_the_limit(make):
    pace, now, sent = make(rate=1000), 0.0, 0
    while now < 100:
        now += pace.took(300, now)
        sent += 300
    assert 0.95 * 100_000 <= sent <= 1.02 * 100_000


def test_in_debt_nothing_begins(make):
    pace = make(rate=1000)
    assert pace.took(5000, 0) == 4
    assert pace.places(3.9) == 0 and pace.wait(1) == pytest.approx(3)
    assert pace.places(4.1) == 16


def test_rest_does_not_save_more_than_a_second(make):
    pace = make(rate=1000)
    pace.took(1, 0)
    assert pace.took(2000, 10**6) == 1
