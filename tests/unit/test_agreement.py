"""What `swiftahead plan` replays and what the sidecar keeps are the same: each hit, in each order."""
import random
from functools import partial

import pytest
from bench import agreement

from swiftahead.eviction.admission import ADMISSIONS
from swiftahead.eviction.evictor import CacheLimits
from swiftahead.eviction.policies import POLICIES
from swiftahead.plan.accesslog import LogRead
from swiftahead.plan.replay import Replay


@pytest.fixture(scope='module')
def reads():
    """Some objects are read often, some once, some in a row again and again, whatever their size."""
    rng = random.Random(3)
    sizes = {f'o{number}': int(10 ** rng.uniform(0, 4.7)) for number in range(300)}
    names = [f'o{int(300 * rng.random()**3)}' if number % 3 else f'o{200 + number // 3 % 80}'
             for number in range(1000)]
    return [LogRead(float(number), 'x', 'AUTH_a', 'c', name, sizes[name]) for number, name in enumerate(names)]


@pytest.fixture
def limits(reads):
    return partial(CacheLimits, agreement.footprint(reads) // 5, floor=0)


MARKS = (100, 100), (95, 90)


@pytest.mark.parametrize('high, low', MARKS)
@pytest.mark.parametrize('admit', ADMISSIONS)
@pytest.mark.parametrize('eviction', POLICIES)
def test_plan_and_sidecar_have_the_same_hits(reads, limits, tmp_path, eviction, admit, high, low):
    limits = limits(high=high, low=low, eviction=eviction, admit=admit)
    assert agreement.kept_hits(reads, limits, tmp_path / 'c') == agreement.planned_hits(reads, limits) > 100


@pytest.mark.parametrize('high, low', MARKS)
@pytest.mark.parametrize('eviction', POLICIES)
def test_plan_and_sidecar_evict_the_same_for_what_is_fetched_ahead(reads, limits, tmp_path, eviction, high, low):
    limits = limits(high=high, low=low, eviction=eviction)
    cache, replay, decided = agreement.Cache(tmp_path / 'c', limits), Replay(agreement.settings(limits)), set()
    for number, read in enumerate(reads):
        key, room = read[2:5], replay._room
        if number % 4 or key in room:
            assert cache.read(read) == replay.run([read]).hits
            continue
        idle = (5.0, 50.0, 500.0)[number % 3]
        wanted = room.is_any_idle(read.at - idle) and room.makes(read.bytes, read.at - idle)
        if wanted:
            room.add(key, read.bytes)
            room.used(key, read.at)
        assert cache.prefetch(read, idle) == wanted
        decided.add(wanted)
    assert decided == {True, False}
