"""What the proof of the plan computes; nothing is timed here."""
import pytest
from bench import plan_proof, worlds
from bench.common import BenchError
from bench.live import Result, System

from demo.replay import TimedRead

pytestmark = pytest.mark.tools

TOLD = ('a line\nrecommended: 2 MiB, gdsf, prefetch on; in swiftahead-sidecar.conf:\n\n'
        '    [sidecar]\n    cache_size = 2 MiB\n'
        '    eviction = gdsf\n    admit = {}\n\n    [prefetcher]\n    learner = sequence\n\nbecause\n')
ROWS = [{'cache_bytes': bytes_, 'eviction': eviction, 'prefetch': learns, 'object_hit_ratio': ratio}
        for bytes_ in (1_000_000, 2 * 2**20, 5_000_000)
        for eviction, learns, ratio in (('gdsf', True, bytes_ / 1e7), ('lru', False, 0.1))]


def plan(admit='all'):
    return plan_proof.understood(ROWS, TOLD.format(admit))


def result(system, hits, mean):
    readings = [TimedRead(str(number), mean / 1000, number < hits * 100, False, True) for number in range(100)]
    return Result(system, [readings])


def results(plan, ours, others):
    return [result(system, *(ours if plan_proof.is_recommended(system, plan) else others))
            for system in plan_proof.settings(plan)]


def test_what_was_foretold_is_of_the_recommended_size():
    assert plan().cache_bytes == 2 * 2**20
    assert plan().hits == {('gdsf', True): 0.2097152, ('lru', False): 0.1}


def test_without_a_recommendation_there_is_nothing_to_prove():
    with pytest.raises(BenchError, match='recommends nothing'):
        plan_proof.understood(ROWS, 'recommended: no cache\n')


@pytest.mark.parametrize('admit', ['all', 'second_hit'])
def test_one_of_the_settings_is_the_recommended_one(admit):
    settings = plan_proof.settings(plan(admit))
    assert len(settings) == len(set(settings)) == 9
    assert sum(plan_proof.is_recommended(system, plan(admit)) for system in settings) == 1


@pytest.mark.parametrize('ours, count', [
    ((0.50, 20), 0), ((0.48, 21.9), 0), ((0.47, 20), 1), ((0.50, 22.1), 1), ((0.40, 30), 2)])
def test_it_must_be_among_the_best(ours, count):
    assert len(plan_proof.failures(plan(), results(plan(), ours, (0.50, 20)))) == count


def test_the_table_shows_what_was_foretold_beside_what_came():
    rows = plan_proof.tables(plan(), results(plan(), (0.5, 20), (0.4, 25)))[0].rows
    assert [row for row in rows if row[-1]] == [
        ('gdsf, learning on', '0.210', '0.500', '20.00', '20.00', 'recommended')]


def test_with_another_admission_nothing_was_foretold():
    rows = plan_proof.tables(plan('second_hit'), results(plan('second_hit'), (0.5, 20), (0.4, 25)))[0].rows
    assert [row[1] for row in rows if row[0].endswith('second_hit')] == [None]


def test_of_several_rounds_the_median_counts_and_the_spread_is_shown():
    rounds = [one for ours in ((0.5, 20), (0.3, 20), (0.5, 40)) for one in results(plan(), ours, (0.5, 20))]
    assert plan_proof.failures(plan(), rounds) == []
    row, = (row for row in plan_proof.tables(plan(), rounds)[0].rows if row[-1])
    assert row[2:4] == ('0.500 (0.300 .. 0.500)', '20.00 (20.00 .. 40.00)')


def test_made_up_reads_are_the_same_each_time():
    assert worlds.mixed(500) == worlds.mixed(500)
    assert {name.partition('/')[0][:4] for _, _, name, _ in worlds.mixed(500)} == {'sequ', 'popu', 'once'}


def test_settings_are_tried_a_few_at_a_time():
    assert [len(group) for group in plan_proof.groups([System(str(number)) for number in range(8)])] == [3, 3, 2]
