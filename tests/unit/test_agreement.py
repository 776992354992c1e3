"""What `swiftahead plan` replays and what the sidecar keeps are the same: each hit, in each order."""
import random
from functools import partial

import pytest
from bench import agreement

from swiftahead.cache.orders import ORDERS
from swiftahead.cache.policies import ADMISSIONS
from swiftahead.cli.conflines import KEPT
from swiftahead.predict.replay import Replay, Request
from swiftahead.sidecar.evictor import Limits


@pytest.fixture(scope='module')
def reads():
    """Some objects are read often, some once, some in a row again and again, whatever their size."""
    rng = random.Random(3)
    sizes = {f'o{number}': int(10 ** rng.uniform(0, 4.7)) for number in range(300)}
    names = [f'o{int(300 * rng.random()**3)}' if number % 3 else f'o{200 + number // 3 % 80}'
             for number in range(1000)]
    return [Request(float(number), 'x', 'AUTH_a', 'c', name, sizes[name]) for number, name in enumerate(names)]


@pytest.fixture
def limits(reads):
    return partial(Limits, agreement.footprint(reads) // 5, floor=0)


@pytest.mark.parametrize('admit', ADMISSIONS)
@pytest.mark.parametrize('eviction', ORDERS)
def test_plan_and_keeper_have_the_same_hits(reads, limits, tmp_path, eviction, admit):
    limits = limits(high=100, low=100, eviction=eviction, admit=admit)
    assert agreement.kept_hits(reads, limits, tmp_path / 'c') == agreement.planned_hits(reads, limits) > 200


@pytest.mark.parametrize('eviction', ORDERS)
def test_plan_and_keeper_evict_the_same_for_what_is_fetched_ahead(reads, limits, tmp_path, eviction):
    limits = limits(high=100, low=100, eviction=eviction)
    cache, replay, decided = agreement.Cache(tmp_path / 'c', limits), Replay(agreement.settings(limits)), set()
    for number, read in enumerate(agreement.on_disk(reads)):
        if number % 4 or read[2:5] in replay._cache:
            assert cache.read(reads[number]) == replay.run([read]).hits
            continue
        idle = (5.0, 50.0, 500.0)[number % 3]
        wanted = replay._makes_room(1, read.at - idle, False) and replay._makes_room(read.bytes, read.at - idle)
        if wanted:
            replay._store(read[2:5], read.bytes)
            replay._used_at[read[2:5]] = read.at
        assert cache.prefetch(reads[number], idle) == wanted
        decided.add(wanted)
    assert decided == {True, False}


def test_the_recommended_size_makes_up_for_the_water_marks(reads, limits, tmp_path):
    planned = agreement.planned_hits(reads, limits())
    size = int(agreement.footprint(reads) // 5 / KEPT)
    assert abs(agreement.kept_hits(reads, Limits(size, floor=0), tmp_path / 'c') - planned) <= 0.02 * len(reads)
